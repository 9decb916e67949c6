"""The boot record as bytes: what goes in comes out, and nothing that was damaged is believed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_agent.launcher.errors import NothingToRunError, RecordDamagedError
from fleetroll_agent.launcher.files import SlotFacts
from fleetroll_agent.launcher.pipe import LINE_BYTES
from fleetroll_agent.launcher.pipe import encode as encode_message
from fleetroll_agent.launcher.record import MAX_BYTES, decode, encode, record_from_json, record_to_json
from fleetroll_agent.launcher.recovery import Source, from_bytes, from_slots
from fleetroll_agent.launcher.trial import clip, with_outcome
from fleetroll_agent.launcher.values import (
    MAX_BAD,
    MAX_UNPROVEN,
    TAIL_BYTES,
    Attempt,
    Authority,
    Ended,
    Origin,
    Outcome,
    Reason,
    Record,
    SlotRef,
    Trial,
)
from fleetroll_common.durable import load_record
from fleetroll_common.values.codes import Code
from tests.faults.launcher_bench import OLD, SERVER_1, first

DIGESTS = st.integers(0, 2**256 - 1).map("{:064x}".format)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
NUMBERS = st.floats(0, 1e9)
ATTEMPTS = st.builds(Attempt, st.sampled_from(Origin), st.integers(1, 2**40))
SLOTS = st.builds(SlotRef, st.just("1.0.0-abc"), TEXTS, DIGESTS, TEXTS, TEXTS, st.none() | ATTEMPTS)
TRIALS = st.builds(
    Trial,
    slot=SLOTS,
    attempt=ATTEMPTS,
    authority=st.sampled_from(Authority),
    soak_seconds=NUMBERS,
    lease_seconds=NUMBERS,
    armed_at=NUMBERS,
    trial_end=NUMBERS,
    tries_left=st.integers(0, 9),
    starts=st.integers(0, 9),
    gives=st.integers(0, 2),
    extended_seconds=NUMBERS,
    promoted=st.booleans(),
    stopped=st.booleans(),
)
OUTCOMES = st.builds(
    Outcome,
    st.none() | ATTEMPTS,
    TEXTS,
    DIGESTS,
    st.sampled_from(Ended),
    st.sampled_from(Reason),
    TEXTS,
    st.booleans(),
    TEXTS,
    TEXTS,
)
RECORDS = st.builds(
    Record,
    seq=st.integers(0, 2**60),
    current=SLOTS,
    previous=st.none() | SLOTS,
    trial=st.none() | TRIALS,
    last=st.none() | OUTCOMES,
    earlier=st.lists(OUTCOMES, max_size=4).map(tuple),
    highest_server=st.integers(0, 9),
    highest_local=st.integers(0, 9),
    boot_id=TEXTS,
    bad=st.lists(DIGESTS, max_size=5).map(tuple),
    unproven=st.dictionaries(DIGESTS, st.integers(0, 9), max_size=4).map(lambda found: tuple(sorted(found.items()))),
    crashes=st.lists(NUMBERS, max_size=6).map(tuple),
    recovered=st.booleans(),
    extra=st.dictionaries(st.just("later"), TEXTS, max_size=1).map(lambda found: tuple(found.items())),
)


@given(RECORDS)
def test_a_record_comes_back_as_it_was_written_fields_of_later_launchers_included(record: Record) -> None:
    assert decode(encode(record)) == record


@given(RECORDS)
def test_the_project_reads_it_as_any_other_of_its_records(record: Record) -> None:
    assert load_record(encode(record)) == record_to_json(record)


@given(RECORDS, st.data())
def test_any_changed_byte_and_any_cut_is_damage(record: Record, data: st.DataObject) -> None:
    good = encode(record)
    at = data.draw(st.integers(0, len(good) - 2))
    changed = bytearray(good)
    changed[at] ^= data.draw(st.integers(1, 255))
    for damaged in (bytes(changed), good[:at]):
        try:
            read = decode(damaged)
        except RecordDamagedError:
            continue
        assert read == record  # such as another case of a hex digit outside of the checked part


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"\xff", b'{"crc32":"00000000","record":{}}', b'{"record":[]}', b" " * (MAX_BYTES + 1)],
)
def test_what_is_no_record_is_damage(data: bytes) -> None:
    with pytest.raises(RecordDamagedError):
        decode(data)


WRONG: list[tuple[str, Any]] = [
    ("format", 2),
    ("seq", -1),
    ("seq", True),
    ("current", None),
    ("current", {}),
    ("previous", 3),
    ("bad", [1]),
    ("bad", "x"),
    ("unproven", []),
    ("unproven", {"a": "b"}),
    ("crashes", [None]),
    ("crashes", [1e300]),
    ("recovered", 0),
    ("highest", {"server": 1}),
    ("boot_id", 1),
    ("last", {"attempt": {"origin": "moon", "generation": 1}}),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_a_wrong_field_is_named(field: str, value: object) -> None:
    with pytest.raises(RecordDamagedError, match=field):
        record_from_json({**record_to_json(first()), field: value})


@pytest.mark.parametrize("name", ["", "..", ".draft-1", "a/b", "/etc", "a\n", "x" * 200])
def test_a_slot_is_a_plain_folder_name(name: str) -> None:
    with pytest.raises(RecordDamagedError, match="slot"):
        record_from_json(record_to_json(first()._replace(current=OLD._replace(name=name))))


def test_the_largest_record_fits_into_its_bounds_and_into_a_message() -> None:
    awful = '\x00"\\\u2028\U0001f4a5' * 5000
    record = first()
    for number in range(400):
        outcome = Outcome(
            SERVER_1, "9" * 20, f"{number:064x}", Ended.ROLLED_BACK, Reason.BAD, "CODE", False, "why " * 40, awful
        )
        record = with_outcome(record, outcome)
        record = with_outcome(record, outcome._replace(reason=Reason.UNPROVEN, counted=True))
    assert (len(record.bad), len(record.unproven)) == (MAX_BAD, MAX_UNPROVEN)
    assert len(encode(record)) < MAX_BYTES
    assert len(encode_message({"type": "record", "record": record_to_json(record)})) < LINE_BYTES


@given(st.text())
def test_clipped_text_is_an_end_of_the_text_within_its_bound(text: str) -> None:
    kept = clip(text, 100)
    assert len(json.dumps(kept)) - 2 <= 100
    assert len(kept) <= len(text)
    assert len(clip("a" * 9000, TAIL_BYTES)) == TAIL_BYTES


def test_a_valid_record_wins_over_its_replacement_and_that_over_the_slots() -> None:
    old, new = encode(first(1)), encode(first(2))
    found = from_bytes(old, new)
    assert found is not None
    assert (found.record.seq, found.source) == (1, Source.RECORD)
    for damaged in (None, b"", new[:-9]):
        found = from_bytes(damaged, new)
        assert found is not None
        assert (found.record.seq, found.source) == (2, Source.REPLACEMENT)
        assert from_bytes(damaged, old[:40]) is None


def facts(version: str, good: int = -1, *, bad: bool = False) -> SlotFacts:
    return SlotFacts(f"{version}-x", version, version[2] * 64, "entry.py", "cp311", good, bad)


@pytest.mark.parametrize(
    ("slots", "expected"),
    [
        ([facts("1.0.0", 1), facts("1.1.0")], "1.0.0"),
        ([facts("1.0.0", 9), facts("1.1.0", 4)], "1.0.0"),
        ([facts("1.0.0", 0), facts("1.1.0", 0)], "1.1.0"),
        ([facts("1.0.0", 1), facts("1.1.0", 7, bad=True)], "1.0.0"),
    ],
)
def test_a_rebuilt_record_takes_the_slot_that_was_kept_last_and_never_a_bad_one(
    slots: list[SlotFacts], expected: str
) -> None:
    record = from_slots(slots, {"cp311": "/usr/bin/python3.11"}).record
    assert record.current.version == expected
    assert record.current.python == "/usr/bin/python3.11"
    assert record.recovered
    assert record.seq > max(slot.good for slot in slots if not slot.bad)
    assert record.bad == tuple(slot.digest for slot in slots if slot.bad)


@pytest.mark.parametrize("slots", [[], [facts("1.0.0")], [facts("1.0.0", 3, bad=True)]])
def test_without_a_slot_that_was_kept_nothing_is_started(slots: list[SlotFacts]) -> None:
    with pytest.raises(NothingToRunError, match="enrol"):
        from_slots(slots, {})


def test_codes_are_those_of_the_projects_table() -> None:
    codes = {"EXITED", "HUNG", "START_FAILED", "HEALTH_FAILED", "HEALTH_TIMEOUT", "LOST_CONTACT", "REBOOTED"}
    codes |= {"TRIAL_ENDED", "RECALLED", "CRASHED_AFTER_COMMIT", "NO_INTERPRETER", "ENTRY_MISSING", "UNPROVEN"}
    codes |= {"STORE_FAILED", "UNAVAILABLE", "SUPERSEDED", "UPDATE_IN_PROGRESS", "NOT_ALLOWED", "INVALID_ARGUMENT"}
    codes |= {"BAD_DIGEST", "ALREADY_AT_TARGET", "CONFLICT", "NOT_FOUND", "LOCKED", "ALREADY_EXISTS", "INTERNAL"}
    assert codes <= set(Code.__members__)
