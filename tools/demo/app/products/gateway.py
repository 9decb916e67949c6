"""A gateway: hands requests on to the shop. One file that runs as it lies there.

The environment names the shop, SHOP_URL, and the number of the socket that its supervisor listens on, LISTEN_FD. At
SIGTERM it ends what it has begun and takes nothing new; who knocks meanwhile waits at that socket for the next one.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = "0.0.0"
SHOP = os.environ["SHOP_URL"]
OWN = "/gateway"
"""The one path that it answers itself."""


class Gateway(BaseHTTPRequestHandler):
    """Hands one request on."""

    timeout = 5

    def do_GET(self) -> None:
        """Hand a question on, or say its own version."""
        self._answer(*((200, json.dumps({"version": VERSION}).encode()) if self.path == OWN else self._asked(None)))

    def do_POST(self) -> None:
        """Hand an order on."""
        self._answer(*self._asked(self.rfile.read(int(self.headers["Content-Length"]))))

    def _asked(self, body: bytes | None) -> tuple[int, bytes]:
        """Return the shop's answer, or why there is none."""
        try:
            with urllib.request.urlopen(SHOP + self.path, body, timeout=10) as answer:  # noqa: S310 (http, by its own settings)
                return answer.status, answer.read()
        except OSError as error:
            return 502, str(error).encode()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Gateway", VERSION)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Keep no log."""


class Server(ThreadingHTTPServer):
    """A server on a socket that somebody else keeps open."""

    daemon_threads = False

    def __init__(self, listener: socket.socket) -> None:
        """Take the socket as it is."""
        super().__init__(("", 0), Gateway, bind_and_activate=False)
        self.socket.close()
        self.socket = listener


def serve() -> None:
    """Serve until SIGTERM, then end what was begun."""
    server = Server(socket.socket(fileno=int(os.environ["LISTEN_FD"])))
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.05)
    server.server_close()


if __name__ == "__main__":
    serve()
