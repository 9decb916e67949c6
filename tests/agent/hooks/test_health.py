"""Health: every kind of answer, and every way of not getting one."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.hooks.health import field_of, probe, unit_tail
from fleetroll_agent.hooks.page import MAX_BODY_BYTES
from fleetroll_agent.hooks.specs import CommandHealth, Health, HttpHealth, TcpHealth, UnitHealth
from fleetroll_server.certificates import issue_leaf, make_ca
from tests.faults.hooks import ENV, ROOT, program
from tests.faults.pages import Pages, answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

OK = answer(b"all is well")


@pytest.fixture
async def pages() -> AsyncIterator[Pages]:
    made = Pages()
    yield made
    await made.close()


async def ask(pages: Pages, reply: bytes, **wanted: object) -> Health:
    """Return the health that a page with these bytes stands for."""
    url = await pages.serve(reply)
    return await probe(HttpHealth(url, **wanted), ENV)  # type: ignore[arg-type]


async def test_a_page_with_the_wanted_status_is_healthy(pages: Pages) -> None:
    """It was asked for with one well-formed request that keeps no connection."""
    assert await ask(pages, OK) == Health(healthy=True, message="status 200")
    (request,) = pages.requests
    assert request.split("\r\n") == [
        "GET /health?x=1 HTTP/1.1",
        f"Host: 127.0.0.1:{pages.port}",
        "User-Agent: fleetroll-agent",
        "Accept: */*",
        "Connection: close",
        "",
        "",
    ]


@pytest.mark.parametrize("status", ["500 Oh", "301 Moved\r\nLocation: /ok", "204 Empty", "404"])
async def test_another_status_is_not_healthy(pages: Pages, status: str) -> None:
    """Redirects are not followed."""
    health = await ask(pages, answer(b"", status))
    assert health == Health(healthy=False, message=f"the page has status {status[:3]}, not 200")
    assert len(pages.requests) == 1


async def test_a_page_that_is_not_as_wanted_is_told_with_its_beginning(pages: Pages) -> None:
    """On one line, harmless, bounded, and without secrets: whoever is called at night reads why."""
    body = b"database is away\r\n\r\n  user=shop password=hunter2\x1b[2J\n" + b"z" * 5000
    url = await pages.serve(answer(body, "503 No"))
    health = await probe(HttpHealth(url), ENV, (re.compile(r"password=\S+"),))
    said = "the page has status 503, not 200; it says: database is away | user=shop ***"
    assert health.message.startswith(said)
    assert "\x1b" not in health.message
    assert len(health.message) <= len("the page has status 503, not 200; it says: ") + 200
    wanted = await ask(pages, answer(b"starting up"), contains="ready")
    assert wanted.message == "the page does not say 'ready'; it says: starting up"


async def test_a_line_that_patterns_can_not_see_the_end_of_is_not_shown(pages: Pages) -> None:
    """Half a secret fits no pattern."""
    body = b"password=" + b"x" * MAX_BODY_BYTES
    for patterns, shown in (((re.compile(r"password=x+$"),), False), ((), True)):
        health = await probe(HttpHealth(await pages.serve(answer(body, "500 No"))), ENV, patterns)
        assert ("xxx" in health.message) is shown


async def test_the_wanted_status_may_be_any(pages: Pages) -> None:
    """Some products say 204."""
    assert (await ask(pages, answer(b"", "204 No Content"), status=204)).healthy


@pytest.mark.parametrize(("text", "healthy"), [("is well", True), ("is ill", False)])
async def test_the_wanted_text_must_be_in_the_body(pages: Pages, text: str, healthy: bool) -> None:
    """A page of the proxy before the product answers 200 too."""
    assert (await ask(pages, OK, contains=text)).healthy is healthy


@pytest.mark.parametrize(
    "body",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6;x=y\r\nall is\r\n5\r\n well\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nall is well",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK,
        OK + b"more than was announced",
    ],
    ids=["chunks", "to the end", "hints before", "more than announced"],
)
async def test_bodies_of_every_form_are_read(pages: Pages, body: bytes) -> None:
    """As servers send them."""
    assert (await ask(pages, body, contains="all is well")).healthy


@pytest.mark.parametrize(
    ("field", "version"), [("version", "1.2.3"), ("build.info.0.number", "17"), ("build.rate", "1.5")]
)
async def test_the_version_is_read_at_its_place(pages: Pages, field: str, version: str) -> None:
    """Names joined by dots, numbers for places in lists; numbers are taken as they stand."""
    body = b'{"version": "1.2.3", "build": {"info": [{"number": 17}], "rate": 1.5}}'
    assert (await ask(pages, answer(body), version_field=field)) == Health(
        healthy=True, message="status 200", version=version
    )


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>", "no JSON"),
        (b"[" * 60_000, "no JSON"),
        (b"\xff", "no JSON"),
        (b"{}", "no version at 'a.b'"),
        (b'{"a": []}', "no version at"),
        (b'{"a": {"b": null}}', "no version at"),
        (b'{"a": {"b": true}}', "no version at"),
        (b'{"a": {"b": ""}}', "no version at"),
        (b'{"a": {"b": {}}}', "no version at"),
        (b'"a.b"', "no version at"),
        (b'{"a": {"b": "1"}}' + b" " * MAX_BODY_BYTES, "more than 65536 bytes"),
    ],
)
async def test_a_page_that_does_not_tell_its_version_is_not_healthy(pages: Pages, body: bytes, why: str) -> None:
    """What was asked for must be there."""
    health = await ask(pages, answer(body), version_field="a.b")
    assert (health.healthy, why in health.message, health.version) == (False, True, "")


def test_places_in_lists_are_bounded() -> None:
    """A list that is too short has no version."""
    with pytest.raises(LookupError):
        field_of([1], "1")
    with pytest.raises(LookupError):
        field_of([1], "-1")
    assert field_of([["x"]], "0.0") == "x"


async def test_of_an_endless_body_only_the_beginning_is_read(pages: Pages) -> None:
    """It does not even take until the limit."""
    pages.endless = b"x" * 65536
    health = await ask(pages, b"HTTP/1.1 200 OK\r\n\r\nall is well", contains="is well", limit_seconds=30)
    assert health.healthy
    pages.endless = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert not (await ask(pages, head, contains="y", limit_seconds=30)).healthy


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 9,
    ],
)
async def test_what_is_no_whole_answer_is_not_healthy(pages: Pages, reply: bytes) -> None:
    """Cut off, oversized, or of another protocol."""
    health = await ask(pages, reply)
    assert health == Health(healthy=False, message="the answer is not whole, or is no HTTP")


@pytest.mark.parametrize("drip", [None, b"x"], ids=["silent", "one byte at a time"])
async def test_a_page_that_takes_too_long_is_not_healthy(pages: Pages, drip: bytes | None) -> None:
    """The limit is on the whole answer: a server that sends a byte now and then does not outwit it."""
    pages.hang, pages.drip = True, drip
    health = await ask(pages, b"HTTP/1.1 200 OK\r\n\r\n", contains="y", limit_seconds=0.3)
    assert health == Health(healthy=False, message="no answer within 0.3 s")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/",
        "http://",
        "health",
        "http://user:secret@x/",
        "http://x:99999/",
        "http://x/a b",
        "http://x/\r\nHost: y",
        "http://[::1/",
        "http://ü/",
    ],
)
async def test_an_address_that_can_not_be_asked_is_not_healthy(url: str) -> None:
    """And reaches no server."""
    health = await probe(HttpHealth(url), ENV)
    assert (health.healthy, health.message.startswith("url: ")) == (False, True)


async def test_a_server_that_is_not_there_is_not_healthy() -> None:
    """By page and by port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for spec in (HttpHealth(f"http://127.0.0.1:{port}/"), TcpHealth("127.0.0.1", port)):
        health = await probe(spec, ENV)
        assert (health.healthy, health.message.startswith("it could not be asked: ")) == (False, True)


