"""Sizes, names and the choice of a protocol version: what both ends of the handshake take from one place."""

from __future__ import annotations

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

NONCE_BYTES = 32
"""Random bytes of a challenge: two challenges never share one."""
RATCHET_BYTES = 32
"""Random bytes of a ratchet: not to be guessed by a copy that has fallen behind."""

PROTOCOL = 1
"""The protocol version of this code. A server speaks this one and the one before (there is none before 1)."""
PROTOCOL_OLDEST = 1

SESSION_TOKEN_KEY = "fleetroll-session-bin"  # noqa: S105 (a name, not a secret)
"""Metadata key of the session token in unary calls; ``-bin``: gRPC carries the bytes as they are."""

HANDSHAKE_SECONDS = 20.0
"""How long an agent waits for its server's next message before the session is open, and a server for the commit of a
hello. A server waits less for the agent's words: whoever says nothing must not hold a place in the handshake."""
HEARTBEAT_SECONDS = 20.0
MISSED_HEARTBEATS = 3
"""An agent is offline after this many (60 s): one lost segment and its retransmissions fit into two."""
SESSION_TOKEN_SECONDS = 15 * 60


def choose_protocol(lowest: int, highest: int) -> int:
    """Return the version that a server speaks with an agent that offers ``lowest`` to ``highest``.

    Raises:
        RequestError: PROTOCOL_UNSUPPORTED: the two ranges do not meet, or the agent's is empty (peer's fault).
    """
    chosen = min(highest, PROTOCOL)
    if lowest < 1 or chosen < max(lowest, PROTOCOL_OLDEST):
        message = f"protocol: the agent speaks {lowest} to {highest}, this server {PROTOCOL_OLDEST} to {PROTOCOL}"
        remedy = (
            "update the server first" if lowest > PROTOCOL else "update the agent from this server's oldest release"
        )
        raise RequestError(message, code=Code.PROTOCOL_UNSUPPORTED, remedy=remedy)
    return chosen


def require_size(field: str, value: bytes, size: int) -> None:
    """Return when ``value`` has exactly ``size`` bytes.

    Raises:
        RequestError: INVALID_ARGUMENT naming ``field``; the value stays out of the message (peer's fault).
    """
    if len(value) != size:
        message = f"{field}: {len(value)} bytes, not {size}"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="the peer speaks another protocol", field=field)
