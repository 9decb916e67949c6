"""A key that was made for a string of another host: it goes again, and a kill at any point leaves all as it was."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.identity.ratchet import Keys
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError
from tests.faults.identity_disk import (
    ANSWER,
    Faults,
    Killed,
    effects_of,
    enrolled,
    killed_everywhere,
    open_store,
)

if TYPE_CHECKING:
    from pathlib import Path


def files(tmp_path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (tmp_path / "identity").iterdir()}


def refused(tmp_path: Path) -> None:
    """Ask with a key of its own, and be refused."""
    store = open_store(tmp_path, "b")
    store.candidate()
    store.give_up()


def test_a_key_that_was_refused_leaves_the_identity_as_it_was_byte_for_byte(tmp_path: Path) -> None:
    enrolled(tmp_path)
    before = files(tmp_path)
    refused(tmp_path)
    assert files(tmp_path) == before


def test_a_host_that_is_no_agent_keeps_nothing_of_a_key_that_was_refused(tmp_path: Path) -> None:
    refused(tmp_path)
    assert files(tmp_path) == {}
    assert not open_store(tmp_path).is_enrolled()


def test_a_key_that_asked_before_is_kept_because_its_answer_may_have_got_lost(tmp_path: Path) -> None:
    enrolled(tmp_path)
    asked = open_store(tmp_path, "b").candidate()
    store = open_store(tmp_path, "c")
    assert store.candidate() == asked
    store.give_up()
    assert open_store(tmp_path, "d").candidate() == asked


def test_a_key_that_was_answered_is_given_up_no_more(tmp_path: Path) -> None:
    store = enrolled(tmp_path)
    identity = store.load()
    store.give_up()
    assert open_store(tmp_path, "b").load() == identity


def test_a_disk_that_keeps_the_key_says_so_and_the_identity_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = enrolled(tmp_path).load()
    store = open_store(tmp_path, "b")
    store.candidate()
    with monkeypatch.context() as patch:
        Faults(patch).refuse_from = (1, errno.EROFS)
        with pytest.raises(AgentError) as caught:
            store.give_up()
    assert caught.value.code is Code.INTERNAL
    assert open_store(tmp_path, "c").load() == former


def test_a_kill_at_any_point_of_a_refused_readmission_leaves_the_former_identity_and_the_next_one_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tmp_path / "count"
    enrolled(first)
    total = effects_of(first, monkeypatch, lambda: refused(first))
    left_behind = set()

    def run(faults: Faults, when: str, point: int) -> None:
        root = tmp_path / f"{when}{point}"
        former = enrolled(root).load()
        before = files(root)
        faults.count = 0
        setattr(faults, when, point)
        with pytest.raises(Killed):
            refused(root)
        setattr(faults, when, None)
        assert open_store(root, "c").load() == former
        after = files(root)
        assert {name: after[name] for name in before} == before
        left_behind.update(after.keys() - before.keys())
        store = open_store(root, "d")
        asked = store.candidate()
        assert store.enrol(ANSWER).keys == Keys(asked.private_key) != former.keys

    killed_everywhere(monkeypatch, total, run)
    assert "candidate.json" in left_behind
    print(f"refused readmission: killed at {2 * total} points")