async def test_a_certificate_is_verified(pages: Pages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Healthy only where the host trusts who signed it."""
    now = datetime.now(UTC)
    ca = make_ca("CA", now)
    leaf = issue_leaf(ca, ["127.0.0.1"], now)
    (tmp_path / "leaf.pem").write_bytes(leaf.certificate + leaf.key)
    (tmp_path / "ca.pem").write_bytes(ca.certificate)
    pages.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pages.tls.load_cert_chain(tmp_path / "leaf.pem")
    untrusted = await ask(pages, OK)
    assert (untrusted.healthy, "the certificate is not trusted" in untrusted.message) == (False, True)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert (await ask(pages, OK)).healthy


async def test_a_port_that_takes_connections_is_healthy(pages: Pages) -> None:
    """Nothing is said on it."""
    await pages.serve(b"")
    health = await probe(TcpHealth("127.0.0.1", pages.port), ENV)
    assert health == Health(healthy=True, message=f"port {pages.port} takes connections")


async def test_a_port_that_answers_too_late_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall that swallows everything."""

    async def swallowed(*_where: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio, "open_connection", swallowed)
    health = await probe(TcpHealth("192.0.2.1", 9, limit_seconds=0.1), ENV)
    assert health == Health(healthy=False, message="no answer within 0.1 s")


@pytest.mark.parametrize(
    ("script", "want"),
    [
        ("echo fine", Health(healthy=True, message="fine")),
        ("true", Health(healthy=True, message="it ended with exit code 0")),
        ("echo hunter2; exit 2", Health(healthy=False, message="it ended with exit code 2: ***")),
        ("false", Health(healthy=False, message="it ended with exit code 1")),
    ],
)
async def test_a_command_says_by_its_exit_code_whether_it_is_healthy(script: str, want: Health) -> None:
    """Its last line is the message, without secrets."""
    assert await probe(CommandHealth(("/bin/sh", "-c", script)), ENV, [re.compile("hunter2")]) == want


async def test_a_command_that_takes_too_long_or_is_not_there_is_not_healthy() -> None:
    """Nor one whose user is not there."""
    late = await probe(CommandHealth(("sleep", "60"), limit_seconds=0.2), ENV)
    assert (late.healthy, "longer than its limit" in late.message) == (False, True)
    absent = await probe(CommandHealth(("no-such-program",)), ENV)
    assert (absent.healthy, "can't start no-such-program" in absent.message) == (False, True)
    nobody = await probe(CommandHealth(("true",), ROOT, "no-such-user"), ENV)
    assert (nobody.healthy, "no-such-user" in nobody.message) == (False, True)


@pytest.mark.parametrize(
    ("script", "want"),
    [
        ("echo active", Health(healthy=True, message="unit shop.service: active")),
        ("echo failed; exit 3", Health(healthy=False, message="unit shop.service: failed")),
        ("exit 4", Health(healthy=False, message="unit shop.service: no answer")),
        ("kill -9 $$", Health(healthy=False, message="unit shop.service: it was ended by SIGKILL")),
    ],
)
async def test_a_unit_is_healthy_when_systemd_calls_it_active(tmp_path: Path, script: str, want: Health) -> None:
    """The unit's name can't become an option."""
    program(tmp_path / "systemctl", f'[ "$*" = "is-active -- shop.service" ] || exit 99\n{script}')
    assert await probe(UnitHealth("shop.service"), {"PATH": f"{tmp_path}:/bin"}) == want


async def test_a_unit_on_a_host_without_systemd_is_not_healthy(tmp_path: Path) -> None:
    """Nobody can say that it is."""
    health = await probe(UnitHealth("shop.service"), {"PATH": str(tmp_path)})
    assert (health.healthy, "can't start systemctl" in health.message) == (False, True)


async def test_the_last_lines_of_a_unit_are_told_where_they_can_be_had(tmp_path: Path) -> None:
    """Without secrets; a host that can't tell has none."""
    env = {"PATH": f"{tmp_path}:/bin"}
    asked = '[ "$*" = "-u shop.service -n 40 --no-pager" ] || exit 99\n'
    program(tmp_path / "journalctl", f"{asked}echo one; echo hunter2")
    assert await unit_tail("shop.service", env, [re.compile("hunter2")]) == "one\n***"
    program(tmp_path / "journalctl", "echo no journal; exit 1")
    assert await unit_tail("shop.service", env) == ""
    assert await unit_tail("shop.service\0", env) == ""
