"""The rules of an upgrade, with launchers that are numbers: what is done in which order, and how each failure ends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent.launcher import starter
from fleetroll_agent.launcher.limits import MAX_STOP_SECONDS, Limits
from fleetroll_agent.launcher.starter import Choice
from fleetroll_agent.service import upgrade
from fleetroll_agent.service.upgrade import Helper, Upgrade, judge, read_upgrade, write_upgrade
from tests.faults.fake_launchers import BEGUN, NEW, OLD, OLDEST, FakeLaunchers
from tests.faults.launcher_places import place_with

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_agent.service.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = place_with(tmp_path, OLD, NEW, OLDEST, choice=Choice(OLD.name, OLDEST.name))
    write_upgrade(made, BEGUN)
    return made


def carried_out(place: Place, **behaviour: str) -> tuple[Upgrade, FakeLaunchers]:
    launchers = FakeLaunchers(place, **behaviour)
    with place.lock():
        return Helper(place, BEGUN, launchers).run(), launchers


def test_a_good_upgrade_stops_starts_and_keeps(place: Place) -> None:
    """One stop, one start, and the line names the new program, the old one behind it."""
    ended, launchers = carried_out(place)
    assert (ended.step, ended.outcome) == ("kept", "kept")
    assert launchers.done == ["stop", f"start {NEW.name}"]
    assert place.choice() == Choice(NEW.name, OLD.name)
    assert read_upgrade(place) == ended


@pytest.mark.parametrize(
    ("kind", "said", "done"),
    [
        ("exits", "ended at once", ["stop", "start new", "stop", "start old"]),
        ("hangs", "did not say within 60 s", ["stop", "start new", "stop", "start old"]),
        ("deaf", "did not say within 60 s", ["stop", "start new", "stop", "kill", "start old"]),
        ("host_refuses", "did not say within 60 s", ["stop", "start new", "stop", "start old"]),
    ],
)
def test_a_bad_launcher_is_put_back(place: Place, kind: str, said: str, done: list[str]) -> None:
    """However it fails, the old one runs again, and what was before that is the second choice again."""
    ended, launchers = carried_out(place, new=kind)
    assert (ended.step, ended.outcome) == ("back", "rolled_back")
    assert said in ended.detail
    names = {"start new": f"start {NEW.name}", "start old": f"start {OLD.name}"}
    assert launchers.done == [names.get(one, one) for one in done]
    assert place.choice() == Choice(OLD.name, OLDEST.name)
    assert launchers.at < 60 + upgrade.STOP_SECONDS * 3


def test_a_launcher_whose_agent_waits_for_a_step_is_not_killed(place: Place) -> None:
    """A migration may take ten minutes: the old launcher says that it ends, and has its time."""
    ended, launchers = carried_out(place, old="slow")
    assert ended.outcome == "kept"
    assert launchers.done == ["stop", f"start {NEW.name}"]
    assert launchers.at >= 800


def test_a_launcher_that_only_says_that_it_ends_is_killed_in_the_end(place: Place) -> None:
    """Beyond what an orderly stop may take, with its graces."""
    ended, launchers = carried_out(place, old="stuck")
    assert ended.outcome == "kept"
    assert launchers.done == ["stop", "kill", f"start {NEW.name}"]
    assert MAX_STOP_SECONDS + 2 * Limits().grace < launchers.at < upgrade.LATE_STOP_SECONDS + 60


def test_a_launcher_whose_starter_went_back_by_itself_is_not_stopped_again(place: Place) -> None:
    """When the tries were used up before the helper looked, the old one runs already."""
    (place.folder / starter.TRIES_NAME).write_text(f"{BEGUN.id} {starter.TRIES}\n")
    ended, launchers = carried_out(place)
    assert ended.outcome == "rolled_back"
    assert "another one was" in ended.detail
    assert launchers.done == ["stop", f"start {OLD.name}"]


def test_when_the_old_one_does_not_come_back_either_that_is_said(place: Place) -> None:
    """The line names the old one: every later start tries it."""
    ended, _launchers = carried_out(place, new="exits", old="exits")
    assert ended.outcome == "failed"
    assert place.choice() == Choice(OLD.name, OLDEST.name)


def test_without_a_launcher_to_go_back_to_the_new_one_stays(place: Place) -> None:
    """A place whose old program was damaged has no way back; the new one is all there is."""
    with place.lock():
        ended = Helper(place, replace(BEGUN, old="", before=""), FakeLaunchers(place, new="hangs")).run()
    assert ended.outcome == "failed"
    assert place.choice() == Choice(NEW.name)


def test_a_trouble_of_the_host_is_no_fault_of_the_new_launcher(place: Place) -> None:
    """A host without an interpreter has none under any launcher: the same stated trouble is as good as before."""
    ended, _launchers = carried_out(place, old="no_interpreter", new="no_interpreter")
    assert ended.outcome == "kept"


@pytest.mark.parametrize(
    ("told", "earlier", "verdict"),
    [
        ({"status": "running", "launcher_pid": 2, "launcher_program": "new"}, "running", True),
        ({"status": "running", "launcher_pid": 2, "launcher_program": "old"}, "running", False),
        ({"status": "running", "launcher_pid": 2}, "running", False),
        ({"status": "running", "launcher_pid": 1, "launcher_program": "new"}, "running", None),
        ({"status": "starting", "launcher_pid": 2, "launcher_program": "new"}, "starting", None),
        ({"status": "waiting", "launcher_pid": 2, "launcher_program": "new"}, "waiting", None),
        ({"status": "host_refuses", "launcher_pid": 2, "launcher_program": "new"}, "host_refuses", True),
        ({"status": "host_refuses", "launcher_pid": 2, "launcher_program": "new"}, "no_interpreter", None),
        ({}, "", None),
    ],
)
def test_a_launcher_is_up_when_it_says_so_itself(told: dict[str, Any], earlier: str, verdict: bool | None) -> None:
    """The word of a living process of the wanted program, or of the same trouble as before; nothing else."""
    assert judge(told, frozenset({2}), "new", earlier) is verdict


def test_what_the_line_does_not_name_is_pruned_but_never_during_a_trial(place: Place) -> None:
    """Two programs stay."""
    with place.lock():
        place.choose(Choice(NEW.name, OLD.name, "0123abcd"))
        place.prune()
        assert place.complete(OLDEST.name)
        place.choose(Choice(NEW.name, OLD.name))
        place.prune()
    assert [place.complete(source.name) for source in (NEW, OLD, OLDEST)] == [True, True, False]
    assert not (place.folder / starter.PROGRAMS / OLDEST.name).exists()
