"""Statements that a server makes to itself: receipts and session tokens, under a key that all servers of a fleet share.

HMAC-SHA256, compared in constant time. Agents keep these bytes and hand them back; they can't make or change one.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass
from datetime import datetime, timezone

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.wire.signing import join_fields, number

SERVER_KEY_BYTES = 32
"""As long as the hash's output: a shorter key is weaker, a longer one is not stronger (RFC 2104)."""
MAC_BYTES = 32

RECEIPT_CONTEXT = b"fleetroll/receipt/v1"
SESSION_CONTEXT = b"fleetroll/session-token/v1"
ENROLMENT_CONTEXT = b"fleetroll/enrolment-receipt/v1"
CONTEXTS = (RECEIPT_CONTEXT, SESSION_CONTEXT, ENROLMENT_CONTEXT)

_TOKEN_VERSION = 1
_HEAD = struct.Struct(">BQQ")
"""Version, epoch, expiry in whole seconds since 1970; the agent's id and the MAC follow."""


@dataclass(frozen=True)
class SessionClaims:
    """What a valid session token says."""

    agent_id: str
    epoch: int
    expires_at: datetime


def receipt_mac(server_key: bytes, incarnation: str, agent_id: str, epoch: int) -> bytes:
    """Return the MAC that proves to any server that this incarnation welcomed this agent at this epoch."""
    return _mac(server_key, join_fields(RECEIPT_CONTEXT, (incarnation.encode(), agent_id.encode(), number(epoch))))


def receipt_holds(server_key: bytes, incarnation: str, agent_id: str, epoch: int, mac: bytes) -> bool:
    """Tell whether a receipt shown by an agent was made under ``server_key``.

    A wrong one is no error: an agent of another fleet, or of before a change of the key, shows one too.
    """
    return hmac.compare_digest(receipt_mac(server_key, incarnation, agent_id, epoch), mac)


def enrolment_mac(server_key: bytes, receipt: bytes) -> bytes:
    """Return the MAC over the serialized receipt of an enrolment."""
    return _mac(server_key, join_fields(ENROLMENT_CONTEXT, (receipt,)))


def enrolment_holds(server_key: bytes, receipt: bytes, mac: bytes) -> bool:
    """Tell whether the received bytes ``receipt`` are an enrolment made under ``server_key``."""
    return hmac.compare_digest(enrolment_mac(server_key, receipt), mac)


def session_token(server_key: bytes, agent_id: str, epoch: int, expires_at: datetime) -> bytes:
    """Return a token for unary calls of one session; its expiry is cut to whole seconds.

    Args:
        server_key: shared by all servers of the database.
        agent_id: whom the session belongs to.
        epoch: of the session: a newer session makes older tokens worthless.
        expires_at: aware; 15 min ahead by default (names.md), renewed on the stream before.
    """
    said = _HEAD.pack(_TOKEN_VERSION, epoch, int(expires_at.timestamp())) + agent_id.encode()
    return said + _mac(server_key, join_fields(SESSION_CONTEXT, (said,)))


def read_session_token(server_key: bytes, token: bytes, now: datetime) -> SessionClaims:
    """Return what ``token`` says. The caller MUST compare its epoch with the agent's row: :func:`require_epoch`.

    Raises:
        RequestError: UNAUTHENTICATED: not made under ``server_key``, or over (caller's fault). An expiry is named only
            after the MAC was found good.
    """
    said, mac = token[:-MAC_BYTES], token[-MAC_BYTES:]
    if not hmac.compare_digest(_mac(server_key, join_fields(SESSION_CONTEXT, (said,))), mac):
        raise _refused("session token: it was not made by this server")
    version, epoch, expires_seconds = _HEAD.unpack_from(said)
    if version != _TOKEN_VERSION:
        raise _refused(f"session token: version {version} is not known")
    expires_at = datetime.fromtimestamp(expires_seconds, timezone.utc)
    if now >= expires_at:
        raise _refused(f"session token: it ended at {expires_at.isoformat()}")
    return SessionClaims(said[_HEAD.size :].decode(), epoch, expires_at)


def require_epoch(claims: SessionClaims, row_epoch: int) -> None:
    """Return when the token belongs to the agent's newest session.

    Raises:
        RequestError: RECONNECT: a newer hello, or a revocation, raised the epoch.
    """
    if claims.epoch != row_epoch:
        message = f"session token: it is of epoch {claims.epoch}, the agent's is {row_epoch}"
        raise RequestError(message, code=Code.RECONNECT, remedy="open the stream again", agent=claims.agent_id)


def _mac(server_key: bytes, message: bytes) -> bytes:
    """Return HMAC-SHA256 of ``message``."""
    return hmac.new(server_key, message, hashlib.sha256).digest()


def _refused(message: str) -> RequestError:
    """Return the one error of a token that does not count."""
    return RequestError(message, code=Code.UNAUTHENTICATED, remedy="open the stream again for a fresh token")
