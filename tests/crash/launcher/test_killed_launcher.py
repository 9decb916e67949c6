"""SIGKILL of the launcher at every effect of a self-update: file, sync, rename, start, message.

The points come from the trace of an undisturbed run, never from a list.
"""

from __future__ import annotations

import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Self

import pytest

from tests.faults.launcher_host import Host, arming
from tests.faults.plans import Plan

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.crash.counts import Counts
    from tests.faults.plans import Act, Point

AT_ONCE = 3
ROLES = (("child.py", "start"), ("entry.py", "agent"), ("run_launcher.py", "launcher"))
TRIES = 2


class Update:
    """One host at 1.0.0 whose agent asks for a trial of 1.1.0, which is good, under a launcher with fault points.

    The new version promotes itself with its first beat, before any soak can be over: so every run has the same points.
    """

    def __init__(self, folder: Path, act: Act | None = None) -> None:
        state = folder / "state"
        state.mkdir(parents=True)
        self.host = Host(state)
        new = self.host.slot("1.1.0", act_at=1)
        self.host.enrol(self.host.slot("1.0.0", arm=arming(new, soak_seconds=0.04)))
        code = folder.parent / "code"
        code.mkdir(exist_ok=True)
        self.plan = Plan(folder / "shim", [state], ROLES, act, code=code)
        self.next = Plan(folder / "next", [state], ROLES, code=code)
        self.launcher: subprocess.Popen[bytes] = self.host.launch(self.plan.write())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.host.close()

    def committed(self) -> bool:
        return any(line.startswith("committed 1.1.0") for line in self.host.journal())

    def points(self) -> list[Point]:
        """Run to the end and return the launcher's points on the record, the slots, the pipe and processes."""
        self.host.until(self.committed)
        self.launcher.send_signal(signal.SIGTERM)
        assert self.launcher.wait(10) == 0
        hints = ("status", "agent.log", "launcher.lock")
        return [point for point in self.plan.points() if not any(hint in point.point for hint in hints)]

    def settled(self) -> bool:
        """Tell whether the disk's refusal happened and the update ended: kept, put back, or dropped.

        A disk that goes on refusing lets the launcher end a trial in its memory alone: it says so in its status.
        """
        told = self.host.told()
        unwritten = told.get("record_is_durable") is False and not told["trial"]
        ended = self.committed() or "dropped arm STORE_FAILED" in self.host.journal() or self.host.record().last
        return bool(self.plan.happened() and (ended or unwritten) and self.host.living())

    def over(self) -> bool:
        """Tell whether an agent runs, and no trial."""
        return bool(self.host.living()) and self.host.record().trial is None

    def restart(self) -> None:
        """Let the launcher be killed, or kill it; then start another one."""
        if self.launcher.poll() is None:
            self.launcher.send_signal(signal.SIGKILL)
        self.launcher.wait()
        self.host.until(lambda: not self.host.living())
        self.host.launch(self.next.write())


def traced(folder: Path) -> list[Point]:
    with Update(folder / "undisturbed") as update:
        return update.points()


@pytest.mark.long
@pytest.mark.crash
@pytest.mark.timeout(900)
def test_a_launcher_killed_at_any_point_of_an_update_leaves_a_host_that_ends_on_the_new_version(
    tmp_path: Path, full: bool, counts: Counts
) -> None:
    points = traced(tmp_path)
    names = " ".join(str(point) for point in points)
    for name in (
        "create:boot.json.new",
        "fsync:boot.json.new",
        "rename:boot.json",
        "write:pipe:armed",
        "GOOD",
        "spawn",
    ):
        assert name in names
    deeds = ("kill-before", "kill-after") if full else ("kill-before",)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        died = sum(pool.map(partial(killed, tmp_path), [point.act(deed) for deed in deeds for point in points]))
    faults = {"kill-before": "SIGKILL launcher before", "kill-after": "SIGKILL launcher after"}
    run, exist = (Counter(dict.fromkeys([faults[deed] for deed in some], len(points))) for some in (deeds, faults))
    counts.add("real", "launcher", run, exist)
    print(f"\nlauncher: {len(points)} traced points, {died} SIGKILLs; each time 1.1.0 was kept in the end")
    assert died == len(points) * len(deeds)


def killed(room: Path, act: Act) -> bool:
    """Kill at one point and judge what came of it; return whether the point came."""
    name = "".join(letter if letter.isalnum() else "-" for letter in f"{act.do} {act.point} {act.occurrence}")
    with Update(room / name, act) as update:
        check_killed(update, str(act))
        return update.plan.happened()


def check_killed(update: Update, point: str) -> None:
    host = update.host
    host.until(lambda: update.launcher.poll() is not None or update.committed())
    update.launcher.send_signal(signal.SIGTERM)
    update.launcher.wait(10)
    update.restart()
    host.until(lambda: host.living() and host.record().current.version == "1.1.0")
    record = host.record()
    assert (record.trial, record.last and record.last.ended) == (None, "committed"), point
    assert host.starts("1.1.0") <= TRIES + 1, point
    assert len(host.living()) == 1, point


@pytest.mark.crash
@pytest.mark.timeout(900)
def test_a_disk_that_refuses_at_any_point_of_an_update_never_leaves_a_host_without_an_agent(
    tmp_path: Path, full: bool, counts: Counts
) -> None:
    points = [point for point in traced(tmp_path) if "boot.json" in point.point]
    chosen = points if full else points[:: max(1, len(points) // 8)]
    names = ["ENOSPC" if number % 2 else "EIO" for number in range(len(chosen))]
    for number, point in enumerate(chosen):
        act = point.act(names[number].lower(), sticky=full)
        with Update(tmp_path / str(number), act) as update:
            update.host.until(update.settled)
            update.restart()
            update.host.until(update.over)
            assert len(update.host.living()) == 1
    counts.add("real", "launcher", Counter(names), Counter(dict.fromkeys(("EIO", "ENOSPC"), len(points))))
    print(f"\nlauncher: {len(chosen)} of {len(points)} points with EIO or ENOSPC")
    assert len(chosen) >= 8
