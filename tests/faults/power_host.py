"""One host for the power-loss model: the launcher's and the slots' real code, recorded effect by effect.

Real files lie in a folder, so that the code under test reads what it wrote; what it changes and syncs is recorded as
operations, and what the outside world sees (a version was started, a commit was told) as facts between them. A sync
that a test takes away is neither recorded nor noticed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from fleetroll_agent.launcher import calls
from fleetroll_agent.launcher.beginning import begin
from fleetroll_agent.launcher.core import step
from fleetroll_agent.launcher.events import ChildExited, Event, Moment, Persist
from fleetroll_agent.launcher.executor import Executor
from fleetroll_agent.launcher.limits import Limits
from fleetroll_agent.launcher.main import load
from fleetroll_agent.launcher.pipe import parse
from fleetroll_agent.launcher.ports import Family
from fleetroll_agent.launcher.pythons import Pythons
from fleetroll_agent.slots import RealDisk
from tests.faults.power import Op, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fleetroll_agent.launcher.state import State, Step

PYTHON = "/usr/bin/python3.11"
BOOTS = ("boot one", "boot two", "boot three")


@dataclass(frozen=True)
class Fact:
    """Something that was seen outside of the host and that no crash can take back."""

    kind: str
    value: str


@dataclass
class Trace:
    """Operations and facts in their order. ``lost`` tells which syncs do not happen."""

    root: Path
    events: list[Op | Fact] = field(default_factory=list)
    lost: Callable[[Op, str], bool] = lambda _op, _purpose: False
    purpose: str = ""
    """Of the latest write of the record."""

    def note(self, kind: str, path: object, target: object = "", data: bytes = b"") -> None:
        op = Op(kind, self.relative(path), self.relative(target) if target else "", data)
        if not (kind.startswith("sync") and self.lost(op, self.purpose)):
            self.events.append(op)

    def fact(self, kind: str, value: str) -> None:
        self.events.append(Fact(kind, value))

    def relative(self, path: object) -> str:
        text = os.path.relpath(str(path), self.root)
        return "" if text == "." else text

    def of_handle(self, handle: int) -> str:
        return str(Path(f"/proc/self/fd/{handle}").readlink())

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Record what the launcher does through ``calls``; nothing waits for the real disk."""
        real_create, real_write, real_rename, real_unlink = calls.create, calls.write, calls.rename, calls.unlink

        def create(path: str, mode: int) -> int:
            handle = real_create(path, mode)
            self.note("create", path)
            return handle

        def write(handle: int, data: bytes) -> None:
            real_write(handle, data)
            self.note("write", self.of_handle(handle), data=data)

        def rename(source: str, target: str) -> None:
            real_rename(source, target)
            self.note("rename", source, target)

        def unlink(path: str) -> None:
            if os.path.lexists(path):
                real_unlink(path)
                self.note("unlink", path)

        recorded = {
            "create": create,
            "write": write,
            "rename": rename,
            "unlink": unlink,
            "fsync_file": lambda handle: self.note("sync", self.of_handle(handle)),
            "fsync_dir": lambda path: self.note("sync_dir", path),
        }
        with contextlib.ExitStack() as stack:
            for name, call in recorded.items():
                stack.enter_context(mock.patch.object(calls, name, call))
            yield


class RecordedDisk(RealDisk):
    """The disk of slots, recorded."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def write_file(self, path: Path, data: bytes, mode: int = 0o600) -> None:
        super().write_file(path, data, mode)
        self.trace.note("create", path)
        self.trace.note("write", path, data=data)

    def make_dir(self, path: Path, mode: int = 0o700) -> None:
        super().make_dir(path, mode)
        self.trace.note("mkdir", path)

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self.trace.note("rename", source, target)

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        self.trace.note("unlink", path)

    def remove_dir(self, path: Path) -> None:
        super().remove_dir(path)
        self.trace.note("unlink", path)

    def fsync_file(self, path: Path) -> None:
        self.trace.note("sync", path)

    def fsync_dir(self, path: Path) -> None:
        self.trace.note("sync_dir", path)


class NoPythons(Pythons):
    """A host with one interpreter that needs no asking."""

    def abi_of(self, path: str) -> str:
        return "cp311" if path == PYTHON else ""

    def by_abi(self) -> dict[str, str]:
        return {"cp311": PYTHON}


class SeenFamily(Family):
    """A child that is only seen: what is started and what it is told become facts."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.slot = ""

    def start(self, command: list[str], lock_handle: int) -> None:
        assert self.slot == "", "a second child"
        self.slot = Path(command[4]).parent.name
        self.trace.fact("started", self.slot)

    def send(self, data: bytes) -> None:
        message = parse(data.strip())
        if message["type"] in ("armed", "committed"):
            self.trace.fact(message["type"], str(message["attempt"]["generation"]))
        elif message["type"] == "stop":
            self.trace.fact("stop", "")

    def terminate(self) -> None:
        pass

    def kill(self) -> None:
        pass

    def ended(self) -> bool:
        return False

    def gone(self, *, give_up: bool) -> int | None:
        return None


class PowerHost:
    """A launcher on a recorded disk."""

    def __init__(self, state: Path, boot: str, trace: Trace | None = None) -> None:
        self.trace = trace or Trace(state)
        self.boot = boot
        self.at = 1000.0
        self.family = SeenFamily(self.trace)
        self.path = str(state)
        self.executor = Executor(self.path, self.family, NoPythons([]), -1, lambda _text: None)
        self.state: State

    def start(self) -> PowerHost:
        """Start a launcher as its main program does."""
        with self.trace.recording():
            record = load(self.path, NoPythons([])).record
            self._do(begin(record, self.boot, Limits(), Moment(self.at)))
        return self

    def tell(self, *events: Event) -> PowerHost:
        with self.trace.recording():
            for event in events:
                if isinstance(event, ChildExited):
                    self.family.slot = ""
                self._do(step(self.state, event, Moment(self.at)))
        return self

    def _do(self, result: Step) -> None:
        self.state, actions = result
        for action in actions:
            if isinstance(action, Persist):
                self.trace.purpose = action.purpose.value
            event = self.executor.do((action,))
            if event is not None:
                self._do(step(self.state, event, Moment(self.at)))
                return
            if isinstance(action, Persist) and action.record.last is not None:
                last = action.record.last
                self.trace.fact("outcome", f"{last.ended.value} {last.reason.value} {last.counted}")


def read_tree(root: Path) -> Tree:
    """Return what lies below ``root``."""
    found: dict[str, bytes | str | None] = {}
    for path in root.rglob("*"):
        link = str(path.readlink()) if path.is_symlink() else None
        found[str(path.relative_to(root))] = link or (None if path.is_dir() else path.read_bytes())
    return frozenset(found.items())


def write_tree(tree: Tree, root: Path) -> None:
    """Make ``root`` hold exactly ``tree``."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    for path, data in sorted(tree, key=lambda item: item[0]):
        if data is None:
            (root / path).mkdir()
        elif isinstance(data, str):
            (root / path).symlink_to(data)
        else:
            (root / path).write_bytes(data)
