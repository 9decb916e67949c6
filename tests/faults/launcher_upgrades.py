"""A host on which launchers are upgraded, in a folder of its own: real starters, real helpers, a fake agent.

As a program: ``launcher_upgrades.py STATE PACKAGE KILL`` is the helper, killed at ``before:STEP`` or ``after:STEP``:
when its journal is about to be, or was, written with that step.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_agent.service import upgrade as rules
from fleetroll_agent.service.detached import prepare
from fleetroll_agent.service.facts import Init
from fleetroll_agent.service.place import Place, running_source
from fleetroll_agent.service.processes import HostLaunchers
from fleetroll_agent.service.record import Installed, read_installed, write_installed
from fleetroll_agent.service.upgrade import Helper
from tests.faults.launcher_host import Host
from tests.faults.launcher_places import place_with

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_agent.service.place import Source


class ServiceHost(Host):
    """A host whose launcher runs from its own place, without an init system."""

    def __init__(self, state: Path, source: Source | None = None) -> None:
        super().__init__(state)
        state.mkdir(parents=True, exist_ok=True)
        self.place = place_with(state, source or running_source())
        write_installed(state, Installed(Init.NONE, "fleetroll-agent", sys.executable))
        self.enrol(self.slot("1.0.0"))
        (state / "launcher.err").touch()

    def start(self) -> subprocess.Popen[bytes]:
        """Start the service as a supervisor would."""
        command = [sys.executable, "-I", "-S", "-B", str(self.place.starter), "run", "--state", str(self.state)]
        with (self.state / "launcher.err").open("ab") as errors:
            child = subprocess.Popen(command, stderr=errors)
        self.launchers.append(child)
        return child

    def runs(self) -> str:
        """Return the program of the launcher that says it runs and does; empty when none does."""
        told = self.told()
        if told.get("status") != "running" or told["launcher_pid"] not in self.processes():
            return ""
        return str(told["launcher_program"])

    def processes(self) -> frozenset[int]:
        """Return the launchers that run here."""
        installed = read_installed(self.state)
        assert installed is not None
        return HostLaunchers(self.state, self.place.starter, installed).pids()

    def command(self, package: Path, through: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Run ``launcher-upgrade`` of the agent in ``package``, started by the program ``through``."""
        return subprocess.run(
            [*through, sys.executable, "-m", "fleetroll_agent.app", "launcher-upgrade", "--state", str(self.state)],
            env=_environment(package),
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )

    def killed_helper(self, package: Path, kill: str) -> int:
        """Run a helper that is killed; return how it ended."""
        command = [sys.executable, __file__, str(self.state), str(package), kill]
        with (self.state / "launcher.err").open("ab") as errors:
            return subprocess.run(command, env=_environment(), stderr=errors, check=False, timeout=50).returncode

    def close(self) -> None:
        """End every launcher, those that a helper started too."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        super().close()


def _environment(package: Path | None = None) -> dict[str, str]:
    first = [] if package is None else [str(package.parent)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*first, *(path for path in sys.path if path)])}


def _die_at(kill: str) -> None:
    """Let the writing of one step in the journal be the end."""
    when, _, step = kill.partition(":")
    write = rules.write_upgrade

    def writing(place: Place, upgrade: rules.Upgrade) -> None:
        if upgrade.step == step and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        write(place, upgrade)
        if upgrade.step == step and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    rules.write_upgrade = writing


def main() -> None:
    """Be a helper that dies."""
    state, package = Path(sys.argv[1]), Path(sys.argv[2])
    installed, place = read_installed(state), Place(state)
    if installed is None:
        raise AssertionError("nothing was installed")
    begun = prepare(place, installed, running_source(package))
    _die_at(sys.argv[3])
    with place.lock():
        Helper(place, begun, HostLaunchers(state, place.starter, installed)).run()


if __name__ == "__main__":
    main()
