"""The replacements of a host's key are kept for a server that was restored; nothing else depends on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.identity.facts import KeptRotation
from fleetroll_agent.identity.store import KEPT_ROTATIONS, ROTATIONS
from tests.faults.identity_disk import ANSWER, enrolled, open_store

if TYPE_CHECKING:
    from pathlib import Path


def rotation(number: int) -> KeptRotation:
    return KeptRotation(*(bytes([number, part]) * 16 for part in range(2)), *(bytes([number]) * 64 for _ in range(2)))


def test_they_come_back_in_their_order_and_each_once(tmp_path: Path) -> None:
    store = enrolled(tmp_path)
    identity = store.load()
    for number in (1, 2, 2):
        identity = store.keep_rotation(identity, rotation(number))
    assert identity.rotations == (rotation(1), rotation(2))
    assert open_store(tmp_path).load().rotations == identity.rotations


def test_the_newest_are_kept(tmp_path: Path) -> None:
    store = enrolled(tmp_path)
    identity = store.load()
    for number in range(KEPT_ROTATIONS + 3):
        identity = store.keep_rotation(identity, rotation(number))
    assert identity.rotations == tuple(rotation(number) for number in range(3, KEPT_ROTATIONS + 3))


def test_a_host_with_a_damaged_file_of_them_works_as_ever(tmp_path: Path) -> None:
    store = enrolled(tmp_path)
    store.keep_rotation(store.load(), rotation(1))
    (tmp_path / "identity" / ROTATIONS).write_bytes(b"damaged")
    assert open_store(tmp_path).load().rotations == ()


def test_those_of_an_earlier_enrolment_are_gone_with_its_key(tmp_path: Path) -> None:
    store = enrolled(tmp_path)
    store.keep_rotation(store.load(), rotation(1))
    store.candidate()
    assert store.enrol(ANSWER).rotations == ()


def test_the_last_welcome_says_which_database_is_known(tmp_path: Path) -> None:
    identity = enrolled(tmp_path).load()
    assert not identity.is_new_to(ANSWER.incarnation)
    assert identity.is_new_to("another")
