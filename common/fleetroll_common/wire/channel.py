"""gRPC channel options of both ends, in one place: a server that forbids the pings of its agents cuts them all off.

Four lists: an agent's channel, an administrator's, that of an administrator's watcher, a server's port, which all of
them use. Units are in the comments since gRPC's names have them only in part.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Options = tuple[tuple[str, int], ...]

MAX_MESSAGE_BYTES = 5 * 1024 * 1024
"""The largest message of the contract is one signed metadata file of 4 MiB; the rest is framing. A batch of 100 reports
with 6,000 characters each stays below it at four bytes a character."""

CHUNK_BYTES = 256 * 1024
"""Bytes of one piece of an artefact: the size at which transfers reached the disk's and TLS's own speed when
measured."""

KEEPALIVE_MS = 30_000
"""A silent connection is asked for a sign of life after this time. With the answer's time below, a peer behind a cable
that was pulled is noticed after 40 s: before the 60 s in which three heartbeats are missed."""
KEEPALIVE_TIMEOUT_MS = 10_000
"""How long the answer may take: a few retransmissions on a bad line."""
SERVER_MIN_PING_MS = 10_000
"""A server counts pings that come faster than this as bad; MUST stay well below ``KEEPALIVE_MS``. gRPC's own default is
5 min, and closes the connection with "too many pings" for every agent."""
SERVER_HANDSHAKE_MS = 20_000
"""A connection that has not finished TLS by then is dropped (gRPC's default is 120 s): it holds a socket and memory."""
ADMIN_RECONNECT_MS = 2_000
"""The longest wait of an administrator's channel before it tries again to connect."""
ADMIN_CONNECT_MS = 5_000
"""How long one try of an administrator's channel to connect may take, TLS with it; gRPC waits 20 s by itself."""
ADMIN_KEEPALIVE_MS = 20_000
ADMIN_KEEPALIVE_TIMEOUT_MS = 5_000
"""A call on a line on which bytes vanish fails after 25 s: before a person's patience, and the 30 s of a command, end.
MUST stay well above ``SERVER_MIN_PING_MS``."""
MAX_CALLS_PER_CONNECTION = 100
"""Calls at one time on one connection: an agent has its stream and a few downloads, a console some dozens."""

_BOTH = MappingProxyType(
    {
        "grpc.keepalive_time_ms": KEEPALIVE_MS,
        "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
        # The answer to a ping has a time limit of its own, 60 s by default: without this one a line on which bytes
        # vanish is noticed after 90 s, whatever the line above says (measured with grpcio 1.85).
        "grpc.http2.ping_timeout_ms": KEEPALIVE_TIMEOUT_MS,
        # 0 = no bound on pings without data: gRPC's default of 2 would let an idle stream die unnoticed.
        "grpc.http2.max_pings_without_data": 0,
        # 0 = off. The probe of bandwidth costs 30 % of the CPU on streams with few, slow messages (measured).
        "grpc.http2.bdp_probe": 0,
        "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
        "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
    }
)

_CLIENT = MappingProxyType(
    {
        # 0 = no pings while no call is open: an agent always has its stream, an idle console needs none.
        "grpc.keepalive_permit_without_calls": 0,
        # 0 = gRPC repeats nothing by itself: repeating, and how soon, is decided by rules that are tested.
        "grpc.enable_retries": 0,
    }
)

_AGENT = MappingProxyType(
    {
        # 1 = a connection of its own per channel. Agents in one process would share one otherwise, and a channel that
        # is opened after a failure would inherit the broken one with its waiting time.
        "grpc.use_local_subchannel_pool": 1,
    }
)

_ADMIN = MappingProxyType(
    {
        # A person watches a rollout through a restart of the server: gRPC's own waits grow to two minutes, in which an
        # outcome would not be shown. Agents need no such bound: they open a new channel each time, by their own rules.
        "grpc.max_reconnect_backoff_ms": ADMIN_RECONNECT_MS,
        "grpc.min_reconnect_backoff_ms": ADMIN_CONNECT_MS,
        "grpc.keepalive_time_ms": ADMIN_KEEPALIVE_MS,
        "grpc.keepalive_timeout_ms": ADMIN_KEEPALIVE_TIMEOUT_MS,
        "grpc.http2.ping_timeout_ms": ADMIN_KEEPALIVE_TIMEOUT_MS,
    }
)

_WATCH = MappingProxyType(
    {
        # 1 = a connection of its own per channel: a watcher that starts over must not get the half-dead line back.
        "grpc.use_local_subchannel_pool": 1,
    }
)

_SERVER = MappingProxyType(
    {
        "grpc.http2.min_ping_interval_without_data_ms": SERVER_MIN_PING_MS,
        # 0 = a peer that pings too often is not cut off: a storm of reconnects must not feed itself.
        "grpc.http2.max_ping_strikes": 0,
        "grpc.keepalive_permit_without_calls": 1,
        "grpc.server_handshake_timeout_ms": SERVER_HANDSHAKE_MS,
        "grpc.max_concurrent_streams": MAX_CALLS_PER_CONNECTION,
        # 0 = a second server on the same port is refused by the system. gRPC's default shares the port silently.
        "grpc.so_reuseport": 0,
    }
)


def _options(*parts: Mapping[str, int]) -> Options:
    """Return the union of ``parts`` in the form that gRPC takes; of an option in several the last one holds."""
    union: dict[str, int] = {}
    for part in parts:
        union.update(part)
    return tuple(union.items())


AGENT_OPTIONS: Options = _options(_BOTH, _CLIENT, _AGENT)
ADMIN_OPTIONS: Options = _options(_BOTH, _CLIENT, _ADMIN)
WATCH_OPTIONS: Options = _options(_BOTH, _CLIENT, _ADMIN, _WATCH)
SERVER_OPTIONS: Options = _options(_BOTH, _SERVER)
