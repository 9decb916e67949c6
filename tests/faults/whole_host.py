"""A host on which nothing is wrong: every file as an agent leaves it, a server that answers, a launcher's lock held.

Below a root of its own: the service's files are there too. What stands in for the running agent is a lock and a socket.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import ssl
import sys
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fleetroll_agent.control.place import listening
from fleetroll_agent.doctor.run import Diagnosis, diagnose
from fleetroll_agent.identity.store import IdentityStore
from fleetroll_agent.jobs.journal import Journal
from fleetroll_agent.jobs.keeper import ProductFile
from fleetroll_agent.jobs.values import Outcome, ProductRecord, Report, Said
from fleetroll_agent.jobs.work import Installed
from fleetroll_agent.launcher import files
from fleetroll_agent.launcher.record import decode, encode
from fleetroll_agent.launcher.values import Record, SlotRef
from fleetroll_agent.service.facts import Init
from fleetroll_agent.service.install import Wish, install
from fleetroll_agent.slots import Slot, SlotStore
from fleetroll_agent.unpack import unpack
from fleetroll_common.durable import dump_record
from fleetroll_common.values.ids import SystemIds
from fleetroll_common.values.version import Version
from fleetroll_server.certificates import Pair, issue_leaf, make_ca
from tests.faults.archives import CONTENT, HERE, honest
from tests.faults.identity_disk import ANSWER
from tests.faults.launcher_host import ABI

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_T = TypeVar("_T")
PYTHON = os.path.realpath(sys.executable)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = 86400.0


@cache
def authority() -> tuple[Pair, Pair]:
    """Return a CA and a certificate of it for this machine; made once, for a key takes its time."""
    now = datetime.now(UTC)
    ca = make_ca("test", now)
    return ca, issue_leaf(ca, ["127.0.0.1", "localhost"], now)


class TlsServer:
    """Shows a certificate to whoever connects, and nothing else."""

    def __init__(self, folder: Path, leaf: Pair, address: str = "127.0.0.1") -> None:
        folder.mkdir(parents=True)
        (folder / "leaf.pem").write_bytes(leaf.certificate + leaf.key)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "leaf.pem")
        self._context.set_alpn_protocols(["h2"])
        self._door = socket.create_server((address, 0))
        self.port: int = self._door.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._door.accept()
            except OSError:
                return
            with line, contextlib.suppress(OSError):
                line.settimeout(5)
                with self._context.wrap_socket(line, server_side=True) as secured:
                    secured.recv(1)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()


@dataclass
class WholeHost:
    """The host, and what a test may break of it."""

    root: Path
    server: TlsServer
    lock: int = -1

    @property
    def state(self) -> Path:
        return self.root / "var" / "lib" / "fleetroll"

    @property
    def tool(self) -> Path:
        """The file of the product ``tool``."""
        return self.root / "opt" / "tool"

    @property
    def link(self) -> Path:
        """The link of the product ``shop``."""
        return self.root / "srv" / "shop"

    def slot(self, product: str, which: str = "current") -> Path:
        """Return the folder of an installed version."""
        if product == "agent":
            slot = getattr(self.boot(), which)
            return self.state / "slots" / "agent" / str(slot.name)
        kept = getattr(self.record(product), which)
        return SlotStore(self.state, product=product).path(Version.parse(kept.version), kept.sha256)

    def boot(self) -> Record:
        return decode((self.state / "boot.json").read_bytes())

    def record(self, product: str) -> ProductRecord:
        return ProductFile(self.state, product).read()

    def change(self, product: str, **changes: Any) -> None:
        """Write a product's record anew."""
        ProductFile(self.state, product).write(replace(self.record(product), **changes))

    def ended(self, product: str, said: Said, **facts: Any) -> None:
        """Let an attempt end."""
        outcomes = self.record(product).outcomes
        end = Outcome(len(outcomes) + 10, len(outcomes) + 10, "9.9.9", said, ended_at=NOW.timestamp(), **facts)
        self.change(product, outcomes=(*outcomes, end))

    def log(self, event: str, **facts: Any) -> None:
        """Add a line to the agent's log."""
        with (self.state / files.LOG_NAME).open("a") as stream:
            stream.write(json.dumps({"event": event, "timestamp": "2026-03-01T10:00:00Z", **facts}) + "\n")

    def settings(self, old: str, new: str) -> None:
        """Change agent.toml."""
        text = (self.state / "agent.toml").read_text()
        assert old in text
        (self.state / "agent.toml").write_text(text.replace(old, new))

    def look(self, now: datetime = NOW) -> Diagnosis:
        return diagnose(self.state, now, self.root)

    def signs(self, now: datetime = NOW) -> list[str]:
        return [finding.sign.value for finding in self.look(now).findings]


SETTINGS = """\
[download]
mirrors = ["{mirror}/{{path}}"]
[products.shop]
kind = "slots"
link = "{link}"
unit = "shop.service"
[products.tool]
kind = "file"
path = "{tool}"
[products.tool.health]
command = ["{python}", "--version"]
"""


