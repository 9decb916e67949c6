"""A TCP proxy whose line a test disturbs while it runs: cut, delay, throttle, black hole, half-close, each way.

    async with Proxy.to("127.0.0.1", port) as proxy:
        connect(proxy.port)
        proxy.down.black_hole()      # nothing from the server arrives any more
        proxy.heal()

``up`` is from the client to the target, ``down`` the other way. A black hole holds bytes back and hides ends and
resets, as a pulled cable does; ``heal`` lets what was held flow on, as retransmissions would. Connections are dialled
through on accept, so that a target that is gone shows as a reset.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHUNK_BYTES = 16 * 1024
"""Read at a time; small enough for a throttle to be smooth."""
QUEUED_CHUNKS = 64
"""Held in one direction of one connection before the sender is no longer read: 1 MiB, like a kernel's buffers."""


class Line:
    """One direction, for all connections of a proxy. Settings hold from the next chunk on."""

    def __init__(self) -> None:
        """Start undisturbed."""
        self.delay_seconds = 0.0
        self.bytes_per_second: float | None = None
        self.passed_bytes = 0
        self.cut_at_bytes: int | None = None
        self._open = asyncio.Event()
        self._open.set()

    def black_hole(self) -> None:
        """Let nothing pass from now on, not even the news that an end is gone."""
        self._open.clear()

    def heal(self) -> None:
        """Take all settings back; held bytes flow on."""
        self.delay_seconds = 0.0
        self.bytes_per_second = None
        self.cut_at_bytes = None
        self._open.set()

    async def passing(self) -> None:
        """Return when the line is no black hole."""
        await self._open.wait()

    def allowance(self, wanted: int) -> int:
        """Return how many of ``wanted`` bytes may pass before the line is cut (see ``cut_at_bytes``)."""
        return wanted if self.cut_at_bytes is None else max(0, min(wanted, self.cut_at_bytes - self.passed_bytes))


class _Connection:
    """A client's socket and the one to the target, with a pump each way."""

    def __init__(self, client: asyncio.StreamWriter, target: asyncio.StreamWriter) -> None:
        self._writers = {"up": target, "down": client}
        self._half_closed: set[str] = set()

    async def run(self, up: tuple[asyncio.StreamReader, Line], down: tuple[asyncio.StreamReader, Line]) -> None:
        """Pump both ways until both have ended or the line is cut."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pump(*up, "up"))
                tasks.create_task(self._pump(*down, "down"))
        except* (ConnectionError, OSError):
            self.reset()
        finally:
            for writer in self._writers.values():
                writer.close()

    def half_close(self, way: str) -> None:
        """Say in direction ``way`` that nothing follows; what still comes from that side is dropped."""
        self._half_closed.add(way)
        with contextlib.suppress(OSError):
            self._writers[way].write_eof()

    def reset(self) -> None:
        """Cut both sockets with a reset: unsent bytes are lost."""
        for writer in self._writers.values():
            raw = writer.get_extra_info("socket")
            if raw is not None and raw.fileno() >= 0:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, line: Line, way: str) -> None:
        """Read on one side and hand over with the line's delay; the queue lets bytes be on their way together."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUED_CHUNKS)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._deliver(queue, line, way))
            while True:
                try:
                    data = await reader.read(CHUNK_BYTES)
                except ConnectionError:
                    await line.passing()
                    raise
                await queue.put((asyncio.get_running_loop().time() + line.delay_seconds, data))
                if not data:
                    return

    async def _deliver(self, queue: asyncio.Queue[tuple[float, bytes]], line: Line, way: str) -> None:
        """Write what is due; the empty chunk is the end."""
        loop = asyncio.get_running_loop()
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            await line.passing()
            if not data:
                self.half_close(way)
                return
            await self._write(data, line, way)

    async def _write(self, data: bytes, line: Line, way: str) -> None:
        """Write one chunk at the line's rate, up to the byte where it is cut."""
        if way in self._half_closed:
            return
        part = data[: line.allowance(len(data))]
        line.passed_bytes += len(part)
        self._writers[way].write(part)
        await self._writers[way].drain()
        if len(part) < len(data) or line.allowance(1) == 0:
            raise ConnectionResetError
        if line.bytes_per_second is not None:
            await asyncio.sleep(len(part) / line.bytes_per_second)


class Proxy:
    """Listens on a loopback port and passes connections on; see the module's docstring."""

    def __init__(self, host: str, port: int) -> None:
        """Aim at ``host:port``, which need not listen yet and may change (see ``target``)."""
        self.target = (host, port)
        self.up = Line()
        self.down = Line()
        self.refusing = False
        self.accepted = 0
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, host: str, port: int) -> AsyncIterator[Proxy]:
        """Run a proxy to ``host:port``; all connections are reset and awaited at the end."""
        proxy = cls(host, port)
        proxy._server = await asyncio.start_server(proxy._on_client, "127.0.0.1", 0)
        try:
            yield proxy
        finally:
            await proxy._stop()

    @property
    def port(self) -> int:
        """The port to connect to."""
        if self._server is None:
            raise RuntimeError("the proxy does not run")
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def address(self) -> str:
        """The address to connect to, as host:port."""
        return f"127.0.0.1:{self.port}"

    @property
    def open_connections(self) -> int:
        """How many connections are passed on now."""
        return len(self._connections)

    def cut(self) -> None:
        """Reset every open connection; new ones are accepted (see ``refusing``)."""
        for connection in tuple(self._connections):
            connection.reset()

    def half_close(self, way: Literal["up", "down"]) -> None:
        """End one direction of every open connection; the other goes on."""
        for connection in tuple(self._connections):
            connection.half_close(way)

    def black_hole(self) -> None:
        """Pull the cable: nothing passes either way."""
        self.up.black_hole()
        self.down.black_hole()

    def heal(self) -> None:
        """Take every disturbance back."""
        self.refusing = False
        self.up.heal()
        self.down.heal()

    def _on_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection; its task is owned by the proxy."""
        task = asyncio.get_running_loop().create_task(self._pass_on(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Also of one that was never passed on: it was cancelled while it waited, or before it began.
        task.add_done_callback(lambda _: writer.close())

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Dial the target and pump until the connection ends."""
        self.accepted += 1
        try:
            if self.refusing:
                raise ConnectionRefusedError
            await self.up.passing()
            target_reader, target_writer = await asyncio.open_connection(*self.target)
        except OSError:
            _Connection(writer, writer).reset()
            return
        connection = _Connection(writer, target_writer)
        self._connections.add(connection)
        try:
            await connection.run((reader, self.up), (target_reader, self.down))
        finally:
            self._connections.discard(connection)

    async def _stop(self) -> None:
        """Listen no more, cut what is open and wait for its tasks."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _ in range(3):  # what was closed leaves the loop in its next turns
            await asyncio.sleep(0)
