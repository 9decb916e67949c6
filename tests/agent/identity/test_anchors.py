"""The record of the anchors: taken whole or not at all, never weaker than before; a readmission is the newer word."""

from __future__ import annotations

import errno
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.doctor import identity as looks
from fleetroll_agent.doctor.host import look
from fleetroll_agent.doctor.values import Sign
from fleetroll_agent.identity.whereabouts import Whereabouts
from fleetroll_common.durable import dump_record, load_record
from fleetroll_common.values.anchors import Anchors, SignedAnchors
from fleetroll_common.values.errors import AgentError
from fleetroll_common.values.product_policy import MAX_SERIAL
from fleetroll_server.certificates import make_ca
from tests.faults.identity_disk import (
    ANSWER,
    CA_PEM,
    Faults,
    Killed,
    effects_of,
    enrolled,
    killed_everywhere,
    open_store,
)

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_agent.identity.store import IdentityStore

CAS = [make_ca("Fleetroll CA", datetime(2026, 1, 1, tzinfo=UTC)).certificate.decode() for _ in range(2)]
FIRST = Anchors(1, ("c:3", "b:2"), (CA_PEM.decode(), CAS[0]))
SECOND = Anchors(2, ("d:4",), (CAS[0],))


def signed(anchors: Anchors, keys: str = "keys") -> SignedAnchors:
    return SignedAnchors(anchors, keys)


def dialled(store: IdentityStore) -> tuple[tuple[str, ...], bytes]:
    enrolment = store.load().enrolment
    return enrolment.addresses, enrolment.ca_pem


def test_new_addresses_come_first_and_former_ones_stay_as_a_last_resort_under_the_new_cas_alone(
    tmp_path: Path,
) -> None:
    store = enrolled(tmp_path)
    store.take_anchors(signed(FIRST))
    assert dialled(store) == (("c:3", "b:2", "a:1"), FIRST.ca_pem)
    store.take_anchors(signed(SECOND))
    assert dialled(store) == (("d:4", "c:3", "b:2", "a:1"), SECOND.ca_pem)
    kept = store.load().anchors
    assert kept is not None
    assert (kept.anchors, kept.former, kept.keys) == (SECOND, ("c:3", "b:2", "a:1"), "keys")
    assert store.peek() == store.load()


def test_former_addresses_are_bounded(tmp_path: Path) -> None:
    store = enrolled(tmp_path)
    for serial in range(1, 30):
        store.take_anchors(signed(Anchors(serial, (f"host-{serial}:1",), (CAS[0],))))
    addresses, _ = dialled(store)
    assert addresses == tuple(f"host-{serial}:1" for serial in range(29, 12, -1))


def test_a_process_takes_a_higher_serial_alone(tmp_path: Path) -> None:
    store = enrolled(tmp_path)
    place = Whereabouts(store, store.load())
    assert (place.serial, place.named, place.dialled) == (0, ("a:1", "b:2"), (("a:1", "b:2"), CA_PEM))
    assert place.take(signed(SECOND))
    assert not place.take(signed(FIRST))
    assert not place.take(signed(SECOND))
    assert (place.serial, place.named, place.dialled[1]) == (2, ("d:4",), SECOND.ca_pem)
    again = Whereabouts(store, store.load())
    assert (again.serial, again.named, again.dialled) == (place.serial, place.named, place.dialled)


def test_what_other_keys_sign_is_taken_however_high_the_serial_of_the_keys_before(tmp_path: Path) -> None:
    """Whoever stole the keys before signed the highest there is; their successors begin where the owner was."""
    store = enrolled(tmp_path)
    place = Whereabouts(store, store.load())
    assert place.take(signed(Anchors(MAX_SERIAL, ("thief:1",), (CAS[1],)), "stolen"))
    assert not place.take(signed(Anchors(MAX_SERIAL, ("thief:2",), (CAS[1],)), "stolen"))
    assert place.take(signed(SECOND, "successors"))
    again = Whereabouts(store, store.load())
    assert (again.serial, again.named, again.dialled[1]) == (2, ("d:4",), SECOND.ca_pem)
    assert not again.take(signed(FIRST, "successors"))


def test_the_same_anchors_under_other_keys_are_written_down_and_are_no_news(tmp_path: Path) -> None:
    store = enrolled(tmp_path)
    place = Whereabouts(store, store.load())
    assert place.take(signed(SECOND, "before"))
    assert not place.take(signed(SECOND, "after"))
    kept = store.load().anchors
    assert kept is not None
    assert (kept.anchors, kept.keys) == (SECOND, "after")
    assert not Whereabouts(store, store.load()).take(signed(FIRST, "after")), "they are held against the new keys"


