"""A web server on this host's own address that serves one file and misbehaves as told."""

from __future__ import annotations

import http.server
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from tests.faults.sources import DATA, PATH

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

PIECE = 1000


@dataclass
class WebMirror:
    """Serves ``data`` under ``/m/`` and the target's path.

    ``cut_at``: the connection breaks before this byte of the file. ``hang_at``: nothing comes from there on.
    ``ranges``: whether it honours ranges. ``shift``: how far its ranges begin from where they should.
    ``chunked``: it does not say how long the answer is. ``redirects``: where it sends clients, by path.
    """

    data: bytes = DATA
    host: str = "127.0.0.1"
    ranges: bool = True
    shift: int = 0
    status: int | None = None
    cut_at: int | None = None
    hang_at: int | None = None
    chunked: bool = False
    send_buffer_bytes: int | None = None
    redirects: dict[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)
    sent: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = http.server.ThreadingHTTPServer((self.host, 0), handler)
        self._server.daemon_threads = False
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def root(self) -> str:
        """Where it listens."""
        return f"{'http' if self.tls is None else 'https'}://{self.host}:{self._server.server_address[1]}"

    @property
    def pattern(self) -> str:
        """How a settings file names it."""
        return f"{self.root}/m/{{path}}"


class _Handler(http.server.BaseHTTPRequestHandler):
    owner: WebMirror
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
        """Say nothing."""

    def _answer(self) -> None:
        owner, wanted = self.owner, self.headers.get("Range", "")
        if owner.send_buffer_bytes is not None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, owner.send_buffer_bytes)
        owner.asked.append((self.path, wanted))
        if self.path in owner.redirects:
            self._head(302, {"Location": owner.redirects[self.path], "Content-Length": "0"})
        elif owner.status is not None or self.path != f"/m/{PATH}":
            self._head(owner.status or 404, {"Content-Length": "0"})
        elif wanted and owner.ranges:
            self._range(int(wanted.removeprefix("bytes=").removesuffix("-")) + owner.shift)
        else:
            self._body(200, 0, {})

    def _range(self, start: int) -> None:
        total = len(self.owner.data)
        if start >= total:
            self._head(416, {"Content-Range": f"bytes */{total}", "Content-Length": "0"})
        else:
            self._body(206, start, {"Content-Range": f"bytes {start}-{total - 1}/{total}"})

    def _body(self, status: int, start: int, headers: dict[str, str]) -> None:
        owner = self.owner
        length = {"Transfer-Encoding": "chunked"} if owner.chunked else {"Content-Length": str(len(owner.data) - start)}
        self._head(status, headers | length)
        at = start
        while at < len(owner.data):
            end = min(
                [at + PIECE, len(owner.data), *(stop for stop in (owner.cut_at, owner.hang_at) if stop and stop > at)]
            )
            self._send(owner.data[at:end])
            at = end
            if at == owner.cut_at:
                return
            if at == owner.hang_at:
                owner.released.wait(30)
                return
        if owner.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _send(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if self.owner.chunked else data)
        self.owner.sent += len(data)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
