"""What a host tried by itself without success: what waits, how long, and what waits for a person."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleetroll_agent.jobs.failures import MAX_FAILURES, Failure, forget, note
from fleetroll_agent.jobs.record import read_record, record_json
from fleetroll_agent.jobs.values import Outcome, ProductRecord, Said
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError

HOUR = 3600.0
CUT = Outcome(1, 0, "1.1.0", Said.FAILED, code=Code.DOWNLOAD_FAILED, ended_at=1000.0, local=1)
WENT_BACK = replace(CUT, said=Said.ROLLED_BACK, code=Code.STEP_FAILED, unproven=True)


def after(*outcomes: Outcome) -> Failure:
    """Return what is known of 1.1.0 after these ends."""
    known: tuple[Failure, ...] = ()
    for outcome in outcomes:
        known = note(known, outcome, 3)
    (failure,) = known
    return failure


def test_what_passes_waits_an_hour_doubling_to_a_day_and_never_for_ever() -> None:
    waits = [after(*[CUT] * count).wait_seconds / HOUR for count in range(1, 9)]
    assert waits == [1, 2, 4, 8, 16, 24, 24, 24]
    many = after(*[CUT] * 2000)
    assert (many.permanent, many.wait_seconds) == (False, 24 * HOUR)


def test_a_version_is_barred_for_its_wait_and_not_longer() -> None:
    failure = after(CUT)
    assert failure.bars(1000)
    assert failure.bars(1000 + HOUR - 1)
    assert not failure.bars(1000 + HOUR)


def test_a_clock_that_was_set_back_bars_nothing_for_years() -> None:
    assert not after(CUT).bars(999)


@pytest.mark.parametrize(
    "end",
    [
        replace(CUT, code=Code.WRONG_HASH),
        replace(CUT, code=Code.UNSIGNED),
        replace(CUT, code=Code.WRONG_PLATFORM),
        replace(CUT, code=Code.BAD_DIGEST),
        replace(CUT, said=Said.ROLLED_BACK, code=Code.HEALTH_FAILED),
        replace(CUT, said=Said.ROLLBACK_FAILED, code=Code.STEP_FAILED),
        replace(CUT, said=Said.CANCELLED, code=Code.CANCELLED_BY),
    ],
)
def test_what_is_the_versions_fault_or_a_persons_wish_waits_for_a_person(end: Outcome) -> None:
    failure = after(end)
    assert failure.permanent
    assert failure.bars(1000 + 1e9)


@pytest.mark.parametrize(
    "end",
    [
        CUT,
        replace(CUT, code=Code.DISK_FULL),
        replace(CUT, code=Code.LOCKED, unproven=True),
        replace(CUT, code=Code.UNAVAILABLE, unproven=True),
        replace(CUT, code=Code.METADATA_FREEZE),
        replace(CUT, said=Said.SKIPPED, code=Code.BELOW_SUPPORTED),
    ],
)
def test_what_another_try_may_mend_is_never_given_up(end: Outcome) -> None:
    assert not after(*[end] * 50).permanent


def test_what_nobody_proved_has_as_many_tries_as_an_assignment() -> None:
    assert not after(WENT_BACK, WENT_BACK).permanent
    assert after(WENT_BACK, WENT_BACK, WENT_BACK).permanent
    assert not after(WENT_BACK, CUT, CUT, CUT, WENT_BACK).permanent, "a cut download is no try of the version"


@pytest.mark.parametrize("code", [Code.SUPERSEDED, Code.KILLED])
def test_who_gave_way_has_not_failed(code: Code) -> None:
    assert note((), replace(CUT, said=Said.CANCELLED, code=code), 3) == ()


def test_versions_are_counted_apart_and_the_oldest_go() -> None:
    known: tuple[Failure, ...] = ()
    for number in range(MAX_FAILURES + 5):
        known = note(known, replace(CUT, version=f"1.{number}.0"), 3)
    assert len(known) == MAX_FAILURES
    assert (known[0].version, known[-1].version) == ("1.5.0", f"1.{MAX_FAILURES + 4}.0")
    assert forget(known, "1.5.0") == known[1:]


def test_what_passes_goes_before_what_waits_for_a_person() -> None:
    """A mirror that is away for weeks must not bring a bad version back."""
    bad, touched = replace(CUT, version="2.0.0", code=Code.WRONG_HASH), replace(WENT_BACK, version="2.1.0")
    known = note(note((), bad, 3), touched, 3)
    for number in range(MAX_FAILURES + 5):
        known = note(known, replace(CUT, version=f"1.{number}.0"), 3)
    assert len(known) == MAX_FAILURES
    assert [each.version for each in known[:3]] == ["2.0.0", "2.1.0", "1.7.0"]
    for number in range(MAX_FAILURES):
        known = note(known, replace(bad, version=f"3.{number}.0"), 3)
    assert (known[0].version, len(known)) == ("3.0.0", MAX_FAILURES), "of the same worth the oldest go"
    assert note(known, replace(CUT, version="4.0.0"), 3) == known


def test_they_are_kept_over_restarts() -> None:
    record = ProductRecord(failures=(after(WENT_BACK, WENT_BACK, WENT_BACK),), suspended=("global",))
    assert read_record(record_json(record)) == record
    older = {name: value for name, value in record_json(record).items() if name not in ("failures", "suspended")}
    assert read_record(older) == ProductRecord()


@pytest.mark.parametrize(
    "damage",
    [
        {"unproven": "1"},
        {"unproven": True},
        {"unproven": None},
        {"count": "1"},
        {"count": -1},
        {"at": "noon"},
        {"at": None},
        {"permanent": "no"},
        {"permanent": None},
        {"version": 7},
        {"version": None},
    ],
)
def test_one_that_is_not_what_was_written_is_a_damaged_record(damage: dict[str, object]) -> None:
    """It is told when it is read: not by a crash of the rules when the next attempt ends."""
    document = record_json(ProductRecord(failures=(after(CUT),)))
    assert read_record(document).failures == (after(CUT),)
    document["failures"][0] |= damage
    with pytest.raises(AgentError):
        read_record(document)
    document["failures"][0] = {"version": "1.1.0", "count": 1, "at": 1000, "of_a_newer_version": []}
    assert read_record(document).failures == (after(CUT),)
