"""A product as a user has one: a web service with a SQLite database, kept running by a supervisor of its own.

``shop.py`` is what a release holds. ``keeper.sh`` is the supervisor: it starts whatever the link names, again and
again. It is nobody's child here but the test's, as a service manager's services are.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_publishing.artefact import BuiltArtefact

SHOP = """
import http.server, json, os, pathlib, sqlite3, sys
VERSION, SCHEMA, FAULT = {version!r}, {schema}, {fault!r}
here = pathlib.Path(os.environ["SHOP_HOME"])
def database():
    return sqlite3.connect(here / "shop.db", timeout=5)
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with database() as known:
            schema = known.execute("pragma user_version").fetchone()[0]
            rows = known.execute("select count(*) from orders").fetchone()[0]
        good = schema == SCHEMA and FAULT != "unhealthy"
        body = json.dumps({{"version": {reported!r}, "schema": schema, "orders": rows}}).encode()
        self.send_response(200 if good else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
if sys.argv[1:] == ["--version"]:
    print({reported!r})
elif sys.argv[1:] == ["--smoke"]:
    sys.exit("smoke: the frobnicator is missing" if FAULT == "smoke" else 0)
elif sys.argv[1:] == ["--migrate"]:
    with database() as known:
        known.execute("alter table orders add column note text") if SCHEMA == 2 else None
        known.execute(f"pragma user_version = {{SCHEMA}}")
    sys.exit("migrate: half of it" if FAULT == "migrate" else 0)
elif FAULT == "start":
    sys.exit("shop: no such device /dev/frobnicator")
else:
    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SHOP_PORT"])), Page).serve_forever()
"""
KEEPER = """#!/bin/sh
# Starts what the link names, again whenever it has ended; the pid of what runs stands in a file.
while :; do
  python="$1"; link="$2"; home="$3"
  "$python" -B "$link/shop.py" >>"$home/shop.log" 2>&1 &
  echo $! >"$home/pid.new" && mv "$home/pid.new" "$home/pid"
  wait $!
  sleep 0.1
done
"""


def artefact(folder: Path, version: str, *, schema: int = 1, fault: str = "", reported: str = "") -> BuiltArtefact:
    """Build a release of the shop."""
    from fleetroll_publishing.artefact import build_artefact  # noqa: PLC0415 (only where it is built)

    tree = folder / f"shop-{version}"
    tree.mkdir(parents=True)
    text = SHOP.format(version=version, schema=schema, fault=fault, reported=reported or version)
    (tree / "shop.py").write_text(text)
    return build_artefact(tree, folder / f"shop-{version}.tar.zst", entry_point="shop.py", level=1)


class Shop:
    """The service's home: database, port, hooks, and its supervisor while it runs."""

    def __init__(self, home: Path) -> None:
        """Make a home with an empty database of schema 1 and one order."""
        import sqlite3  # noqa: PLC0415 (the product's, not ours)

        self.home = home
        home.mkdir(parents=True)
        self.port = _free_port()
        self.link = home / "current"
        with sqlite3.connect(home / "shop.db") as known:
            known.execute("create table orders (id integer primary key)")
            known.execute("insert into orders default values")
            known.execute("pragma user_version = 1")
        (home / "keeper.sh").write_text(KEEPER)
        self._keeper: subprocess.Popen[bytes] | None = None

    def settings(self, **more: str) -> str:
        """Return the product's table of agent.toml; ``more`` are further lines of the table itself."""
        python, home = sys.executable, self.home
        run = '"/bin/sh", "-c"'
        env = f"SHOP_HOME={home} SHOP_PORT={self.port}"
        lines = "\n".join(f"{key} = {value}" for key, value in more.items())
        return f"""
[products.shop]
kind = "slots"
link = "{self.link}"
min_update_interval_seconds = 0
{lines}
[products.shop.health]
url = "http://127.0.0.1:{self.port}/"
version = "version"
interval_seconds = 0.2
start_seconds = 4
timeout_seconds = 2
[products.shop.hooks]
version = [{run}, "{env} {python} -B $FLEETROLL_SLOT/shop.py --version"]
backup = [{run}, "cp {home}/shop.db {home}/backup-$FLEETROLL_VERSION.db && echo backup-$FLEETROLL_VERSION.db"]
migrate = [{run}, "{env} {python} -B $FLEETROLL_SLOT/shop.py --migrate"]
smoke = [{run}, "{env} {python} -B $FLEETROLL_SLOT/shop.py --smoke"]
restore = [{run}, "cp {home}/$FLEETROLL_BACKUP_ID {home}/shop.db"]
restart = [{run}, "kill $(cat {home}/pid) || true"]
"""

    def start(self) -> None:
        """Start the supervisor."""
        environ = {"PATH": os.environ["PATH"], "SHOP_HOME": str(self.home), "SHOP_PORT": str(self.port)}
        command = ("/bin/sh", str(self.home / "keeper.sh"), sys.executable, str(self.link), str(self.home))
        self._keeper = subprocess.Popen(command, env=environ, start_new_session=True)

    def stop(self) -> None:
        """End the supervisor and what it keeps."""
        if self._keeper is not None:
            os.killpg(self._keeper.pid, signal.SIGKILL)
            self._keeper.wait()
            self._keeper = None

    def page(self) -> dict[str, object]:
        """Return what the service says of itself, as soon as it answers."""
        import json  # noqa: PLC0415 (the product's, not ours)

        deadline = time.monotonic() + 15
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=2) as answer:
                    said: dict[str, object] = json.loads(answer.read())
                    return said
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
