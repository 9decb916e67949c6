"""The proxy does what it says: each disturbance is seen from both ends, and ends when it is healed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from typing import TYPE_CHECKING

import pytest

from tests.faults.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SOON = 5.0
"""Seconds within which something that must happen happens."""
A_WHILE = 0.15
"""Seconds in which something that must not happen would have happened."""


class Echo:
    """A server that sends back what it gets, counts connections, and says when a client half-closes."""

    def __init__(self) -> None:
        self.connections = 0
        self.ended: asyncio.Event = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
            self.ended.set()
            writer.write(b"bye")
        writer.close()


@contextlib.asynccontextmanager
async def _proxied() -> AsyncIterator[tuple[Proxy, Echo]]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    async with server, Proxy.to("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        yield proxy, echo


@contextlib.asynccontextmanager
async def _client(proxy: Proxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes) -> bytes:
    writer.write(text)
    await writer.drain()
    return await asyncio.wait_for(reader.readexactly(len(text)), SOON)


async def test_undisturbed_it_passes_everything_both_ways() -> None:
    async with _proxied() as (proxy, echo), _client(proxy) as (reader, writer):
        big = bytes(range(256)) * 2000
        assert await _ask(reader, writer, big) == big
        assert (proxy.up.passed_bytes, proxy.down.passed_bytes) == (len(big), len(big))
        assert (proxy.accepted, proxy.open_connections, echo.connections) == (1, 1, 1)


async def test_a_cut_resets_both_ends_and_new_connections_work() -> None:
    async with _proxied() as (proxy, echo), _client(proxy) as (reader, writer):
        await _ask(reader, writer, b"one")
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(1), SOON)
        async with _client(proxy) as (again, again_writer):
            assert await _ask(again, again_writer, b"two") == b"two"
        assert echo.connections == 2


async def test_a_cut_at_a_byte_lets_exactly_that_many_pass() -> None:
    async with _proxied() as (proxy, _), _client(proxy) as (reader, writer):
        proxy.down.cut_at_bytes = 5
        writer.write(b"0123456789")
        seen = b""
        with contextlib.suppress(ConnectionResetError):
            while data := await asyncio.wait_for(reader.read(100), SOON):
                seen += data
        assert b"01234".startswith(seen)
        assert proxy.down.passed_bytes == 5
        proxy.heal()
        async with _client(proxy) as (again, again_writer):
            assert await _ask(again, again_writer, b"0123456789") == b"0123456789"


async def test_refusing_resets_new_connections_and_keeps_open_ones() -> None:
    async with _proxied() as (proxy, echo), _client(proxy) as (reader, writer):
        await _ask(reader, writer, b"one")
        proxy.refusing = True
        async with _client(proxy) as (refused, _):
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(refused.read(1), SOON)
        assert await _ask(reader, writer, b"two") == b"two"
        assert echo.connections == 1


async def test_a_black_hole_one_way_holds_bytes_until_it_is_healed() -> None:
    async with _proxied() as (proxy, _), _client(proxy) as (reader, writer):
        proxy.down.black_hole()
        writer.write(b"held")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), A_WHILE)
        assert proxy.up.passed_bytes == 4
        assert proxy.down.passed_bytes == 0
        proxy.heal()
        assert await asyncio.wait_for(reader.readexactly(4), SOON) == b"held"


async def test_a_black_hole_hides_that_an_end_is_gone() -> None:
    """A pulled cable carries no FIN and no reset either."""
    async with _proxied() as (proxy, echo):
        async with _client(proxy) as (reader, writer):
            await _ask(reader, writer, b"one")
            proxy.black_hole()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(echo.ended.wait(), A_WHILE)
        assert proxy.open_connections == 1
        proxy.heal()
        async with asyncio.timeout(SOON):
            while proxy.open_connections:
                await asyncio.sleep(0.01)


async def test_a_new_connection_into_a_black_hole_reaches_nobody() -> None:
    async with _proxied() as (proxy, echo):
        proxy.black_hole()
        async with _client(proxy) as (reader, writer):
            writer.write(b"x")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), A_WHILE)
            assert echo.connections == 0
            proxy.heal()
            assert await asyncio.wait_for(reader.readexactly(1), SOON) == b"x"


async def test_a_delay_holds_for_each_way_and_keeps_the_order() -> None:
    async with _proxied() as (proxy, _), _client(proxy) as (reader, writer):
        proxy.up.delay_seconds = 0.1
        proxy.down.delay_seconds = 0.2
        loop = asyncio.get_running_loop()
        before = loop.time()
        for number in range(10):
            writer.write(b"%d" % number)
            await writer.drain()
        assert await asyncio.wait_for(reader.readexactly(10), SOON) == b"0123456789"
        assert 0.3 <= loop.time() - before < 1.5, "bytes are on their way together, not one after the other"


async def test_a_throttle_bounds_the_rate() -> None:
    async with _proxied() as (proxy, _), _client(proxy) as (reader, writer):
        proxy.down.bytes_per_second = 100_000
        before = asyncio.get_running_loop().time()
        await _ask(reader, writer, b"x" * 48 * 1024)
        assert asyncio.get_running_loop().time() - before >= 0.3


async def test_a_half_close_ends_one_way_and_the_other_goes_on() -> None:
    async with _proxied() as (proxy, echo), _client(proxy) as (reader, writer):
        await _ask(reader, writer, b"one")
        proxy.half_close("up")
        await asyncio.wait_for(echo.ended.wait(), SOON)
        assert await asyncio.wait_for(reader.read(), SOON) == b"bye"
        writer.write(b"lost")
        await writer.drain()


async def test_a_clients_own_half_close_passes() -> None:
    async with _proxied() as (proxy, echo), _client(proxy) as (reader, writer):
        await _ask(reader, writer, b"one")
        writer.write_eof()
        await asyncio.wait_for(echo.ended.wait(), SOON)
        assert await asyncio.wait_for(reader.read(), SOON) == b"bye"


async def test_a_target_that_is_gone_shows_as_a_reset_and_a_new_target_is_used() -> None:
    async with _proxied() as (proxy, echo):
        right = proxy.target
        proxy.target = ("127.0.0.1", 1)
        async with _client(proxy) as (reader, _):
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(reader.read(1), SOON)
        proxy.target = right
        async with _client(proxy) as (reader, writer):
            assert await _ask(reader, writer, b"one") == b"one"
        assert echo.connections == 1


async def test_nothing_is_left_behind_after_the_end() -> None:
    async with _proxied() as (proxy, _):
        before = len(asyncio.all_tasks())
        async with Proxy.to(*proxy.target) as other:
            port = other.port
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await _ask(reader, writer, b"one")
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(1), SOON) == b""
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        assert len(asyncio.all_tasks()) <= before + 1


async def test_a_connection_that_still_waits_in_the_dark_is_closed_with_the_proxy() -> None:
    """A transport that nobody closed is an error of whichever test runs when it is collected."""
    async with _proxied() as (proxy, _), Proxy.to(*proxy.target) as other:
        other.black_hole()
        _, writer = await asyncio.open_connection("127.0.0.1", other.port)
        while not other.accepted:
            await asyncio.sleep(0)
        writer.close()
    gc.collect()
