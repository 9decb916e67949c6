"""The upgrade of the launcher: the one change that no launcher watches, so a helper does, and the starter after it.

1. A complete copy of the new launcher stands beside the old one, and the host's Python has loaded it.
2. ``switched``: one line names the new one, on trial. From here on every start takes it, at most three times, until it
   is kept; whoever is killed from here on leaves a host that starts by itself.
3. ``stopped``: the running launcher was asked to end, and has.
4. ``started``: the service was started.
5. ``kept``: within its time a launcher of the new program said that its agent runs. Otherwise ``back``: the line names
   the old one again, which is started in the same way.

The line changes before the old launcher ends, not in between: so there is no instant in which nothing could be started.
Not done here: leaving the terminal, and telling the person (:mod:`.detached`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from fleetroll_agent.launcher import files
from fleetroll_agent.launcher.starter import Choice
from fleetroll_agent.slots.disk import typed_disk_errors
from fleetroll_common.durable import DamagedRecord, dump_record, load_record, write_durably
from fleetroll_common.values.errors import FleetrollError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fleetroll_agent.service.place import Place
    from fleetroll_agent.service.processes import Launchers

UP_SECONDS = 60.0
"""To the word that the agent runs: a start of 30 s, the end of the one before, and a machine that is busy with both."""
STOP_SECONDS = 45.0
"""To the end of a launcher that was asked to: its grace is 10 s, and a second one follows what can't be killed."""
LATE_STOP_SECONDS = 945.0
"""To the end of one that says that it is ending: its agent waits for a command that can't be run twice, up to 900 s."""
_LOOK_SECONDS = 0.1
_JOURNAL = "upgrade.json"
_PHASES = frozenset({"", "starting", "running", "ending", "waiting", "stopped"})
"""What a launcher without trouble says; anything else is a trouble that it has stated."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """One upgrade as its journal has it.

    Attributes:
        id: of the upgrade; the starter counts the tries of a trial under it.
        new: name of the new program.
        old: name of the one that runs; empty = there was none to go back to.
        before: name of the one before that; empty = none. It stays the second choice after a way back.
        step: the last one that was done: ``prepared switched stopped started kept back``.
        outcome: ``kept``, ``rolled_back``, ``failed``; empty while it goes on.
        detail: one sentence for people.
        helper: pid of the process that does it.
    """

    id: str
    new: str
    old: str
    before: str = ""
    step: str = "prepared"
    outcome: str = ""
    detail: str = ""
    helper: int = 0


def read_upgrade(place: Place) -> Upgrade | None:
    """Return the latest upgrade; None when nothing legible says that there was one."""
    try:
        data = files.read_small(str(place.folder / _JOURNAL))
        known = {} if data is None else load_record(data)
        return Upgrade(**{name: known[name] for name in Upgrade.__dataclass_fields__})
    except (OSError, DamagedRecord, KeyError):
        return None


def write_upgrade(place: Place, upgrade: Upgrade) -> None:
    """Write the journal, durably.

    Raises:
        AgentError: the host's disk.
    """
    with typed_disk_errors("writing the journal of the upgrade"):
        write_durably(place.folder / _JOURNAL, dump_record(asdict(upgrade)))


def judge(told: Mapping[str, Any], pids: frozenset[int], name: str, earlier: str) -> bool | None:
    """Return whether the launcher ``name`` is up; None while that can't be said.

    Args:
        told: the status file.
        pids: the launchers that run, without the one that was stopped.
        name: the program that is waited for.
        earlier: what the launcher said before the upgrade: a trouble that it had, such as ``no_interpreter``, the new
            one may have too.
    """
    status = str(told.get("status", ""))
    if told.get("launcher_pid") not in pids:
        return None
    if status != "running" and (status in _PHASES or status != earlier):
        return None
    return told.get("launcher_program") == name


class Helper:
    """Carries one upgrade out. The caller MUST hold the lock of the place, from before the first step to the end."""

    def __init__(self, place: Place, upgrade: Upgrade, launchers: Launchers, up_seconds: float = UP_SECONDS) -> None:
        """Take over a prepared upgrade."""
        self._place = place
        self._upgrade = upgrade
        self._launchers = launchers
        self._up_seconds = up_seconds
        self._earlier = str(launchers.told().get("status", ""))

    def run(self) -> Upgrade:
        """Return the upgrade with its outcome.

        Raises:
            AgentError: the host's disk refused the first line; nothing was changed then.
        """
        new, old = self._upgrade.new, self._upgrade.old
        self._place.choose(Choice(new, old, self._upgrade.id))
        self._step("switched")
        try:
            trouble = self._restart() or self._not_up(new)
            if not trouble:
                self._place.choose(Choice(new, old))
                return self._end("kept", "kept", f"the launcher {new} runs")
        except FleetrollError as error:
            trouble = str(error)
        return self._back(trouble)

    def _back(self, trouble: str) -> Upgrade:
        """Return to the launcher before. What the disk refuses here the starter makes good: the tries end the trial."""
        old = self._upgrade.old
        try:
            self._place.choose(Choice(old or self._upgrade.new, self._upgrade.before))
            self._step("back")
            if not old:
                return self._end("back", "failed", f"{trouble}; there is no launcher to go back to")
            again = "" if self._runs(old) else (self._restart() or self._not_up(old))
        except FleetrollError as error:
            again = str(error)
        if again:
            return self._end("back", "failed", f"{trouble}; and the launcher before: {again}")
        return self._end("back", "rolled_back", f"{trouble}; the launcher {old} runs again")

    def _restart(self) -> str:
        """Stop what runs and have the service started; return what went wrong."""
        gone = self._launchers.pids()
        for force in (False, True):
            self._launchers.end(gone, force=force)
            if self._gone(gone):
                break
        else:
            return "the launcher that runs can't be ended"
        self._within(STOP_SECONDS, lambda: self._launchers.free() or bool(self._launchers.pids()))
        self._step("stopped")
        failed = self._launchers.start()
        self._step("started")
        return failed

    def _gone(self, pids: frozenset[int]) -> bool:
        """Wait for the end of launchers that were asked to; a kill would cut off what the agent waits for."""
        begun, launchers = self._launchers.monotonic(), self._launchers

        def settled() -> bool:
            told = launchers.told()
            ending = told.get("status") == "ending" and told.get("launcher_pid") in pids
            late = launchers.monotonic() - begun >= STOP_SECONDS and not ending
            return late or not pids & launchers.pids()

        self._within(LATE_STOP_SECONDS, settled)
        return not pids & launchers.pids()

    def _not_up(self, name: str) -> str:
        """Wait until ``name`` says that it is up; return why it is not."""
        seen: list[bool] = []

        def settled() -> bool:
            verdict = judge(self._launchers.told(), self._launchers.pids(), name, self._earlier)
            seen.extend([] if verdict is None else [verdict])
            return bool(seen) or self._launchers.lost()

        if not self._within(self._up_seconds, settled):
            return f"the launcher {name} did not say within {self._up_seconds:g} s that it is up"
        if not seen:
            return f"the launcher {name} ended at once"
        return "" if seen[0] else f"the launcher {name} could not be started, and another one was"

    def _runs(self, name: str) -> bool:
        return judge(self._launchers.told(), self._launchers.pids(), name, self._earlier) is True

    def _within(self, seconds: float, holds: Callable[[], bool]) -> bool:
        until = self._launchers.monotonic() + seconds
        while not holds():
            if self._launchers.monotonic() >= until:
                return False
            self._launchers.sleep(_LOOK_SECONDS)
        return True

    def _step(self, step: str) -> None:
        self._upgrade = replace(self._upgrade, step=step)
        write_upgrade(self._place, self._upgrade)

    def _end(self, step: str, outcome: str, detail: str) -> Upgrade:
        self._upgrade = replace(self._upgrade, step=step, outcome=outcome, detail=detail)
        write_upgrade(self._place, self._upgrade)
        return self._upgrade
