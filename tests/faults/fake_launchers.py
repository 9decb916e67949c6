"""The launchers of a host as numbers, for the rules of an upgrade."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_agent.launcher import starter
from fleetroll_agent.service.upgrade import Upgrade
from tests.faults.launcher_places import program

if TYPE_CHECKING:
    from fleetroll_agent.service.place import Place

OLD, NEW, OLDEST = program("1.0.0"), program("1.1.0"), program("0.9.0")
BEGUN = Upgrade(id="0123abcd", new=NEW.name, old=OLD.name, before=OLDEST.name)


class FakeLaunchers:
    """A host with at most one launcher, started by a supervisor that takes what the line names.

    Attributes:
        behaviour: of ``old`` and ``new``: ``good``, ``exits``, ``hangs`` (never says anything), ``deaf`` (hangs, and
            ignores SIGTERM), ``slow`` (runs, and takes 800 s to end), ``stuck`` (says that it ends, and never does), or
            a status that it says.
    """

    def __init__(self, place: Place, **behaviour: str) -> None:
        self.place = place
        self.behaviour = behaviour
        self.at = 0.0
        self.pid = 1
        self.alive = True
        self.ends_at = float("inf")
        self.status: dict[str, Any] = {}
        self.done: list[str] = []
        self._say(OLD.name)

    def _kind(self, name: str) -> str:
        return self.behaviour.get({OLD.name: "old", NEW.name: "new"}[name], "good")

    def _say(self, name: str) -> None:
        kind = self._kind(name)
        said = "running" if kind in ("good", "slow", "stuck") else kind
        self.status = {"status": said, "launcher_pid": self.pid, "launcher_program": name}

    def told(self) -> dict[str, Any]:
        return self.status

    def pids(self) -> frozenset[int]:
        return frozenset({self.pid} if self.alive else ())

    def end(self, pids: frozenset[int], *, force: bool) -> None:
        self.done.append("kill" if force else "stop")
        running = str(self.status["launcher_program"]) if self.status["launcher_pid"] == self.pid else NEW.name
        if not force and self._kind(running) in ("slow", "stuck"):
            self.status["status"] = "ending"
            self.ends_at = self.at + 800.0 if self._kind(running) == "slow" else float("inf")
        elif pids and (force or self._kind(running) != "deaf"):
            self.alive = False

    def free(self) -> bool:
        return not self.alive

    def start(self) -> str:
        name = starter.order(str(self.place.folder))[0]
        self.done.append(f"start {name}")
        self.pid += 1
        kind = self._kind(name)
        self.alive = kind != "exits"
        if kind not in ("exits", "hangs", "deaf"):
            self._say(name)
        return ""

    def lost(self) -> bool:
        return not self.alive

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds
        if self.at >= self.ends_at:
            self.alive, self.ends_at = False, float("inf")
