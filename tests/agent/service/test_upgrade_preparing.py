"""Before and around an upgrade: what is copied, what is refused, and the process that carries it out."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent.jobs.keeper import ProductFile
from fleetroll_agent.jobs.values import Attempt, ProductRecord, Stage, Step
from fleetroll_agent.launcher.starter import Choice
from fleetroll_agent.launcher.versions import runs_agent
from fleetroll_agent.service import detached
from fleetroll_agent.service.detached import check_agents, check_attempts, detach, prepare, wait
from fleetroll_agent.service.facts import Init
from fleetroll_agent.service.place import running_source
from fleetroll_agent.service.processes import HostLaunchers, is_below, is_launcher
from fleetroll_agent.service.record import Installed, read_installed, write_installed
from fleetroll_agent.service.upgrade import read_upgrade, write_upgrade
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, RequestError
from tests.faults.fake_launchers import BEGUN, NEW, OLD, OLDEST
from tests.faults.jobs import boot_record, slot, trial
from tests.faults.launcher_places import changed_package, place_with, program, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fleetroll_agent.service.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = place_with(tmp_path, OLD, NEW, OLDEST, choice=Choice(OLD.name, OLDEST.name))
    write_upgrade(made, BEGUN)
    return made


def test_the_real_launcher_is_copied_whole_and_can_be_loaded(tmp_path: Path) -> None:
    """A copy of this program's own launcher loads on its own, without the package around it."""
    source = running_source()
    made = place_with(tmp_path, source)
    assert start(made, "check", source.name).returncode == 0
    assert start(made, "which").stdout == f"{source.name}\n"
    done = start(made, "run", "--state", str(tmp_path / "absent"))
    assert done.returncode == 1
    assert "NOT_FOUND" in done.stderr


def test_a_program_that_does_not_know_where_it_stands_copies_nothing(tmp_path: Path) -> None:
    """OWN_PATH_UNRESOLVED, with what to do."""
    with pytest.raises(AgentError) as caught:
        running_source(tmp_path)
    assert caught.value.code is Code.OWN_PATH_UNRESOLVED


def test_a_changed_launcher_has_another_name(tmp_path: Path) -> None:
    """The name holds eight digits of the content, so two builds of one version are two programs."""
    first, second = running_source(), running_source(changed_package(tmp_path, "    note('x')\n", level=7))
    assert first.name != second.name
    assert (first.level, second.level) == (1, 7)


INSTALLED = Installed(Init.NONE, "fleetroll-agent", sys.executable)


def test_an_upgrade_is_prepared_from_what_was_kept(place: Place) -> None:
    """After an upgrade that nobody ended the way back leads to the kept program, not to the one on trial."""
    with place.lock():
        place.choose(Choice(NEW.name, OLD.name, "ffff"))
    begun = prepare(place, INSTALLED, program("1.2.0"))
    assert (begun.old, begun.before) == (OLD.name, "")
    with place.lock():
        place.choose(Choice(NEW.name, OLD.name))
    begun = prepare(place, INSTALLED, program("1.2.0"))
    assert (begun.old, begun.before) == (NEW.name, OLD.name)


def test_a_launcher_that_can_not_be_loaded_is_not_prepared(place: Place) -> None:
    """The host's own Python says so before anything is changed."""
    with pytest.raises(AgentError, match="can't be loaded here"):
        prepare(place, INSTALLED, program("1.2.0", "def main(:\n"))
    assert place.choice() == Choice(OLD.name, OLDEST.name)


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (boot_record(trial=trial(7), highest_server=7), Code.UPDATE_IN_PROGRESS),
        (boot_record(previous=slot("0.9.0", "9" * 64)), Code.VERSION_MISMATCH),
        (boot_record(), None),
        (None, None),
    ],
)
def test_a_launcher_that_does_not_fit_the_agents_is_refused(record: Any, code: Code | None) -> None:
    """Not in the middle of a trial, and not when a slot that may have to start is older than it runs."""
    source = replace(NEW, agents_from="1.0.0")
    if code is None:
        check_agents(record, source)
        return
    with pytest.raises(RequestError) as caught:
        check_agents(record, source)
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("version", "oldest", "runs"),
    [
        ("1.0.0", "1.0.0", True),
        ("0.9.9", "1.0.0", False),
        ("1.0.0-rc.1", "1.0.0", False),
        ("0.0.0+dev", "0.0.0", True),
        ("who knows", "0.0.0", False),
    ],
)
def test_the_oldest_agent_is_compared_as_a_version(version: str, oldest: str, runs: bool) -> None:
    """What is no version is not run."""
    assert runs_agent(version, oldest) is runs


def test_without_an_installed_service_there_is_nothing_to_upgrade(tmp_path: Path) -> None:
    """The way to have one is named."""
    with pytest.raises(RequestError, match="service install") as caught:
        detached.upgrade(tmp_path, NEW)
    assert caught.value.code is Code.NOT_FOUND