def test_a_record_without_keys_is_read_and_gives_way_to_what_is_verified(tmp_path: Path) -> None:
    store = enrolled(tmp_path)
    store.take_anchors(signed(SECOND))
    path = tmp_path / "identity" / "anchors.json"
    record = load_record(path.read_bytes())
    assert record.pop("keys") == "keys"
    path.write_bytes(dump_record(record))
    place = Whereabouts(store, store.load())
    assert place.serial == SECOND.serial
    assert place.take(signed(FIRST))


@pytest.mark.parametrize("before", [None, FIRST])
def test_a_kill_anywhere_leaves_the_anchors_before_or_the_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: Anchors | None
) -> None:
    def prepared(folder: Path) -> IdentityStore:
        store = enrolled(folder)
        if before is not None:
            store.take_anchors(signed(before))
        return store

    counted = prepared(tmp_path / "count")
    total = effects_of(tmp_path / "count", monkeypatch, lambda: counted.take_anchors(signed(SECOND)))
    old, new = dialled(prepared(tmp_path / "old")), dialled(counted)
    seen = set()

    def run(faults: Faults, when: str, point: int) -> None:
        folder = tmp_path / f"{when}-{point}"
        faults.count = -10_000
        store = prepared(folder)
        faults.count = 0
        setattr(faults, when, point)
        with pytest.raises(Killed):
            store.take_anchors(signed(SECOND))
        setattr(faults, when, None)
        found = dialled(open_store(folder))
        assert found in (old, new)
        seen.add(found)
        assert dialled(open_store(folder)) == found, "and it stays so"

    killed_everywhere(monkeypatch, total, run)
    assert seen == {old, new}


def test_a_disk_that_refuses_changes_nothing_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = enrolled(tmp_path)
    place = Whereabouts(store, store.load())
    with monkeypatch.context() as patch:
        Faults(patch).refuse_from = (1, errno.ENOSPC)
        with pytest.raises(AgentError):
            place.take(signed(SECOND))
    assert (place.serial, place.dialled) == (0, (("a:1", "b:2"), CA_PEM))
    assert place.take(signed(SECOND))


@pytest.mark.parametrize("damage", ["garbage", "lost", "fields"])
def test_a_damaged_record_never_brings_back_the_cas_of_the_enrolment(tmp_path: Path, damage: str) -> None:
    """Whoever stole the old CA's key must not win by a bad block on a host's disk."""
    store = enrolled(tmp_path)
    store.take_anchors(signed(SECOND))
    path = tmp_path / "identity" / "anchors.json"
    if damage == "lost":
        path.unlink()
    else:
        path.write_bytes(b"garbage" if damage == "garbage" else dump_record({"serial": "two"}))
    identity = store.load()
    assert identity.enrolment.ca_pem == SECOND.ca_pem
    assert identity.enrolment.addresses == ("d:4", "a:1", "b:2")
    assert identity.anchors is None
    assert "anchors.json" in identity.anchors_fault
    (finding,) = looks.anchored(look(tmp_path, datetime.now(UTC)))
    assert (finding.sign, "anchors import" in finding.remedy) == (Sign.IDENTITY_DAMAGED, True)
    place = Whereabouts(store, identity)
    assert place.take(signed(SECOND)), "the next refresh writes it anew"
    assert list(looks.anchored(look(tmp_path, datetime.now(UTC)))) == []


def test_a_damaged_ca_file_is_mended_from_the_record(tmp_path: Path) -> None:
    store = enrolled(tmp_path)
    store.take_anchors(signed(SECOND))
    (tmp_path / "identity" / "ca.pem").write_bytes(b"garbage")
    assert store.load().enrolment.ca_pem == SECOND.ca_pem
    assert (tmp_path / "identity" / "ca.pem").read_bytes() == SECOND.ca_pem


def test_a_readmission_goes_by_its_join_string_until_the_next_refresh(tmp_path: Path) -> None:
    store = enrolled(tmp_path)
    store.take_anchors(signed(SECOND))
    store.candidate()
    identity = store.enrol(ANSWER)
    assert (identity.anchors, identity.enrolment.addresses, identity.enrolment.ca_pem) == (None, ("a:1", "b:2"), CA_PEM)
    assert Whereabouts(store, identity).take(signed(SECOND))


def test_a_readmission_by_an_earlier_version_leaves_a_record_that_is_passed_over(tmp_path: Path) -> None:
    """It writes ``agent.json`` anew and knows no record of anchors."""
    store = enrolled(tmp_path)
    store.take_anchors(signed(SECOND))
    agent = load_record((tmp_path / "identity" / "agent.json").read_bytes())
    earlier = {name: value for name, value in agent.items() if name != "anchored"}
    (tmp_path / "identity" / "agent.json").write_bytes(dump_record({**earlier, "addresses": ["a:1"]}))
    (tmp_path / "identity" / "ca.pem").write_bytes(CA_PEM)
    identity = store.load()
    assert (identity.anchors, identity.enrolment.addresses, identity.enrolment.ca_pem) == (None, ("a:1",), CA_PEM)
