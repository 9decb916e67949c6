"""A rotation's writes: whole or not at all, and never a disk on which an ended key would speak."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.identity.ratchet import Began, Keys
from fleetroll_common.durable import dump_record
from tests.faults.identity_disk import (
    RECEIPT,
    Faults,
    Killed,
    effects_of,
    enrolled,
    killed_everywhere,
    open_store,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_a_kill_at_any_point_of_a_new_key_leaves_the_old_one_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the key that is pending, if it came to be, is the one that the next process proposes."""
    began = Began("boot", 7.0)
    first = enrolled(tmp_path / "count")
    total = effects_of(tmp_path, monkeypatch, lambda: first.begin_rotation(first.load(), began))
    outcomes = set()

    def run(faults: Faults, when: str, point: int) -> None:
        root = tmp_path / f"{when}{point}"
        before = enrolled(root).load()
        faults.count = 0
        setattr(faults, when, point)
        with pytest.raises(Killed):
            open_store(root, "b").begin_rotation(before, began)
        setattr(faults, when, None)
        after = open_store(root, "c").load()
        assert after.keys.current == before.keys.current
        again = open_store(root, "d").begin_rotation(after, began)
        assert after.keys.pending in (None, again.keys.pending)
        assert open_store(root, "e").load() == again
        outcomes.add(after.keys.pending is None)

    killed_everywhere(monkeypatch, total, run)
    assert outcomes == {True, False}
    print(f"new key: killed at {2 * total} points")


def test_a_kill_at_any_point_of_the_hello_that_ends_the_old_key_leaves_one_that_speaks_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has ended the old key by then: whatever the disk says, the next hello is not the old key's."""
    began = Began("boot", 7.0)
    first = enrolled(tmp_path / "count")
    rotating = first.begin_rotation(first.load(), began)
    total = effects_of(tmp_path, monkeypatch, lambda: first.welcomed(rotating, rotating.ratchet.next, RECEIPT))

    def run(faults: Faults, when: str, point: int) -> None:
        root = tmp_path / f"{when}{point}"
        store = enrolled(root)
        before = store.begin_rotation(store.load(), began)
        faults.count = 0
        setattr(faults, when, point)
        with pytest.raises(Killed):
            store.welcomed(before, before.ratchet.next, RECEIPT)
        setattr(faults, when, None)
        assert open_store(root, "c").load().keys.speaking == before.keys.pending

    killed_everywhere(monkeypatch, total, run)
    assert total >= 10
    print(f"taking over: killed at {2 * total} points")


def test_the_age_of_a_key_and_its_rotation_survive_a_restart(tmp_path: Path) -> None:
    store = enrolled(tmp_path)
    stamped = store.stamp_key(store.load(), 1_800_000_000.5)
    rotating = store.begin_rotation(stamped, Began("boot", 7.5))
    loaded = open_store(tmp_path, "b").load().keys
    assert loaded == rotating.keys
    assert (loaded.since, loaded.began) == (1_800_000_000.5, Began("boot", 7.5))


def test_a_key_file_of_an_earlier_version_has_no_age(tmp_path: Path) -> None:
    store = enrolled(tmp_path)
    known = store.load().keys
    path = tmp_path / "identity" / "key"
    path.write_bytes(dump_record({"current": known.current.hex(), "pending": None}))
    assert store.load().keys == Keys(known.current)
