"""Channel options: both ends fit together, and a dead line is noticed although nobody says so."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import grpc
import pytest

from fleetroll_common.wire import channel, handshake
from tests.faults.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SOON = 10.0
CLIENTS = {"agent": channel.AGENT_OPTIONS, "admin": channel.ADMIN_OPTIONS, "watch": channel.WATCH_OPTIONS}


@pytest.mark.parametrize("options", CLIENTS.values(), ids=CLIENTS)
def test_a_server_allows_the_pings_of_its_clients(options: channel.Options) -> None:
    """Otherwise it would cut every idle stream off with "too many pings"."""
    server, client = dict(channel.SERVER_OPTIONS), dict(options)
    assert server["grpc.http2.min_ping_interval_without_data_ms"] * 2 <= client["grpc.keepalive_time_ms"]
    assert client["grpc.http2.max_pings_without_data"] == 0


def test_a_dead_line_is_noticed_before_three_heartbeats_are_missed() -> None:
    noticed_seconds = (channel.KEEPALIVE_MS + channel.KEEPALIVE_TIMEOUT_MS) / 1000
    assert noticed_seconds < handshake.HEARTBEAT_SECONDS * handshake.MISSED_HEARTBEATS


@pytest.mark.parametrize("options", [channel.SERVER_OPTIONS, *CLIENTS.values()])
def test_no_option_is_given_twice(options: channel.Options) -> None:
    assert len(dict(options)) == len(options)


def test_the_largest_metadata_file_fits_into_a_message() -> None:
    assert channel.MAX_MESSAGE_BYTES > 4 * 1024 * 1024
    assert channel.CHUNK_BYTES < channel.MAX_MESSAGE_BYTES


async def _hold(requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
    """Answer each message, and hold the stream open."""
    async for request in requests:
        await context.write(request)


@contextlib.asynccontextmanager
async def _server(options: channel.Options) -> AsyncIterator[int]:
    server = grpc.aio.server(options=options)
    handler = grpc.method_handlers_generic_handler("test", {"Hold": grpc.stream_stream_rpc_method_handler(_hold)})
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


def _quick(options: channel.Options) -> channel.Options:
    """Return the options with shorter times; everything else stays as it is."""
    times = {"grpc.keepalive_time_ms": 300, "grpc.keepalive_timeout_ms": 300, "grpc.http2.ping_timeout_ms": 300}
    times["grpc.http2.min_ping_interval_without_data_ms"] = 100
    return tuple((name, times.get(name, value)) for name, value in options)


@contextlib.asynccontextmanager
async def _stream(port: int, options: channel.Options) -> AsyncIterator[grpc.aio.StreamStreamCall[bytes, bytes]]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as opened:
        call: grpc.aio.StreamStreamCall[bytes, bytes] = opened.stream_stream("/test/Hold")()
        await call.write(b"x")
        assert await asyncio.wait_for(call.read(), SOON) == b"x"
        yield call
        call.cancel()


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_black_hole_ends_a_clients_stream(name: str) -> None:
    async with (
        _server(_quick(channel.SERVER_OPTIONS)) as port,
        Proxy.to("127.0.0.1", port) as proxy,
        _stream(proxy.port, _quick(CLIENTS[name])) as call,
    ):
        proxy.black_hole()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asyncio.wait_for(call.read(), SOON)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        proxy.heal()


@pytest.mark.parametrize("options", [channel.SERVER_OPTIONS, *CLIENTS.values()])
def test_a_ping_has_no_longer_limit_than_the_keepalive(options: channel.Options) -> None:
    """gRPC's own is 60 s, and wins where bytes vanish."""
    keepalive_ms = dict(options)["grpc.keepalive_timeout_ms"]
    assert dict(options)["grpc.http2.ping_timeout_ms"] == keepalive_ms <= channel.KEEPALIVE_TIMEOUT_MS


async def test_an_idle_stream_is_kept_open_by_pings_and_not_punished_for_them() -> None:
    async with (
        _server(_quick(channel.SERVER_OPTIONS)) as port,
        _stream(port, _quick(channel.AGENT_OPTIONS)) as call,
    ):
        reading = asyncio.ensure_future(call.read())
        done, _ = await asyncio.wait([reading], timeout=2.0)
        assert not done
        assert not call.done()
        reading.cancel()


async def test_each_agent_in_a_process_has_a_connection_of_its_own() -> None:
    async with (
        _server(channel.SERVER_OPTIONS) as port,
        Proxy.to("127.0.0.1", port) as proxy,
        _stream(proxy.port, channel.AGENT_OPTIONS),
        _stream(proxy.port, channel.AGENT_OPTIONS),
    ):
        assert proxy.accepted == 2


async def test_a_second_server_on_the_same_port_is_refused() -> None:
    """Two servers that share a port by accident would each see half of the agents."""
    async with _server(channel.SERVER_OPTIONS) as port:
        second = grpc.aio.server(options=channel.SERVER_OPTIONS)
        with pytest.raises(RuntimeError, match="Failed to bind"):
            second.add_insecure_port(f"127.0.0.1:{port}")
        await second.stop(None)
