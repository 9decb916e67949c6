"""A product as a user has one: a web service with a SQLite database, kept running by a supervisor of its own.

``shop.py`` is what a release holds. ``keeper.sh`` is the supervisor: it starts whatever stands in the service's place,
again and again. It is nobody's child here but the test's, as a service manager's services are.

The service can be a product of three kinds: a link to its versions (``slots``), one file (``file``), or a link that its
own commands set to a folder of their depot (``command``).
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

from tests.faults.ending import WITH_ITS_PARENT

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_publishing.artefact import BuiltArtefact

PORTS = (15000, 32000)
"""Below those that the system gives to connections."""
SHOP = """
import os, sys
VERSION, SCHEMA, FAULT = {version!r}, {schema}, {fault!r}
def database():
    import sqlite3
    return sqlite3.connect(os.environ["SHOP_HOME"] + "/shop.db", timeout=5)
def serve():
    import http.server, json, threading, time
    keeper = os.getppid()
    def end_with_keeper():
        while os.getppid() == keeper:
            time.sleep(1)
        os._exit(0)
    threading.Thread(target=end_with_keeper, daemon=True).start()
    class Page(http.server.BaseHTTPRequestHandler):
        looks = 0
        def do_GET(self):
            Page.looks += self.path == "/"
            with database() as known:
                schema = known.execute("pragma user_version").fetchone()[0]
                rows = known.execute("select count(*) from orders").fetchone()[0]
            bad = FAULT == "unhealthy" or (FAULT == "soak" and Page.looks > 1)
            good = self.path != "/" or (schema == SCHEMA and not bad)
            body = json.dumps({{"version": {reported!r}, "schema": schema, "orders": rows}}).encode()
            self.send_response(200 if good else 500)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def log_message(self, *words):
            pass
    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SHOP_PORT"])), Page).serve_forever()
if sys.argv[1:] == ["--version"]:
    print({reported!r})
elif sys.argv[1:] == ["--smoke"]:
    sys.exit("smoke: the frobnicator is missing" if FAULT == "smoke" else 0)
elif sys.argv[1:] == ["--migrate"]:
    with database() as known:
        known.execute(f"alter table orders add column note{{SCHEMA}} text") if SCHEMA > 1 else None
        known.execute(f"pragma user_version = {{SCHEMA}}")
    sys.exit("migrate: half of it" if FAULT == "migrate" else 0)
elif FAULT == "start":
    sys.exit("shop: no such device /dev/frobnicator")
else:
    serve()
"""
KEEPER = """#!/bin/sh
# Starts the program, again whenever it has ended; the pid of what runs stands in a file.
while :; do
  python="$1"; program="$2"; home="$3"
  "$python" -I -S -B "$program" >>"$home/shop.log" 2>&1 &
  echo $! >"$home/pid.new" && mv "$home/pid.new" "$home/pid"
  wait $!
  sleep 0.1
