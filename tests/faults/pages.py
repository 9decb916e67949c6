"""A server of pages that answers with given bytes, and may hang, drip, or never end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


def answer(body: bytes, status: str = "200 OK") -> bytes:
    """Return a whole answer."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Pages:
    """Serves one page at a time.

    Attributes:
        hang: keep the connection open after the answer.
        drip: what is sent again and again meanwhile.
        endless: what is sent after the answer until nobody listens.
        tls: serve https.
        requests: what was asked, in order.
        port: of the newest server.
    """

    def __init__(self) -> None:
        """Serve nothing yet."""
        self.hang = False
        self.drip: bytes | None = None
        self.endless = b""
        self.tls: ssl.SSLContext | None = None
        self.requests: list[str] = []
        self.port = 0
        self._reply = b""
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reply: bytes) -> str:
        """Answer with ``reply`` from now on; return the page's address."""
        self._reply = reply
        server = await asyncio.start_server(self._met, "127.0.0.1", 0, ssl=self.tls)
        self._servers.append(server)
        self.port = server.sockets[0].getsockname()[1]
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/health?x=1"

    async def close(self) -> None:
        """Stop serving."""
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._talk(reader, writer))
        self._tasks.add(task)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
                writer.write(self._reply)
                await writer.drain()
                await self._go_on(writer)
        finally:
            writer.transport.abort() if self.hang or self.endless else writer.close()

    async def _go_on(self, writer: asyncio.StreamWriter) -> None:
        while self.endless:
            writer.write(self.endless)
            await writer.drain()
        while self.hang:
            writer.write(self.drip or b"")
            await writer.drain()
            await asyncio.sleep(0.02)
