"""Power fails at any instant of a product's update: what may be found then, and what becomes of it.

The operations are recorded from the real code while a host of the model lives; the trees that may be found come from
``tests.faults.power``; from each of them a host goes on until it is quiet, and is judged. What is outside of the agent
(the service's data, what the server holds) is durable by itself, and stands as it was at that instant.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from fleetroll_common.durable.held import Folder, HeldName
from tests.crash.products.faults import crash
from tests.crash.products.judge import judge
from tests.crash.products.promises import POWER, final
from tests.faults.power import Op, PowerDisk, Tree
from tests.faults.power_host import read_tree, write_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fleetroll_agent.jobs.journal import Entry
    from tests.crash.products.bench import Bench
    from tests.crash.products.host import Host
    from tests.crash.products.scenarios import Scenario
    from tests.crash.products.world import Database

    Lost = Callable[[Op, Op | None], bool]
    """Tells whether a sync does not happen; beside it the operation ahead of it."""

SEED = 20263
OPS = {
    "create": "create",
    "write": "write",
    "fsync_file": "sync",
    "fsync_dir": "sync_dir",
    "rename": "rename",
    "link": "link",
    "symlink": "symlink",
    "unlink": "unlink",
    "remove_dir": "unlink",
    "make_dir": "mkdir",
}


@dataclass(frozen=True)
class Outside:
    """What was outside of the agent at an instant."""

    at: float
    database: Database
    backups: dict[str, Database]
    active: str
    runs: Counter[tuple[str, str]]
    epoch: int
    journal_id: str
    told: tuple[Entry, ...]

    @classmethod
    def of(cls, host: Host) -> Outside:
        world, server = host.world, host.server
        world.settle()
        facts = (world.database, dict(world.backups), world.active, Counter(world.runs))
        return cls(host.loop.at, *facts, server.epoch, server.journal_id, tuple(server.told))

    @property
    def key(self) -> tuple[object, ...]:
        """Return what the future depends on."""
        backups, runs = tuple(self.backups.items()), tuple(self.runs.items())
        return self.database, backups, self.active, runs, self.journal_id, len(self.told)

    @property
    def knows_result(self) -> bool:
        """Tell whether the server has a result."""
        return bool(final(list(self.told)))

    def put(self, host: Host) -> None:
        """Let a host that was just made find all this when its power comes back."""
        world, server = host.world, host.server
        world.database, world.backups, world.active = self.database, dict(self.backups), self.active
        world.runs = Counter(self.runs)
        server.epoch, server.journal_id, server.told = self.epoch, self.journal_id, list(self.told)
        server.held = self.told[-1].sequence if self.told else 0
        host.loop.at = self.at + 60.0
        world.power_on()


@dataclass
class Recorder:
    """Operations and what was outside meanwhile, in their order."""

    host: Host
    lost: Lost
    events: list[tuple[Op | None, Outside, bool]] = field(default_factory=list)
    """None stands for a message; the last tells that this sync does not happen."""
    _before: Op | None = None

    def note(self, kind: str, *args: Any) -> None:
        """Take one effect, or a message."""
        for op in self._ops(kind, args):
            is_lost = op.kind.startswith("sync") and self.lost(op, self._before)
            self.events.append((op, Outside.of(self.host), is_lost))
            self._before = op
        if kind == "message":
            self.events.append((None, Outside.of(self.host), False))

    def _ops(self, kind: str, args: tuple[Any, ...]) -> list[Op]:
        path = self._path(args[0]) if args else ""
        if kind == "write_file":
            return [Op("create", path), Op("write", path, data=args[1])]
        if kind == "open_or_create":
            return [] if (self.host.state / path).exists() else [Op("create", path)]
        if kind == "truncate":
            return [Op("truncate", path, data=bytes(args[1]))]
        if kind not in OPS:
            return []
        target = str(args[1]) if kind == "symlink" else self._path(args[1]) if kind in ("rename", "link") else ""
        return [Op(OPS[kind], path, target, args[1] if kind == "write" else b"")]

    def _path(self, subject: Any) -> str:
        found = subject
        if isinstance(subject, HeldName):
            found = _opened(subject.folder.handle) / subject.name
        elif isinstance(subject, (int, Folder)):
            found = _opened(subject if isinstance(subject, int) else subject.handle)
        path = str(Path(found).relative_to(self.host.state))
        return "" if path == "." else path

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Record the host's effects, and the folders that are made on the way."""
        real = Path.mkdir

        def mkdir(path: Path, *args: Any, **more: Any) -> None:
            is_new = path.is_relative_to(self.host.state) and not path.exists()
            real(path, *args, **more)
            if is_new:
                self.note("make_dir", path)

        self.host.points.done = self.note
        with mock.patch.object(Path, "mkdir", mkdir):
            yield


class Exploration:
    """Every power loss of one scenario; where syncs are lost, those alone that no disk with all of them allows."""

    def __init__(self, bench: Bench, lost: Lost | None = None, end: float = float("inf")) -> None:
        """Explore with the hosts of ``bench``; from the monotonic instant ``end`` on states are only counted."""
        self._bench = bench
        self._end = end
        self._lost: Lost = lost or (lambda _op, _before: False)
        self._only_wrong = lost is not None
        self.found = 0
        """States that exist."""
        self.states = 0
        """States from which a host went on."""
        self._known: set[tuple[object, ...]] = set()

    def run(self, scenario: Scenario, *, killed_at: int = 0, only_count: bool = False) -> int:
        """Explore a run; raises at the first broken promise.

        Args:
            scenario: that is run.
            killed_at: the point at which the agent is killed first; then only what is found after the result counts.
            only_count: no host goes on.

        Returns:
            How many points the run had.
        """
        host = self._bench.make(scenario, killed_at, crash)
        base, recorder = read_tree(host.state), Recorder(host, self._lost)
        with recorder.recording():
            host.run()
        host.close()
        found = self._found(base, recorder.events, only_told=bool(killed_at))
        for tree, outside in _mixed(found) if self._only_wrong else found:
            self.found += 1
            if only_count or time.monotonic() > self._end:
                continue
            self.states += 1
            self._go_on(scenario, tree, outside)
        return len(host.points.names)

    def _found(
        self, base: Tree, events: list[tuple[Op | None, Outside, bool]], *, only_told: bool
    ) -> Iterator[tuple[Tree, Outside]]:
        disk, sound = PowerDisk(base), PowerDisk(base)
        for op, outside, is_lost in events:
            if op is not None:
                sound.apply(op)
            if op is not None and not is_lost:
                disk.apply(op)
            if only_told and not outside.knows_result:
                continue
            allowed = set(sound.crashes()) if self._only_wrong else set()
            for tree in disk.crashes():
                key = (tree, outside.key)
                if key not in self._known and tree not in allowed:
                    self._known.add(key)
                    yield tree, outside

    def _go_on(self, scenario: Scenario, tree: Tree, outside: Outside) -> None:
        host = self._bench.make(scenario)
        write_tree(tree, host.state)
        for path, data in tree:
            if data is not None and path.endswith("/run"):
                (host.state / path).chmod(0o755)
        outside.put(host)
        try:
            host._look("power on")
            host.run()
            judge(host, POWER)
        finally:
            host.close()


def _opened(handle: int) -> Path:
    """Return where what is open stands now."""
    return Path(f"/proc/self/fd/{handle}").readlink()


def _mixed(found: Iterator[tuple[Tree, Outside]]) -> list[tuple[Tree, Outside]]:
    """Return the states in an order by lot, always the same: what is wrong is not always wrong at the beginning."""
    states = list(found)
    random.Random(SEED).shuffle(states)
    return states
