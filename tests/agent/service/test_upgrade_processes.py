"""Real upgrades of real launchers: a good one, bad ones, and a helper that is killed at each of its steps."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.launcher.starter import TRIES
from fleetroll_agent.service.place import running_source
from tests.faults.launcher_places import changed_package
from tests.faults.launcher_upgrades import ServiceHost

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GOOD = "    note('a new launcher')\n"
EXITS = "    return 1\n"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ServiceHost]:
    made = ServiceHost(tmp_path / "state")
    made.start()
    made.until(made.runs)
    yield made
    made.close()


def test_a_good_launcher_takes_over_and_the_one_before_is_kept(host: ServiceHost, tmp_path: Path) -> None:
    """The command says so, another process of another program runs, and the agent is a new one under it."""
    package = changed_package(tmp_path / "new", GOOD)
    old, new = host.runs(), running_source(package).name
    before = host.processes()
    done = host.command(package)
    assert (done.returncode, done.stdout) == (0, f"the launcher {new} runs\n"), done.stderr
    assert host.runs() == new
    assert not host.processes() & before
    assert len(host.processes()) == len(host.living()) == 1
    choice = host.place.choice()
    assert (choice.current, choice.previous, choice.trial) == (new, old, "")
    again = host.command(package)
    assert (again.returncode, again.stdout) == (0, f"the launcher {new} runs already; nothing was changed\n")


def test_a_launcher_that_exits_at_once_is_put_back_within_its_time(host: ServiceHost, tmp_path: Path) -> None:
    """Exit code 22, the old program runs again, and the line names it."""
    old = host.runs()
    began = time.monotonic()
    done = host.command(changed_package(tmp_path / "new", EXITS))
    assert done.returncode == 22, done.stderr
    assert f"the launcher {old} runs again" in done.stdout
    assert time.monotonic() - began < 60
    assert host.runs() == old
    choice = host.place.choice()
    assert (choice.current, choice.trial) == (old, "")


def test_a_launcher_that_can_not_be_loaded_touches_nothing(host: ServiceHost, tmp_path: Path) -> None:
    """It is found out beforehand: the running launcher is not even stopped."""
    package = changed_package(tmp_path / "new")
    pids = host.processes()
    with (package / "launcher" / "loop.py").open("a") as stream:
        stream.write("raise RuntimeError('no')\n")
    ended = host.killed_helper(package, "before:switched")
    assert ended == 1
    assert "can't be loaded here" in (host.state / "launcher.err").read_text()
    assert host.processes() == pids


def test_a_command_below_the_launcher_is_refused(host: ServiceHost, tmp_path: Path) -> None:
    """A launcher takes all below it along when it ends: the helper must come from elsewhere."""
    package = changed_package(tmp_path / "new", GOOD)
    # Arguments that nobody reads make this process look like a launcher of the folder; the command is its child.
    program = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[3:]).returncode)"
    looks = [sys.executable, "-c", program, str(host.place.starter), "run"]
    done = host.command(package, looks)
    assert done.returncode == 21
    assert "NOT_ALLOWED" in done.stderr
    assert host.place.choice().trial == ""


STEPS = [f"{when}:{step}" for step in ("switched", "stopped", "started", "kept") for when in ("before", "after")]
BACK_STEPS = [f"{when}:{step}" for step in ("started", "back") for when in ("before", "after")]


def supervise(host: ServiceHost) -> None:
    """Start the service again as long as it ends: as every init system does."""
    if not host.processes():
        host.start()


@pytest.mark.crash
@pytest.mark.parametrize("kill", STEPS)
def test_a_helper_that_is_killed_leaves_a_host_that_ends_on_the_new_launcher(
    host: ServiceHost, tmp_path: Path, kill: str
) -> None:
    """Wherever it ends, the next start takes the new one, which keeps itself with its agent's first beat."""
    package = changed_package(tmp_path / "new", GOOD)
    new = running_source(package).name
    assert host.killed_helper(package, kill) == -signal.SIGKILL
    for pid in host.processes():
        os.kill(pid, signal.SIGTERM)
    host.until(lambda: not host.processes())
    host.start()
    host.until(lambda: host.runs() == new)
    host.until(lambda: host.place.choice().trial == "")
    assert host.place.choice().current == new
    assert len(host.living()) == 1
    done = host.command(package)
    assert (done.returncode, "nothing was changed" in done.stdout) == (0, True)


@pytest.mark.crash
@pytest.mark.parametrize("kill", BACK_STEPS)
def test_a_helper_that_is_killed_over_a_bad_launcher_leaves_a_host_that_ends_on_the_old_one(
    host: ServiceHost, tmp_path: Path, kill: str
) -> None:
    """The bad one is started as often as it has tries, by whoever starts services; then the old one is."""
    package = changed_package(tmp_path / "new", EXITS)
    old = host.runs()
    assert host.killed_helper(package, kill) == -signal.SIGKILL
    starts = len(host.launchers)

    def back() -> bool:
        supervise(host)
        return host.runs() == old

    host.until(back)
    assert len(host.launchers) - starts <= TRIES + 1
    assert len(host.living()) == 1


def test_the_command_that_is_given_again_ends_an_upgrade_whose_helper_was_killed(
    host: ServiceHost, tmp_path: Path
) -> None:
    """Stopped, nothing started, the helper dead, no supervisor: the same command brings the host up again."""
    package = changed_package(tmp_path / "new", GOOD)
    assert host.killed_helper(package, "after:stopped") == -signal.SIGKILL
    assert not host.processes()
    old = host.place.choice().previous
    done = host.command(package)
    assert done.returncode == 0, done.stderr
    assert host.runs() == running_source(package).name
    assert host.place.choice().previous == old
