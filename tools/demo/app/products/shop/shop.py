"""A web shop: takes orders by POST, shows them, and says how it is at /health.

Usage: shop.py serve | version | migrate | smoke | backup FILE | restore FILE

The environment names the database, SHOP_DB, and the number of the socket that its supervisor listens on, LISTEN_FD. At
SIGTERM it ends what it has begun and takes nothing new; who knocks meanwhile waits at that socket for the next one.

Beside this file lie the migrations, 1.sql and so on, one statement each. None of them takes anything away, so that the
version before goes on until it is replaced.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

VERSION = "0.0.0"
DATABASE = Path(os.environ.get("SHOP_DB", "shop.db"))
MIGRATIONS = Path(__file__).parent / "migrations"


def connect(path: Path) -> sqlite3.Connection:
    """Open a database; who waits for another writer does so for five seconds at most."""
    database = sqlite3.connect(path, timeout=5, isolation_level=None)
    database.row_factory = sqlite3.Row
    return database


def schema(database: sqlite3.Connection) -> int:
    """Return the number of migrations that were made."""
    number: int = database.execute("pragma user_version").fetchone()[0]
    return number


def migrate(path: Path) -> str:
    """Make the migrations that are missing, each of them whole or not at all; return what was done."""
    with closing(connect(path)) as database:
        before = number = schema(database)
        while (step := MIGRATIONS / f"{number + 1}.sql").exists():
            number += 1
            database.execute("begin immediate")
            database.execute(step.read_text("utf-8"))
            database.execute(f"pragma user_version = {number}")
            database.execute("commit")
        return f"schema {before} -> {number}"


def copy(source: Path, target: Path) -> None:
    """Copy a database into another one, while others use either of them."""
    with closing(sqlite3.connect(source)) as from_, closing(sqlite3.connect(target, timeout=5)) as to:
        from_.backup(to)


def add(database: sqlite3.Connection, item: str, cents: int) -> None:
    """Take an order."""
    database.execute("insert into orders (item, cents) values (?, ?)", (item, cents))


def shown(order: sqlite3.Row) -> dict[str, str]:
    """Return an order as visitors see it."""
    return {"item": order["item"], "price": f"{order['cents'] / 100:.2f}"}


def page(path: Path) -> dict[str, Any]:
    """Return the page: version, process, schema, and all orders."""
    with closing(connect(path)) as database:
        orders = [shown(order) for order in database.execute("select * from orders order by id")]
        return {"version": VERSION, "process": os.getpid(), "schema": schema(database), "orders": orders}


class Shop(BaseHTTPRequestHandler):
    """Answers one visitor."""

    timeout = 5

    def do_GET(self) -> None:
        """Show the page; /health is the same: what visitors can't see is not healthy."""
        try:
            self._answer(200, page(DATABASE))
        except Exception as error:  # noqa: BLE001 (whatever it is, the visitor gets an answer)
            self._answer(500, {"version": VERSION, "error": f"{type(error).__name__}: {error}"})

    def do_POST(self) -> None:
        """Take an order, which is the name of an item."""
        item = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with closing(connect(DATABASE)) as database:
            add(database, item, 100 * len(item))
        self._answer(200, {"version": VERSION, "taken": item})

    def _answer(self, status: int, said: dict[str, Any]) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Keep no log."""


class Server(ThreadingHTTPServer):
    """A server on a socket that somebody else keeps open."""

    daemon_threads = False

    def __init__(self, listener: socket.socket) -> None:
        """Take the socket as it is."""
        super().__init__(("", 0), Shop, bind_and_activate=False)
        self.socket.close()
        self.socket = listener


def serve() -> None:
    """Serve until SIGTERM, then end what was begun."""
    server = Server(socket.socket(fileno=int(os.environ["LISTEN_FD"])))
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.05)
    server.server_close()


def smoke() -> None:
    """Try everything on an empty database of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shop.db"
        migrate(path)
        with closing(connect(path)) as database:
            add(database, "smoke", 500)
        if len(page(path)["orders"]) != 1:
            sys.exit("smoke: the order is not there")


def main(command: str, *names: str) -> None:
    """Do what the command line says."""
    match command, *names:
        case ["serve"]:
            serve()
        case ["version"]:
            print(VERSION)
        case ["migrate"]:
            print(migrate(DATABASE))
        case ["smoke"]:
            smoke()
        case ["backup", to]:
            copy(DATABASE, Path(to))
        case ["restore", from_]:
            copy(Path(from_), DATABASE)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:] or [""])
