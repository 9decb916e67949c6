"""Checks of the way to the server: a fresh connection, and what the last session ended with."""

from __future__ import annotations

import contextlib
import socket
import ssl
from functools import partial
from typing import TYPE_CHECKING

from fleetroll_agent.doctor.patience import all_within
from fleetroll_agent.doctor.values import Finding, Sign
from fleetroll_agent.reading import agent_log
from fleetroll_agent.reading.instants import unix
from fleetroll_agent.session.hello import MAX_SKEW_SECONDS
from fleetroll_common.buildinfo import build_info

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll_agent.doctor.host import Host

CONNECT_SECONDS = 5.0
"""For the name, TCP and TLS of one address."""
LATE_SECONDS = 1.0
"""What looking up a name may take beyond that."""
LOST_SECONDS = 180.0
"""A session that broke is opened again within a minute, give or take the server's own wishes."""
_READMIT = (
    "an admin decides: fleetroll agents readmit HOST, then fleetroll-agent readmit with the string that it prints"
)
_REFUSALS = {
    "IDENTITY_REVOKED": _READMIT,
    "IDENTITY_FORKED": _READMIT,
    "IDENTITY_UNKNOWN": _READMIT,
    "BAD_SIGNATURE": _READMIT,
    "PROTOCOL_UNSUPPORTED": "agent and server are too far apart: update the older of the two",
    "CLOCK_SKEW": "set this host's clock",
}


def reachable(host: Host) -> Iterator[Finding]:
    """Tell what keeps this host from a connection with each of its server's addresses."""
    if host.identity is None:
        return
    enrolment = host.identity.enrolment
    late: Finding | None = Finding(Sign.SERVER_SILENT, "server", f"no answer within {CONNECT_SECONDS:g} s", _SILENT)
    works = [partial(try_address, address, enrolment.ca_pem) for address in enrolment.addresses]
    for finding in all_within(CONNECT_SECONDS + LATE_SECONDS, works, late):
        if finding is not None:
            yield finding


_SILENT = "look at the network between: routes, firewalls (TCP, this port), whether the server's machine is up"


def try_address(address: str, ca_pem: bytes) -> Finding | None:
    """Connect once; return what went wrong. Raises nothing.

    Args:
        address: host and port.
        ca_pem: certificates that are trusted, and no others.
    """
    name, _, port = address.rpartition(":")
    name = name.strip("[]")
    try:
        _connect(name, int(port), ca_pem)
    except socket.gaierror as error:
        remedy = f"look at this host's name servers (getent hosts {name}), or at what the server's name should be"
        return Finding(Sign.SERVER_NAME_UNKNOWN, address, f"the name {name} is not known: {error.strerror}", remedy)
    except ConnectionRefusedError:
        remedy = "see whether the server runs and listens there; a firewall may refuse as well"
        return Finding(Sign.SERVER_CLOSED, address, f"{address} refuses connections", remedy)
    except (ssl.SSLError, ssl.CertificateError) as error:
        why = getattr(error, "verify_message", "") or error.reason or str(error)
        text = f"what answers at {address} does not show a certificate of this host's CA: {why}"
        remedy = "see that it is the server (a proxy must pass TLS through), and its certificate and the clocks"
        return Finding(Sign.SERVER_CERTIFICATE, address, text, remedy)
    except (OSError, ValueError) as error:
        return Finding(Sign.SERVER_SILENT, address, f"{address} can't be reached: {_words(error)}", _SILENT)
    return None


def last_session(host: Host) -> Iterator[Finding]:
    """Tell how the last session ended, where none was opened since."""
    said = agent_log.last_word(host.log)
    if said is None:
        return
    why = f"{said['code'] or ''} {said['reason'] or ''}".strip() or "no reason was given"
    if said["how"] == "refused":
        remedy = _REFUSALS.get(str(said["code"]), "the agent asks again by itself; the code has a row in the handbook")
        text = f"the server refused this host: {why} ({said['at']})"
        yield Finding(Sign.SERVER_REFUSES, "server", text, remedy)
    elif host.runs and said["how"] in ("lost", "unreachable") and _is_long_ago(host, said["at"]):
        text = f"the last session ended and none was opened since: {why} ({said['at']})"
        remedy = f"the agent tries again by itself; its log says how that goes: {host.command('log')}"
        yield Finding(Sign.SERVER_LOST, "server", text, remedy)


def quarantine(host: Host) -> Iterator[Finding]:
    """Tell when the server has put this host into quarantine."""
    said = agent_log.last(host.log, "session_open")
    if said is not None and said.get("quarantined") is True:
        text = "a copy of this host's identity was seen: it gets no updates until it is readmitted"
        yield Finding(Sign.QUARANTINED, "server", text, _READMIT)


def clock(host: Host) -> Iterator[Finding]:
    """Tell when this host's clock is wrong: beside the server's in the last session, or older than this program."""
    said = agent_log.last(host.log, "session_open")
    ahead = None if said is None else said.get("clock_ahead_seconds")
    remedy = "set the clock, and see that it stays set: timedatectl, or the host's NTP service"
    if isinstance(ahead, (int, float)) and abs(ahead) > MAX_SKEW_SECONDS:
        what = "ahead of" if ahead > 0 else "behind"
        text = f"this host's clock was {abs(ahead):.0f} s {what} the server's: nothing new begins while that is so"
        yield Finding(Sign.CLOCK_SKEW, "clock", text, remedy)
    made = build_info().built_at
    if host.now < made:
        text = f"this host's clock shows {host.now:%Y-%m-%d}, before this program was made on {made:%Y-%m-%d}"
        yield Finding(Sign.CLOCK_SKEW, "clock", text, remedy)


def _connect(name: str, port: int, ca_pem: bytes) -> None:
    """Open a connection as the agent does, and close it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=ca_pem.decode("ascii"))
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((name, port), timeout=CONNECT_SECONDS) as line,
        context.wrap_socket(line, server_hostname=name) as secured,
        contextlib.suppress(OSError),
    ):
        secured.unwrap()


def _is_long_ago(host: Host, at: object) -> bool:
    """Tell whether an instant of the log is so far back that a new session should be open; True for none at all."""
    seconds = unix(at)
    return seconds is None or host.now.timestamp() - seconds > LOST_SECONDS


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_SECONDS:g} s"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
