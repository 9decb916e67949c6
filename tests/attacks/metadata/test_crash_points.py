"""The process ends between any two effects on the disk: what comes up accepts nothing older and is never stuck."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.durable import effects
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import TrustError
from tests.faults.repositories import Host, Repository

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MANY = 10_000


class Crash(BaseException):
    """The process is gone: no handler below runs to its end."""


class Countdown:
    """Lets a number of effects happen and raises in the place of the next one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = MANY
        for point in effects.POINTS:
            monkeypatch.setattr(effects, point, self._wrapped(getattr(effects, point)))

    def _wrapped(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            if self.left == 0:
                raise Crash
            self.left -= 1
            return real(*args)

        return call

    def run(self, act: Callable[[], object], effects_until: int) -> bool:
        """Run ``act`` with so many effects; tell whether it came to its end."""
        self.left = effects_until
        try:
            act()
        except Crash:
            return False
        finally:
            self.left = MANY
        return True


@pytest.fixture
def countdown(monkeypatch: pytest.MonkeyPatch) -> Countdown:
    return Countdown(monkeypatch)


def three_states() -> tuple[Repository, dict[str, bytes], dict[str, bytes]]:
    """Return a repository at its newest, with a second root, and how it was at first and in between."""
    repository = Repository()
    first = repository.frozen()
    repository.publish("1.1.0")
    between = repository.frozen()
    repository.rotate_online("second ")
    repository.publish("1.2.0")
    return repository, first, between


def is_refused(host: Host, shown: dict[str, bytes]) -> bool:
    """Tell whether a restarted host refuses a replay with the right reason."""
    host.restart()
    host.source.shown = shown
    try:
        with pytest.raises(TrustError) as caught:
            host.update()
    finally:
        host.source.shown = None
    return caught.value.code in {Code.METADATA_ROLLBACK, Code.UNSIGNED}


def test_a_crash_at_any_effect_of_a_first_refresh(tmp_path: Path, countdown: Countdown) -> None:
    points = 0
    while True:
        host = Host(tmp_path / str(points), Repository())
        host.folder.parent.mkdir()
        done = countdown.run(host.update, points)
        host.restart()
        assert host.update() == ("1.0.0",)
        points += 1
        if done:
            break
    print(f"crash points of a first refresh: {points - 1}")
    assert points > 30


def test_a_crash_at_any_effect_of_an_update(tmp_path: Path, countdown: Countdown) -> None:
    """From the middle state to the newest, the root included; the first state is what an attacker replays."""
    repository, first, between = three_states()
    points = 0
    while True:
        host = Host(tmp_path / str(points), repository)
        host.folder.parent.mkdir()
        repository.shown = between
        assert host.update() == ("1.1.0", "1.0.0")
        repository.shown = None
        host.restart()
        done = countdown.run(host.update, points)
        assert is_refused(host, first)
        host.restart()
        assert host.update() == ("1.2.0", "1.1.0", "1.0.0")
        assert is_refused(host, between)
        points += 1
        if done:
            break
    print(f"crash points of an update: {points - 1}")
    assert points > 30


def test_a_second_crash_during_the_recovery(tmp_path: Path, countdown: Countdown) -> None:
    """Every pair of points, on a grid that reaches all kinds of effects."""
    repository, first, between = three_states()
    pairs = 0
    for one in range(0, 40, 3):
        for two in range(0, 40, 7):
            host = Host(tmp_path / f"{one}-{two}", repository)
            host.folder.parent.mkdir()
            repository.shown = between
            host.update()
            repository.shown = None
            for point in (one, two):
                host.restart()
                countdown.run(host.update, point)
            assert is_refused(host, first)
            host.restart()
            assert host.update() == ("1.2.0", "1.1.0", "1.0.0")
            pairs += 1
    print(f"pairs of crash points: {pairs}")
    assert pairs == 84


def traced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that fills with the names of files put in place and, with a slash behind, of folders synced."""
    seen: list[str] = []
    rename, sync = effects.rename, effects.fsync_dir

    def note_rename(source: Path, target: Path) -> None:
        seen.append(target.name)
        rename(source, target)

    def note_sync(path: Path) -> None:
        seen.append(f"{path.name}/")
        sync(path)

    monkeypatch.setattr(effects, "rename", note_rename)
    monkeypatch.setattr(effects, "fsync_dir", note_sync)
    return seen


def test_the_floor_is_raised_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order that makes a crash between the two harmless; the other one would leave a file that can be cut."""
    repository = Repository()
    host = Host(tmp_path, repository)
    host.update()
    repository.rotate_online("second ")
    repository.publish("1.1.0")
    seen = traced(monkeypatch)
    host.update()
    assert [name for name in seen if not name.endswith("/")] == [
        "floor.json",
        "2.root.json",
        "floor.json",
        "floor.json",
        "timestamp.json",
        "floor.json",
        "snapshot.json",
        "products%2Fagent.json",
    ]


def test_folders_are_durable_before_what_is_put_into_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut may else take a folder away with the files that were already counted on."""
    host = Host(tmp_path / "state", Repository())
    host.folder.parent.mkdir()
    seen = traced(monkeypatch)
    host.update()
    assert seen[:7] == ["state/", "floor.json", "trust/", "floor.json", "trust/", "trust/", "1.root.json"]
    assert seen[7] == "root_history/"


def test_an_unchanged_refresh_writes_nothing(tmp_path: Path, countdown: Countdown) -> None:
    host = Host(tmp_path, Repository())
    host.update()
    host.restart()
    assert countdown.run(host.update, 0)


def test_a_refresh_is_remembered_once_a_minute(tmp_path: Path, countdown: Countdown) -> None:
    host = Host(tmp_path, Repository())
    host.update()
    host.clock.advance(59)
    assert countdown.run(host.update, 0)
    host.clock.advance(1)
    assert not countdown.run(host.update, 0)
