"""An upgrade that ends at any call that changes the disk: what is started next is always something whole."""

from __future__ import annotations

import errno
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent.launcher import calls, starter
from fleetroll_agent.launcher.starter import Choice
from fleetroll_agent.service.upgrade import Helper
from fleetroll_common.durable import effects
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError
from tests.faults.fake_launchers import BEGUN, NEW, OLD, OLDEST, FakeLaunchers
from tests.faults.launcher_places import place_with

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Died(BaseException):
    """The power, or SIGKILL."""


MANY = 200


def dies(monkeypatch: pytest.MonkeyPatch, number: int, work: Callable[[], object]) -> bool:
    """Do ``work`` with a disk whose effects end before the one of this number; return whether it was done."""
    left = number

    def count(real: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal left
        if left == 0:
            raise Died
        left -= 1
        return real(*arguments)

    with monkeypatch.context() as patch:
        for module, points in ((effects, effects.POINTS), (calls, calls.POINTS)):
            for name in points:
                patch.setattr(module, name, partial(count, getattr(module, name)))
        try:
            work()
        except Died:
            return False
    return True


@pytest.mark.parametrize("new", ["good", "exits"])
def test_a_helper_that_dies_at_any_effect_leaves_a_line_that_starts_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new: str
) -> None:
    """At every call that changes the disk: the line is whole, and names complete programs alone."""
    died = 0
    for number in range(MANY):
        made = place_with(tmp_path / str(number), OLD, NEW, OLDEST, choice=Choice(OLD.name, OLDEST.name))
        with made.lock():
            whole = dies(monkeypatch, number, Helper(made, BEGUN, FakeLaunchers(made, new=new)).run)
        if whole:
            break
        died += 1
        choice = made.choice()
        assert choice is not None
        assert {choice.current, choice.previous} <= {OLD.name, NEW.name, OLDEST.name}
        assert all(made.complete(name) for name in choice[:2])
    print(f"\nlauncher-upgrade ({new}): {died} effects of a helper, each the last one once")
    assert 15 < died < MANY - 1


def test_a_copy_that_dies_at_any_effect_is_no_program_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """COMPLETE comes last: a torn copy is never started, and is made whole by the next attempt."""
    died = 0
    for number in range(MANY):
        made = place_with(tmp_path / str(number), OLD)
        if dies(monkeypatch, number, partial(made.add, NEW)):
            break
        died += 1
        assert starter.order(str(made.folder))[0] == OLD.name
        assert made.usable() == OLD.name
        assert made.add(NEW) == NEW.name
        assert made.complete(NEW.name)
    print(f"\nlauncher-upgrade: {died} effects of a copy, each the last one once")
    assert 20 < died < MANY - 1


def test_a_disk_that_takes_nothing_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line is refused, and so the running launcher is not stopped."""

    def refuse(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    place = place_with(tmp_path, OLD, NEW, OLDEST, choice=Choice(OLD.name, OLDEST.name))
    launchers = FakeLaunchers(place)
    with monkeypatch.context() as patch:
        patch.setattr(effects, "write", refuse)
        with pytest.raises(AgentError) as caught, place.lock():
            Helper(place, BEGUN, launchers).run()
    assert caught.value.code is Code.DISK_FULL
    assert launchers.done == []
    assert place.choice() == Choice(OLD.name, OLDEST.name)
