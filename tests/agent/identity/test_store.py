"""The identity folder: modes, readmission, a full disk, and a kill before and after every effect of every write."""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent.identity.ratchet import Keys, propose
from fleetroll_common.durable import dump_record, load_record
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError
from tests.faults.identity_disk import (
    ANSWER,
    CA_PEM,
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


def _read(tmp_path: Path, name: str) -> dict[str, Any]:
    return load_record((tmp_path / "identity" / name).read_bytes())


def test_a_host_that_is_not_enrolled_says_so(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert not store.is_enrolled()
    with pytest.raises(AgentError, match="enroll <join string>") as caught:
        store.load()
    assert caught.value.code is Code.IDENTITY_UNKNOWN
    store.candidate()
    assert not store.is_enrolled()


def test_a_lost_answer_is_asked_for_again_with_the_same_key(tmp_path: Path) -> None:
    """Another process, other random bytes: the key on disk counts."""
    assert open_store(tmp_path, "a").candidate() == open_store(tmp_path, "b").candidate()


def test_an_answer_without_a_candidate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AgentError) as caught:
        open_store(tmp_path).enrol(ANSWER)
    assert caught.value.code is Code.NOT_FOUND


def test_what_was_answered_is_loaded(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    candidate = store.candidate()
    identity = store.enrol(ANSWER)
    assert identity.enrolment == ANSWER
    assert identity.keys == Keys(candidate.private_key)
    assert identity.ratchet == candidate.ratchet
    assert identity.receipt is None
    assert open_store(tmp_path, "b").load() == identity


def test_the_folder_holds_exactly_these_private_files(tmp_path: Path) -> None:
    enrolled(tmp_path)
    folder = tmp_path / "identity"
    assert folder.stat().st_mode & 0o7777 == 0o700
    modes = {entry.name: entry.stat().st_mode & 0o7777 for entry in folder.iterdir()}
    assert modes == dict.fromkeys(["agent.json", "ca.pem", "key", "ratchet.json", "receipt", "root.json"], 0o600)


def test_the_private_key_is_in_no_other_file(tmp_path: Path) -> None:
    identity = enrolled(tmp_path).load()
    secret = identity.keys.current
    holders = [
        entry.name
        for entry in (tmp_path / "identity").iterdir()
        if secret in entry.read_bytes() or secret.hex().encode() in entry.read_bytes()
    ]
    assert holders == ["key"]
    assert secret.hex() not in repr(identity)


def test_a_welcome_is_on_disk_when_the_call_returns(tmp_path: Path) -> None:
    store = enrolled(tmp_path)
    identity = store.load()
    kept = store.welcomed(identity, identity.ratchet.next, RECEIPT)
    assert kept.error is None
    assert kept.identity.ratchet.current == identity.ratchet.next
    assert kept.identity.ratchet.advances == 1
    assert kept.identity.receipt == RECEIPT
    assert open_store(tmp_path, "b").load() == kept.identity


def test_a_welcome_that_names_something_else_keeps_the_pair(tmp_path: Path) -> None:
    store = enrolled(tmp_path)
    identity = store.load()
    assert store.welcomed(identity, b"x" * 32, RECEIPT).identity.ratchet == identity.ratchet


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("point", range(1, 7))
def test_a_disk_that_refuses_leaves_the_session_usable_with_the_old_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, point: int
) -> None:
    """Also at the last sync, when the new pair may stand on the disk already: the next Welcome heals it."""
    store = enrolled(tmp_path)
    identity = store.load()
    faults = Faults(monkeypatch)
    faults.refuse_from = (point, code)
    kept = store.welcomed(identity, identity.ratchet.next, RECEIPT)
    assert kept.error is not None
    assert kept.error.errno == code
    assert kept.identity.ratchet == identity.ratchet
    faults.refuse_from = None
    again = store.welcomed(kept.identity, identity.ratchet.next, RECEIPT)
    assert again.error is None
    assert open_store(tmp_path, "b").load() == again.identity


def test_a_rotation_writes_the_new_key_before_it_is_sent_and_ends_the_old_one_at_the_welcome(tmp_path: Path) -> None:
    store = enrolled(tmp_path)
    identity = store.load()
    rotating = store.write_keys(identity, propose(identity.keys, b"n" * 32))
    assert open_store(tmp_path, "b").load().keys == Keys(identity.keys.current, b"n" * 32)
    kept = store.welcomed(rotating, identity.ratchet.next, RECEIPT)
    assert kept.identity.keys == Keys(b"n" * 32)
    assert open_store(tmp_path, "b").load() == kept.identity


def test_a_key_that_can_not_be_written_is_not_to_be_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = enrolled(tmp_path)
    identity = store.load()
    Faults(monkeypatch).refuse_from = (1, errno.ENOSPC)
    with pytest.raises(AgentError) as caught:
        store.write_keys(identity, propose(identity.keys, b"n" * 32))
    assert caught.value.code is Code.DISK_FULL


def test_readmission_takes_a_new_key_and_a_new_ratchet_at_once(tmp_path: Path) -> None:
    former = enrolled(tmp_path).load()
    store = open_store(tmp_path, "b")
    candidate = store.candidate()
    assert store.load() == former
    after = store.enrol(replace(ANSWER, incarnation="inc-2"))
    assert after.keys == Keys(candidate.private_key) != former.keys
    assert after.ratchet == candidate.ratchet != former.ratchet


def test_fields_of_another_version_are_kept(tmp_path: Path) -> None:
    store = enrolled(tmp_path)
    path = tmp_path / "identity" / "ratchet.json"
    path.write_bytes(dump_record({**load_record(path.read_bytes()), "later": [1]}))
    identity = store.load()
    store.welcomed(identity, identity.ratchet.next, RECEIPT)
    assert _read(tmp_path, "ratchet.json")["later"] == [1]


@pytest.mark.parametrize("name", ["agent.json", "key", "ratchet.json", "receipt"])
def test_a_damaged_file_is_named_and_the_way_out_is_said(tmp_path: Path, name: str) -> None:
    store = enrolled(tmp_path)
    path = tmp_path / "identity" / name
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(AgentError, match="readmit this host") as caught:
        store.load()
    assert caught.value.details == {"file": name}


@pytest.mark.parametrize("name", ["agent.json", "key", "ratchet.json", "receipt", "ca.pem"])
@pytest.mark.parametrize("lost", [False, True])
def test_a_readmission_mends_a_damaged_or_lost_file(tmp_path: Path, name: str, lost: bool) -> None:
    store = enrolled(tmp_path)
    former = store.load()
    path = tmp_path / "identity" / name
    path.unlink() if lost else path.write_bytes(path.read_bytes()[:-30])
    if lost and name == "agent.json":
        assert not store.is_enrolled()
        return
    with pytest.raises(AgentError, match="readmit this host") as caught:
        store.load()
    assert caught.value.details == {"file": name}
    store = open_store(tmp_path, "b")
    assert store.known_agent_id() == ("" if name == "agent.json" else "agent-1")
    store.candidate()
    after = store.enrol(ANSWER)
    assert after == store.load()
    assert after.keys.current != former.keys.current


@pytest.mark.parametrize("damage", [b"", b"torn", dump_record({"other": 1})])
def test_a_damaged_candidate_of_a_host_that_is_no_agent_is_put_aside(tmp_path: Path, damage: bytes) -> None:
    open_store(tmp_path).candidate()
    path = tmp_path / "identity" / "candidate.json"
    path.write_bytes(damage)
    store = open_store(tmp_path, "b")
    assert not store.is_enrolled()
    fresh = store.candidate()
    assert (tmp_path / "identity" / "candidate.json.damaged").read_bytes() == damage
    assert open_store(tmp_path, "c").candidate() == fresh
    assert store.enrol(ANSWER).keys == Keys(fresh.private_key)


def test_what_was_put_aside_earlier_is_not_lost_to_the_next_damage(tmp_path: Path) -> None:
    for number, damage in enumerate((b"first", b"second", b"third")):
        open_store(tmp_path, str(number)).candidate()
        (tmp_path / "identity" / "candidate.json").write_bytes(damage)
    open_store(tmp_path, "last").candidate()
    kept = sorted((tmp_path / "identity").glob("*.damaged*"))
    assert [path.read_bytes() for path in kept] == [b"first", b"second", b"third"]


def test_a_damaged_candidate_alone_says_to_enroll_again(tmp_path: Path) -> None:
    open_store(tmp_path).candidate()
    (tmp_path / "identity" / "candidate.json").write_bytes(b"torn")
    for ask in (open_store(tmp_path).load, open_store(tmp_path).known_agent_id):
        with pytest.raises(AgentError, match="run enroll again") as caught:
            ask()
        assert "readmit" not in str(caught.value)


def test_a_damaged_candidate_of_an_agent_is_mended_by_a_readmission(tmp_path: Path) -> None:
    """It may hold an answer that is half taken up: what stands beside it is not believed alone."""
    former = enrolled(tmp_path).load()
    (tmp_path / "identity" / "candidate.json").write_bytes(b"torn")
    store = open_store(tmp_path, "b")
    with pytest.raises(AgentError, match="readmit this host"):
        store.load()
    assert store.known_agent_id() == "agent-1"
    store.candidate()
    assert store.enrol(ANSWER).keys != former.keys
    assert open_store(tmp_path, "c").load().enrolment == ANSWER


@pytest.mark.parametrize("damage", [b"", CA_PEM[:-60], CA_PEM + CA_PEM[:200], b"\xff"])
def test_certificates_of_which_a_part_is_missing_are_named_before_any_server_is_asked(
    tmp_path: Path, damage: bytes
) -> None:
    store = enrolled(tmp_path)
    (tmp_path / "identity" / "ca.pem").write_bytes(damage)
    with pytest.raises(AgentError, match=r"identity/ca\.pem.*readmit this host"):
        store.load()


@pytest.mark.parametrize("name", ["agent.json", "key", "ratchet.json", "receipt"])
def test_a_record_with_other_fields_is_refused(tmp_path: Path, name: str) -> None:
    store = enrolled(tmp_path)
    (tmp_path / "identity" / name).write_bytes(dump_record({"other": 1}))
    with pytest.raises(AgentError, match="wrong or missing field"):
        store.load()


def test_a_ratchet_file_that_was_damaged_meanwhile_is_written_anew(tmp_path: Path) -> None:
    store = enrolled(tmp_path)
    identity = store.load()
    (tmp_path / "identity" / "ratchet.json").write_bytes(b"")
    kept = store.welcomed(identity, identity.ratchet.next, RECEIPT)
    assert open_store(tmp_path, "b").load() == kept.identity


def test_a_kill_at_any_point_of_an_enrolment_leaves_none_or_the_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And asking again finishes it with the same key."""
    first = tmp_path / "count"
    open_store(first).candidate()
    total = effects_of(first, monkeypatch, lambda: open_store(first).enrol(ANSWER))
    outcomes = set()

    def run(faults: Faults, when: str, point: int) -> None:
        root = tmp_path / f"{when}{point}"
        candidate = open_store(root).candidate()
        faults.count = 0
        setattr(faults, when, point)
        with pytest.raises(Killed):
            open_store(root).enrol(ANSWER)
        setattr(faults, when, None)
        after = open_store(root, "b")
        outcomes.add(after.is_enrolled())
        identity = after.load() if after.is_enrolled() else after.enrol(ANSWER)
        assert (identity.keys, identity.ratchet) == (Keys(candidate.private_key), candidate.ratchet)
        assert identity.enrolment == ANSWER

    killed_everywhere(monkeypatch, total, run)
    assert outcomes == {True, False}
    assert total >= 40
    print(f"enrolment: killed at {2 * total} points")


def test_a_kill_at_any_point_of_a_readmission_leaves_the_former_or_the_new_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never the key of one with the ratchet of the other."""
    first = tmp_path / "count"
    enrolled(first)
    open_store(first, "b").candidate()
    total = effects_of(first, monkeypatch, lambda: open_store(first, "b").enrol(ANSWER))
    outcomes = set()

    def run(faults: Faults, when: str, point: int) -> None:
        root = tmp_path / f"{when}{point}"
        former = enrolled(root).load()
        candidate = open_store(root, "b").candidate()
        faults.count = 0
        setattr(faults, when, point)
        with pytest.raises(Killed):
            open_store(root, "b").enrol(ANSWER)
        setattr(faults, when, None)
        identity = open_store(root, "c").load()
        pair = (identity.keys, identity.ratchet)
        assert pair in ((former.keys, former.ratchet), (Keys(candidate.private_key), candidate.ratchet))
        outcomes.add(pair == (former.keys, former.ratchet))

    killed_everywhere(monkeypatch, total, run)
    assert outcomes == {True, False}
    print(f"readmission: killed at {2 * total} points")


def test_a_kill_at_any_point_of_a_welcome_leaves_the_old_pair_or_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = enrolled(tmp_path / "count")
    identity = store.load()
    welcomed = effects_of(tmp_path, monkeypatch, lambda: store.welcomed(identity, identity.ratchet.next, RECEIPT))
    outcomes = set()

    def run(faults: Faults, when: str, point: int) -> None:
        root = tmp_path / f"{when}{point}"
        before = enrolled(root).load()
        faults.count = 0
        setattr(faults, when, point)
        with pytest.raises(Killed):
            open_store(root, "b").welcomed(before, before.ratchet.next, RECEIPT)
        setattr(faults, when, None)
        after = open_store(root, "c").load().ratchet
        assert after == before.ratchet or after == replace(after, current=before.ratchet.next, advances=1)
        outcomes.add(after == before.ratchet)

    killed_everywhere(monkeypatch, welcomed, run)
    assert outcomes == {True, False}