done
"""


def program(version: str, *, schema: int = 1, fault: str = "", reported: str = "") -> str:
    """Return the text of ``shop.py``; with the fault ``soak`` it is healthy at the first look alone."""
    return SHOP.format(version=version, schema=schema, fault=fault, reported=reported or version)


def artefact(folder: Path, version: str, **facts: Any) -> BuiltArtefact:
    """Build a release of the shop; ``facts`` are those of :func:`program`."""
    from fleetroll_publishing.artefact import build_artefact  # noqa: PLC0415 (only where it is built)

    tree = folder / f"shop-{version}"
    tree.mkdir(parents=True)
    (tree / "shop.py").write_text(program(version, **facts))
    return build_artefact(tree, folder / f"shop-{version}.tar.zst", entry_point="shop.py", level=1)


class Shop:
    """The service's home: database, port, hooks, and its supervisor while it runs."""

    def __init__(self, home: Path, kind: str = "slots") -> None:
        """Make a home with an empty database of schema 1 and one order, for a product of ``kind``."""
        import sqlite3  # noqa: PLC0415 (the product's, not ours)

        self.home = home
        self.kind = kind
        home.mkdir(parents=True)
        self.port = _free_port()
        self.link = home / "current"
        self.file = home / "bin" / "shop.py"
        with contextlib.closing(sqlite3.connect(home / "shop.db")) as known:
            known.execute("create table orders (id integer primary key)")
            known.execute("insert into orders default values")
            known.execute("pragma user_version = 1")
            known.commit()
        (home / "keeper.sh").write_text(KEEPER)
        self._keeper: subprocess.Popen[bytes] | None = None

    def settings(self, **more: str) -> str:
        """Return the product's table of agent.toml; ``more`` are further lines of the table itself."""
        place = {"slots": {"link": f'"{self.link}"'}, "file": {"path": f'"{self.file}"'}}.get(self.kind, {})
        lines = "\n".join(f"{key} = {value}" for key, value in (place | more).items())
        hooks = "\n".join(f'{name} = ["/bin/sh", "-c", "{line}"]' for name, line in self._hooks().items())
        return f"""
[products.shop]
kind = "{self.kind}"
min_update_interval_seconds = 0
{lines}
[products.shop.health]
url = "http://127.0.0.1:{self.port}/"
version = "version"
interval_seconds = 0.2
start_seconds = 4
timeout_seconds = 2
[products.shop.hooks]
{hooks}
"""

    def _hooks(self) -> dict[str, str]:
        """Return the lines for the shell, by the step."""
        home, by_itself = self.home, self.kind == "command"
        new = f"{home}/depot/$FLEETROLL_VERSION/shop.py" if by_itself else "$FLEETROLL_SLOT/shop.py"
        run = f"SHOP_HOME={home} SHOP_PORT={self.port} {sys.executable} -I -S -B {new}"
        restart = f"kill $(cat {home}/pid) || true"
        hooks = {
            "version": f"{run} --version",
            "backup": f"cp {home}/shop.db {home}/backup-$FLEETROLL_VERSION.db && echo backup-$FLEETROLL_VERSION.db",
            "migrate": f"{run} --migrate",
            "smoke": f"{run} --smoke",
            "restore": f"cp {home}/$FLEETROLL_BACKUP_ID {home}/shop.db",
        }
        if not by_itself:
            return {**hooks, "restart": restart}
        del hooks["version"]  # its health tells it

        def lead_to(version: str) -> str:
            return f"ln -sfn {home}/depot/{version} {home}/next && mv -T {home}/next {self.link} && {restart}"

        fetched = f"test -f {new}"
        back = lead_to("$FLEETROLL_FROM_VERSION")
        return {**hooks, "pull": fetched, "switch": lead_to("$FLEETROLL_VERSION"), "rollback": back}

    def start(self) -> None:
        """Start the supervisor."""
        environ = {"PATH": os.environ["PATH"], "SHOP_HOME": str(self.home), "SHOP_PORT": str(self.port)}
        program = self.file if self.kind == "file" else self.link / "shop.py"
        command = (
            *WITH_ITS_PARENT,
            "/bin/sh",
            str(self.home / "keeper.sh"),
            sys.executable,
            str(program),
            str(self.home),
        )
        self._keeper = subprocess.Popen(command, env=environ, start_new_session=True)

    def stop(self) -> None:
        """End the supervisor and what it keeps."""
        if self._keeper is not None:
            os.killpg(self._keeper.pid, signal.SIGKILL)
            self._keeper.wait()
            self._keeper = None

    def page(self) -> dict[str, object]:
        """Return what the service says of itself, as soon as it answers and says that it is healthy."""
        deadline = time.monotonic() + 15
        while True:
            try:
                return self.asked("/")
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def seen(self) -> dict[str, object]:
        """Return what the service says of itself, healthy or not; nothing while it does not answer."""
        try:
            return self.asked("/seen")
        except OSError:
            return {}

    def asked(self, path: str) -> dict[str, object]:
        """Ask once.

        Raises:
            OSError: it does not answer, or with an error.
        """
        import json  # noqa: PLC0415 (the product's, not ours)

        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
                said: dict[str, object] = json.loads(answer.read())
                return said
        except http.client.HTTPException as error:  # killed while it answered
            raise ConnectionResetError(str(error)) from error


def _free_port() -> int:
    """Return a port that the system gives to nobody by itself: the service comes back to it again and again."""
    while True:
        port = random.randrange(*PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
