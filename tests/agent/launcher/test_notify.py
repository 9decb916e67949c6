"""What the service manager is told: by which socket, when, and when not."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.launcher import own, starter
from fleetroll_agent.launcher.events import Beat, ChildExited, Extend, SpawnFailed, Stop
from fleetroll_agent.launcher.notify import Notifier
from fleetroll_agent.launcher.starter import Choice
from fleetroll_agent.launcher.status import StatusFile
from fleetroll_agent.launcher.telling import Teller, feeds
from fleetroll_agent.service.facts import START_SECONDS, WATCHDOG_SECONDS
from tests.faults.launcher_bench import LIMITS, Bench
from tests.faults.launcher_places import place_with, program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEALTHY = Beat(healthy=True)


class Manager:
    """A service manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(10)

    def heard(self) -> list[str]:
        """Return the lines that are there now."""
        self.socket.setblocking(False)
        lines: list[str] = []
        while True:
            try:
                lines += self.socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return lines


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.socket.close()


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": str(tmp_path / "notify"), "PATH": "/usr/bin", **more}


def test_a_word_goes_to_a_socket_with_a_path_in_one_datagram(tmp_path: Path, manager: Manager) -> None:
    """Several words are one datagram of lines; no value can add a line of its own."""
    assert Notifier(environment(tmp_path)).send(READY="1", STATUS="all\nis\n well")
    assert manager.socket.recv(4096) == b"READY=1\nSTATUS=all is well\n"


def test_a_word_goes_to_an_abstract_socket() -> None:
    """A name that begins with an @ has no file."""
    name = f"fleetroll-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    assert Notifier({"NOTIFY_SOCKET": f"@{name}"}).send(READY="1")
    assert manager.heard() == ["READY=1"]
    manager.socket.close()


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1234", "/nowhere/at/all"])
def test_where_nobody_listens_a_word_is_lost_and_nothing_else(address: str) -> None:
    """No socket, an unknown kind, a socket that is gone: nothing is raised."""
    assert not Notifier({"NOTIFY_SOCKET": address}).send(READY="1")


def test_a_manager_that_does_not_read_holds_nobody_up(tmp_path: Path, manager: Manager) -> None:
    """A full queue is a lost word."""
    notifier = Notifier(environment(tmp_path))
    assert not all(notifier.send(STATUS="x" * 1000) for _word in range(10_000))


def test_the_variables_are_taken_out_of_the_environment(tmp_path: Path) -> None:
    """The agent can't speak in the launcher's name."""
    variables = environment(tmp_path, WATCHDOG_USEC="180000000", WATCHDOG_PID=str(os.getpid()))
    assert Notifier(variables).interval == 10.0
    assert variables == {"PATH": "/usr/bin"}


@pytest.mark.parametrize(
    ("usec", "pid", "interval"),
    [("4000000", None, 1.0), ("180000000", "", 10.0), ("180000000", "1", 0.0), ("soon", None, 0.0), ("", None, 0.0)],
)
def test_the_watchdog_is_fed_four_times_within_its_limit(
    tmp_path: Path, usec: str, pid: str | None, interval: float
) -> None:
    """A limit that is another process's, or none, wants no food."""
    watched = str(os.getpid()) if pid is None else pid
    assert Notifier(environment(tmp_path, WATCHDOG_USEC=usec, WATCHDOG_PID=watched)).interval == interval


class Told:
    """A bench whose states are told to a manager."""

    def __init__(self, tmp_path: Path, manager: Manager, program: own.Own = own.Own()) -> None:  # noqa: B008 (a value)
        self.bench = Bench()
        self.manager = manager
        self.notes: list[str] = []
        notifier = Notifier(environment(tmp_path, WATCHDOG_USEC="40000000"))
        status = StatusFile(str(tmp_path))
        self.teller = Teller(status, notifier, program, self.notes.append, lambda: self.bench.at)

    def heard(self) -> list[str]:
        self.teller.tell(self.bench.state, 7)
        return [line for line in self.manager.heard() if not line.startswith("STATUS")]