@contextlib.contextmanager
def whole_host(root: Path) -> Iterator[WholeHost]:
    """Give a whole host below ``root``, whose launcher and agent seem to run until the block ends."""
    ca, leaf = authority()
    host = WholeHost(root, TlsServer(root / "server", leaf))
    _make(host, ca)
    with _running(host):
        try:
            yield host
        finally:
            host.server.close()


@contextlib.contextmanager
def _running(host: WholeHost) -> Iterator[None]:
    """Hold the launcher's lock, and listen as the agent does."""
    host.lock = os.open(host.state, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(host.lock, fcntl.LOCK_EX)
    door = listening(host.state)
    try:
        yield
    finally:
        door.close()
        os.close(host.lock)


def stopped(host: WholeHost, then: Callable[[], _T]) -> _T:
    """Return what ``then`` returns while no launcher seems to run."""
    fcntl.flock(host.lock, fcntl.LOCK_UN)
    try:
        return then()
    finally:
        fcntl.flock(host.lock, fcntl.LOCK_EX)


def _make(host: WholeHost, ca: Pair) -> None:
    state = host.state
    for folder in (state, host.tool.parent, host.link.parent, host.root / "mirror"):
        folder.mkdir(parents=True)
    state.chmod(0o700)
    _enrol(host, ca)
    texts = {"mirror": (host.root / "mirror").as_uri(), "link": host.link, "tool": host.tool, "python": PYTHON}
    (state / "agent.toml").write_text(SETTINGS.format(**texts))
    current, previous = (_slot(state, "agent", version) for version in ("1.1.0", "1.0.0"))
    boot = Record(seq=3, current=_ref(current), previous=_ref(previous), boot_id="boot")
    files.replace_file(files.record_path(str(state)), encode(boot))
    ProductFile(state).write(ProductRecord(outcomes=(_end(2, "1.1.0"),), reports=2))
    _products(host)
    _journal(state)
    (state / "trust").mkdir(0o700)
    (state / "trust" / "floor.json").write_bytes(dump_record({"anchor": "0" * 64, "root": 1}))
    (state / files.STATUS_NAME).write_text(json.dumps({"status": "running", "detail": ""}))
    host.log("started")
    host.log("session_open", quarantined=False, clock_ahead_seconds=1)
    below = Path("/") / state.relative_to(host.root)
    install(Wish(state=below, name="fleetroll-agent", init=Init.SYSTEMD, root=host.root, python=PYTHON))


def _enrol(host: WholeHost, ca: Pair) -> None:
    store = IdentityStore(host.state / "identity", SystemIds())
    store.candidate()
    address = f"127.0.0.1:{host.server.port}"
    identity = store.enrol(replace(ANSWER, addresses=(address,), ca_pem=ca.certificate))
    store.stamp_key(identity, NOW.timestamp() - DAY)


def _slot(state: Path, product: str, version: str) -> Slot:
    content = {**CONTENT, "entry.py": f"print({version!r})\n".encode()}
    store, archive = SlotStore(state, product=product), honest(content)
    archive.signed = {"version": Version.parse(version), "product": product}
    custom, digest = archive.custom(), hashlib.sha256(f"{product}{version}".encode()).hexdigest()
    (state / "slots").mkdir(exist_ok=True)
    draft = store.begin(custom.version, digest)
    packed = archive.write(state / "packed")
    unpack(packed, draft, expected=custom, platform=HERE)
    packed.unlink()
    return store.complete(draft, custom, digest)


def _ref(slot: Slot) -> SlotRef:
    return SlotRef(slot.path.name, str(slot.version), slot.sha256, PYTHON, ABI)


def _end(number: int, version: str, said: Said = Said.SUCCEEDED) -> Outcome:
    return Outcome(number, number, version, said, ended_at=NOW.timestamp() - DAY, running_version=version)


def _products(host: WholeHost) -> None:
    for product in ("shop", "tool"):
        current, previous = (_slot(host.state, product, version) for version in ("2.1.0", "2.0.0"))
        kept = (Installed(str(slot.version), slot.sha256) for slot in (current, previous))
        record = ProductRecord(product, 2, outcomes=(_end(2, "2.1.0"),), reports=2)
        ProductFile(host.state, product).write(replace(record, current=next(kept), previous=next(kept)))
        if product == "shop":
            host.link.symlink_to(current.path)
        else:
            host.tool.write_bytes((current.path / current.entry).read_bytes())


def _journal(state: Path) -> None:
    journal = Journal(state / "journal", SystemIds())
    at = NOW.timestamp() - DAY
    for product in ("agent", "shop", "tool"):
        version = "1.1.0" if product == "agent" else "2.1.0"
        begun = Report(1, at - 90, 2, Said.OFFERED)
        journal.append(product, [begun, Report(2, at, 2, Said.SUCCEEDED, running_version=version)])