def kept(state: Path, name: str, stage: Stage, step: Step | None = None) -> None:
    ProductFile(state, name).write(ProductRecord(name, attempt=Attempt(7, "2.0.0", stage=stage, step=step)))


def test_a_launcher_is_not_replaced_while_a_product_is_past_its_go(tmp_path: Path) -> None:
    """A migration that runs would be in danger; what is only downloaded goes on afterwards."""
    check_attempts(tmp_path)
    kept(tmp_path, "web", Stage.STAGED)
    check_attempts(tmp_path)
    kept(tmp_path, "shop", Stage.APPLYING, Step.MIGRATE)
    with pytest.raises(RequestError, match=r"shop is being updated to 2\.0\.0 \(migrate\)") as caught:
        check_attempts(tmp_path)
    assert caught.value.code is Code.UPDATE_IN_PROGRESS
    assert "wait for its end" in caught.value.remedy


@pytest.mark.parametrize(("status", "refused"), [("running", True), ("starting", True), ("no_interpreter", False)])
def test_only_an_agent_that_may_go_on_with_its_update_is_in_the_way(
    place: Place, monkeypatch: pytest.MonkeyPatch, status: str, *, refused: bool
) -> None:
    """A launcher in trouble is what an upgrade mends."""
    state = place.folder.parent
    write_installed(state, INSTALLED)
    kept(state, "shop", Stage.APPLYING, Step.MIGRATE)
    monkeypatch.setattr(HostLaunchers, "pids", lambda _self: frozenset({1}))
    monkeypatch.setattr(HostLaunchers, "told", lambda _self: {"status": status})
    monkeypatch.setattr(detached, "is_below", lambda _pid, _above: False)
    # Behind the refusals: nothing is started here.
    with pytest.raises((RequestError, AgentError)) as caught:
        detached.upgrade(state, program("1.2.0", "def main(:\n"))
    assert caught.value.code is (Code.UPDATE_IN_PROGRESS if refused else Code.STEP_FAILED)


@pytest.mark.parametrize("content", [b"", b"\0" * 50, b'{"crc32":"00000000","record":{}}\n'])
def test_damaged_records_of_the_place_say_nothing(place: Place, content: bytes) -> None:
    """Neither journal nor installation is guessed."""
    write_installed(place.folder.parent, INSTALLED)
    assert read_installed(place.folder.parent) == INSTALLED
    for name in ("upgrade.json", "service.json"):
        (place.folder / name).write_bytes(content)
    assert read_upgrade(place) is None
    assert read_installed(place.folder.parent) is None


def test_a_detached_process_is_nobodys_child_and_its_words_are_kept(tmp_path: Path) -> None:
    """It leads no terminal, has another parent, and what it raises stands in its log."""
    told, log = tmp_path / "told", tmp_path / "log"

    def work() -> None:
        told.write_text(f"{os.getppid()} {os.getsid(0)} {os.getcwd()}")  # noqa: PTH109 (as the system has it)
        raise RuntimeError("the end")

    detach(work, log)
    until(lambda: log.exists() and "the end" in log.read_text())
    parent, session, folder = told.read_text().split()
    assert int(parent) != os.getpid()
    assert int(session) != os.getsid(0)
    assert folder == "/"


def until(what: Callable[[], bool]) -> None:
    for _look in turns():
        if what():
            return
    raise AssertionError("it never happened")


def turns(seconds: float = 20.0) -> Iterator[int]:
    """Yield until the time is over, with a short wait for another process between."""
    import select  # noqa: PLC0415 (waits without a sleep of the clock that rules are tested with)

    for turn in range(int(seconds * 50)):
        yield turn
        select.select([], [], [], 0.02)


def test_waiting_ends_with_the_outcome_or_with_the_helper(place: Place, tmp_path: Path) -> None:
    """A helper that is gone without an outcome is told as such."""
    write_upgrade(place, replace(BEGUN, outcome="kept"))
    assert wait(place, BEGUN).outcome == "kept"
    gone = os.fork()
    if gone == 0:
        os._exit(0)
    os.waitpid(gone, 0)
    write_upgrade(place, replace(BEGUN, step="stopped", helper=gone))
    ended = wait(place, BEGUN)
    assert (ended.outcome, ended.step) == ("", "stopped")


def test_a_process_is_a_launcher_only_by_its_own_words(tmp_path: Path) -> None:
    """This test's process is none of this folder; a process is below those that started it."""
    assert not is_launcher(os.getpid(), tmp_path)
    assert not is_launcher(2**22 + 1, tmp_path)
    assert is_below(os.getpid(), frozenset({os.getppid()}))
    assert not is_below(os.getpid(), frozenset({os.getpid()}))