def test_the_service_is_ready_with_the_first_beat_and_not_before(tmp_path: Path, manager: Manager) -> None:
    """READY is said once; what follows are feeds while beats come."""
    told = Told(tmp_path, manager)
    assert told.heard() == []
    told.bench.tell(HEALTHY)
    assert told.heard() == ["READY=1", "WATCHDOG=1"]
    told.bench.wait(2).tell(HEALTHY)
    assert told.heard() == []
    told.bench.wait(8).tell(HEALTHY)
    assert told.heard() == ["WATCHDOG=1"]


def test_without_beats_the_watchdog_goes_hungry(tmp_path: Path, manager: Manager) -> None:
    """From the hang limit on nothing is fed, also while the hanging child is ended and another one has yet to beat."""
    told = Told(tmp_path, manager)
    told.bench.tell(HEALTHY)
    told.heard()
    for _look in range(6):
        told.bench.at += 10
        expected = ["WATCHDOG=1"] if told.bench.at - told.bench.state.beat_at < LIMITS.hang else []
        assert told.heard() == expected
    assert not feeds(told.bench.state, told.bench.at)


def test_a_stated_wait_without_a_child_feeds_and_extends_the_start(tmp_path: Path, manager: Manager) -> None:
    """A host without an interpreter is no launcher that hangs; killing it would bring nothing back."""
    told = Told(tmp_path, manager)
    told.bench.random01 = 1.0
    told.bench.tell(SpawnFailed("NO_INTERPRETER", "it is gone"))
    assert told.heard() == ["WATCHDOG=1", "EXTEND_TIMEOUT_USEC=180000000"]
    assert told.bench.state.trouble == "NO_INTERPRETER"
    assert feeds(told.bench.state, told.bench.state.restart_at)
    assert not feeds(told.bench.state, told.bench.state.restart_at + 10), "a wait that is over and ends in nothing"


def test_a_stop_is_said_once(tmp_path: Path, manager: Manager) -> None:
    """STOPPING comes with the stop, not with the end of the child."""
    told = Told(tmp_path, manager)
    told.bench.tell(HEALTHY)
    told.heard()
    told.bench.tell(Stop())
    assert told.heard() == ["STOPPING=1"]
    told.bench.tell(ChildExited("exit code 0"))
    assert told.heard() == []


def test_the_manager_is_told_how_much_longer_an_orderly_end_takes(tmp_path: Path, manager: Manager) -> None:
    """Else it would kill what the launcher waits for; a wish that changes nothing is not told again."""
    told = Told(tmp_path, manager)
    told.bench.tell(HEALTHY, Stop())
    told.heard()
    told.bench.tell(Extend(630.0))
    assert told.heard() == [f"EXTEND_TIMEOUT_USEC={int((630 + 2 * LIMITS.grace) * 1e6)}"]
    told.bench.tell(Extend(5.0))
    assert told.heard() == []


def test_the_numbers_of_the_unit_are_longer_than_what_the_launcher_bounds_itself() -> None:
    """Neither the watchdog nor the start's limit may be faster than the launcher's own rules."""
    silence = LIMITS.hang + 2 * LIMITS.grace + LIMITS.start
    assert silence + 10 < WATCHDOG_SECONDS
    assert 10 + 2 * (LIMITS.start + LIMITS.grace) + 2 * LIMITS.backoff_base < START_SECONDS


def test_a_launcher_on_trial_keeps_itself_once_no_helper_watches(tmp_path: Path, manager: Manager) -> None:
    """Its agent's beats are the proof; it is asked again with each feed."""
    new, old = program("1.1.0"), program("1.0.0")
    place = place_with(tmp_path / "state", new, old, choice=Choice(new.name, old.name, "upgrade-1"))
    told = Told(tmp_path, manager, own.Own(str(place.folder), new.name))
    with place.lock():
        told.bench.tell(HEALTHY)
        told.heard()
        assert starter.read_choice(str(place.folder)) == Choice(new.name, old.name, "upgrade-1")
    told.bench.wait(10).tell(HEALTHY)
    told.heard()
    assert starter.read_choice(str(place.folder)) == Choice(new.name, old.name)
    assert told.notes == [f"the launcher {new.name} is kept"]
