"""Who this host is, and its way to the server: each fault of a network told apart from the others."""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.doctor import mirrors, server
from fleetroll_agent.identity.store import IdentityStore
from fleetroll_common.values.ids import SystemIds
from fleetroll_server.certificates import make_ca
from tests.faults.whole_host import NOW, TlsServer, WholeHost, authority, stopped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll_agent.doctor.values import Finding


def found(host: WholeHost, sign: str, now: datetime = NOW) -> Finding:
    """Return the one finding, which has this sign."""
    findings = host.look(now).findings
    assert [finding.sign.value for finding in findings] == [sign]
    return findings[0]


def speaks_to(host: WholeHost, *addresses: str) -> None:
    """Change the addresses that the host was enrolled with."""
    store = IdentityStore(host.state / "identity", SystemIds())
    identity = store.load()
    store.candidate()
    again = store.enrol(replace(identity.enrolment, addresses=addresses))
    store.stamp_key(again, NOW.timestamp())


def test_a_host_that_is_not_enrolled_is_told(host: WholeHost) -> None:
    """With the command that makes it an agent."""
    (host.state / "identity" / "agent.json").unlink()
    assert "enroll" in found(host, "NOT_ENROLLED").remedy


@pytest.mark.parametrize("name", ["key", "ratchet.json", "receipt", "ca.pem"])
def test_a_damaged_file_of_the_identity_is_told_by_name(host: WholeHost, name: str) -> None:
    """The way out is a readmission."""
    path = host.state / "identity" / name
    path.write_bytes(path.read_bytes()[:-30])
    finding = found(host, "IDENTITY_DAMAGED")
    assert f"identity/{name}" in finding.message
    assert "readmit" in finding.remedy


def test_an_identity_that_others_can_read_is_told(host: WholeHost) -> None:
    """The folder's mode, the key's mode, and somebody else's file."""
    key = host.state / "identity" / "key"
    key.chmod(0o640)
    assert "chmod 0600" in found(host, "IDENTITY_OPEN").remedy
    key.chmod(0o600)
    (host.state / "identity").chmod(0o755)
    assert "chmod 0700" in found(host, "IDENTITY_OPEN").remedy
    (host.state / "identity").chmod(0o700)
    os.chown(key, 4711, -1)
    assert "belongs to user 4711" in found(host, "IDENTITY_OPEN").message


def test_a_key_that_should_have_been_replaced_is_told(host: WholeHost) -> None:
    """Some days late is no reason to speak: it is replaced when nothing else goes on."""
    assert host.signs(NOW + timedelta(days=185)) == []
    assert "is 190 days old" in found(host, "KEY_OLD", NOW + timedelta(days=189)).message
    host.settings("[download]", "[identity]\nrotate_after_days = 30\n[download]")
    assert "after 30" in found(host, "KEY_OLD", NOW + timedelta(days=40)).message


def test_a_ca_that_ends_soon_or_has_ended_is_told(host: WholeHost) -> None:
    """With the day on which it does."""
    (host.state / "agent.toml").write_text("[identity]\nrotate_after_days = 3650\n")
    end = _end(authority()[0].certificate)
    assert "CA_EXPIRING" not in host.signs(end - timedelta(days=61))
    soon = [each for each in host.look(end - timedelta(days=59)).findings if each.sign.value == "CA_EXPIRING"]
    assert f"on {end:%Y-%m-%d}" in soon[0].message
    late = [each for each in host.look(end + timedelta(days=1)).findings if each.sign.value == "CA_EXPIRING"]
    assert "has ended" in late[0].message


def _end(pem: bytes) -> datetime:
    from cryptography import x509  # noqa: PLC0415 (the server's library)

    return x509.load_pem_x509_certificate(pem).not_valid_after_utc.astimezone(UTC)


def test_a_name_that_is_not_known_is_told_apart(host: WholeHost) -> None:
    """From a server that is down."""
    speaks_to(host, "fleet.invalid:443")
    assert "getent hosts fleet.invalid" in found(host, "SERVER_NAME_UNKNOWN").remedy


def test_a_port_at_which_nobody_listens_is_told_apart(host: WholeHost) -> None:
    """Somebody answered, and said no; each address is tried."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    speaks_to(host, f"127.0.0.1:{port}", f"127.0.0.1:{host.server.port}")
    assert found(host, "SERVER_CLOSED").subject == f"127.0.0.1:{port}"


def test_a_server_of_another_ca_is_told_apart(host: WholeHost) -> None:
    """A proxy that ends TLS looks like that as well."""
    (host.state / "identity" / "ca.pem").write_bytes(make_ca("another", datetime.now(UTC)).certificate)
    assert "does not show a certificate of this host's CA" in found(host, "SERVER_CERTIFICATE").message


def test_a_certificate_of_another_name_is_told_apart(host: WholeHost) -> None:
    """Of the right CA, and yet not of this address."""
    other = TlsServer(host.root / "other", authority()[1], "127.0.0.2")
    speaks_to(host, f"127.0.0.2:{other.port}")
    assert "IP address mismatch" in found(host, "SERVER_CERTIFICATE").message
    other.close()


def test_what_answers_and_speaks_no_tls_is_told(host: WholeHost) -> None:
    """Such as a web server on the wrong port."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        threading.Thread(target=_says_hello, args=(door,), daemon=True).start()
        speaks_to(host, f"127.0.0.1:{door.getsockname()[1]}")
        found(host, "SERVER_CERTIFICATE")


def _says_hello(door: socket.socket) -> None:
    line, _ = door.accept()
    with line:
        line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        line.recv(4096)


def test_a_server_that_says_nothing_is_told_after_a_bounded_time(
    host: WholeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection stands, and no byte of TLS comes."""
    monkeypatch.setattr(server, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as door:
        speaks_to(host, f"127.0.0.1:{door.getsockname()[1]}")
        assert "no answer within 0.2 s" in found(host, "SERVER_SILENT").message


def test_an_address_that_is_none_is_told(host: WholeHost) -> None:
    """A wrong record is no reason to stop."""
    speaks_to(host, "nowhere")
    assert host.signs() == ["SERVER_SILENT"]


@pytest.mark.parametrize(
    ("code", "remedy"),
    [("IDENTITY_REVOKED", "readmit"), ("PROTOCOL_UNSUPPORTED", "update the older"), ("DRAINING", "asks again")],
)
def test_a_servers_last_refusal_is_told_with_its_code(host: WholeHost, code: str, remedy: str) -> None:
    """A session that was opened since ends it."""
    host.log("stream_ended", how="refused", code=code, reason="so it is")
    finding = found(host, "SERVER_REFUSES")
    assert f"{code} so it is" in finding.message
    assert remedy in finding.remedy
    host.log("session_open")
    assert host.signs() == []


def test_a_session_that_broke_long_ago_is_told_and_one_that_just_did_is_not(host: WholeHost) -> None:
    """The line of the log is two hours old at noon."""
    host.log("stream_ended", how="lost", code=None, reason="the line broke")
    assert "the line broke" in found(host, "SERVER_LOST").message
    assert host.signs(datetime(2026, 3, 1, 10, 1, tzinfo=UTC)) == []
    assert stopped(host, host.signs) == ["AGENT_NOT_RUNNING"]


def test_an_end_that_is_no_trouble_is_not_told(host: WholeHost) -> None:
    """The server asked for it."""
    host.log("stream_ended", how="drained", code=None, reason="come back")
    assert host.signs() == []


def test_a_quarantine_is_told(host: WholeHost) -> None:
    """The session is open, and nothing comes over it."""
    host.log("session_open", quarantined=True)
    assert "readmit" in found(host, "QUARANTINED").remedy


@pytest.mark.parametrize(("ahead", "said"), [(301, "301 s ahead of"), (-86400, "86400 s behind")])
def test_a_clock_that_differs_from_the_servers_is_told(host: WholeHost, ahead: int, said: str) -> None:
    """As the last session saw it."""
    host.log("session_open", clock_ahead_seconds=ahead)
    assert said in found(host, "CLOCK_SKEW").message


def test_a_clock_before_this_program_was_made_is_told(host: WholeHost) -> None:
    """An unstamped build was made in 1970."""
    assert "CLOCK_SKEW" in host.signs(datetime(1969, 12, 31, tzinfo=UTC))


@pytest.fixture
def web() -> Iterator[HTTPServer]:
    """Give a web server that knows no file, and breaks below /broken/."""

    class Page(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(503 if self.path.startswith("/broken/") else 404)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_mirrors_that_do_not_answer_are_told_one_by_one(host: WholeHost, web: HTTPServer) -> None:
    """One that answers counts, whatever it says of a file that need not be there."""
    good = f"http://127.0.0.1:{web.server_port}/repo/{{path}}"
    broken = f"http://127.0.0.1:{web.server_port}/broken/{{path}}"
    with socket.create_server(("127.0.0.1", 0)) as door:
        closed = f"http://127.0.0.1:{door.getsockname()[1]}/{{path}}"
    gone = (host.root / "gone" / "x").as_uri().replace("/x", "/{path}")
    listed = ", ".join(f'"{pattern}"' for pattern in (good, broken, closed, gone))
    host.settings("mirrors = [", f"mirrors = [{listed}, ")
    findings = host.look().findings
    assert [(each.sign.value, each.subject) for each in findings] == [
        ("MIRROR_UNREACHABLE", broken),
        ("MIRROR_UNREACHABLE", closed),
        ("MIRROR_UNREACHABLE", gone),
    ]
    assert "HTTP 503" in findings[0].message
    assert "refused" in findings[1].message
    assert "there is no folder" in findings[2].message


def test_a_mirror_whose_certificate_nobody_vouches_for_is_told(host: WholeHost) -> None:
    """By the words of TLS, not as one that is down."""
    pattern = f"https://127.0.0.1:{host.server.port}/{{path}}"
    assert "certificate" in mirrors.why_unreachable(pattern).lower()
