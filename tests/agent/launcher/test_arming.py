"""Requests for a trial that are dropped, and writes that fail."""

from __future__ import annotations

from typing import Any

import pytest

from fleetroll_agent.launcher.events import Beat, ChildExited, Hello, Stop
from fleetroll_agent.launcher.values import Attempt, Authority, Origin
from tests.faults.launcher_bench import NEW, OLD, SERVER_1, Bench, first

HEALTHY = Beat(healthy=True)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"obstacle": "ENTRY_MISSING"}, "ENTRY_MISSING"),
        ({"obstacle": "NO_INTERPRETER"}, "NO_INTERPRETER"),
        ({"slot": OLD}, "ALREADY_AT_TARGET"),
        ({"soak_seconds": 61.0}, "INVALID_ARGUMENT"),
        ({"lease_seconds": 86401.0}, "INVALID_ARGUMENT"),
        ({"authority": Authority.LOCAL}, "NOT_ALLOWED"),
    ],
)
def test_a_request_that_makes_no_sense_is_dropped_with_its_reason(changes: dict[str, Any], code: str) -> None:
    bench = Bench().tell(HEALTHY)
    before = bench.disk
    bench.arm(**changes)
    assert [message["reason"] for message in bench.sent("dropped")] == [code]
    assert bench.disk == before


def test_a_request_before_the_first_beat_is_dropped() -> None:
    assert Bench().arm().sent("dropped")[0]["reason"] == "UNAVAILABLE"


def test_a_second_request_during_a_trial_is_dropped() -> None:
    bench = Bench().tell(HEALTHY).arm().arm(Attempt(Origin.SERVER, 2))
    assert bench.sent("dropped")[0]["reason"] == "UPDATE_IN_PROGRESS"
    assert bench.disk.trial is not None
    assert bench.disk.trial.attempt == SERVER_1


def test_a_digest_that_went_back_as_bad_is_refused_for_every_later_attempt() -> None:
    bench = Bench().trial().tell(HEALTHY, Hello(), ChildExited("exit code 1"), HEALTHY)
    bench.arm(Attempt(Origin.SERVER, 2))
    assert bench.sent("dropped")[0]["reason"] == "BAD_DIGEST"


def test_an_unproven_digest_may_be_tried_again_and_its_count_goes_with_the_commit() -> None:
    bench = Bench().trial().tell(HEALTHY).beats(60.0).tell(ChildExited("exit code 0"), HEALTHY)
    assert bench.disk.unproven == ((NEW.digest, 1),)
    second = Attempt(Origin.SERVER, 2)
    bench.arm(second).tell(ChildExited("exit code 75"), HEALTHY, Hello()).promote(second).beats(12.0)
    assert bench.disk.current.digest == NEW.digest
    assert not bench.disk.unproven


@pytest.mark.parametrize("generation", [1, 2, 3])
def test_an_attempt_that_is_not_newer_than_every_armed_one_of_its_origin_is_dropped(generation: int) -> None:
    record = first()._replace(highest_server=3, highest_local=1)
    bench = Bench(record).tell(HEALTHY).arm(Attempt(Origin.SERVER, generation))
    assert bench.sent("dropped")[0]["reason"] == "SUPERSEDED"
    assert bench.arm(Attempt(Origin.SERVER, 4)).sent("armed")


def test_the_attempt_of_a_recalled_trial_is_not_armed_again_also_after_one_of_the_other_origin() -> None:
    bench = Bench().trial().tell(HEALTHY, Hello(), ChildExited("exit code 1"), HEALTHY)
    other = NEW._replace(digest="e" * 64)
    bench.arm(Attempt(Origin.LOCAL, 1), slot=other, authority=Authority.SERVER)
    assert bench.disk.trial is not None
    bench.tell(ChildExited("exit code 75"), HEALTHY, Hello(), ChildExited("exit code 1"), HEALTHY)
    bench.done.clear()
    bench.arm(SERVER_1, slot=NEW._replace(digest="d" * 64))
    assert bench.sent("dropped")[0]["reason"] == "SUPERSEDED"
    assert [outcome.attempt for outcome in bench.disk.earlier] == [SERVER_1]


def test_a_record_that_was_rebuilt_says_so_until_the_next_trial() -> None:
    bench = Bench(first()._replace(recovered=True)).tell(HEALTHY)
    assert bench.disk.recovered
    assert not bench.arm().disk.recovered


def test_a_request_whose_record_cannot_be_written_is_dropped_and_the_old_record_written_again() -> None:
    bench = Bench().tell(HEALTHY)
    bench.fail_writes = True
    bench.arm()
    assert bench.sent("dropped")[0]["reason"] == "STORE_FAILED"
    assert bench.state.record.trial is None
    bench.fail_writes = False
    bench.beats(6.0)
    assert bench.disk.trial is None
    assert bench.state.rewrite_at is None
    bench.arm(Attempt(Origin.SERVER, 2))
    assert bench.disk.trial is not None


def test_a_trial_whose_try_cannot_be_written_is_not_started() -> None:
    bench = Bench().tell(HEALTHY).arm()
    bench.fail_writes = True
    bench.tell(ChildExited("exit code 75"))
    assert (bench.running, bench.starts(NEW)) == (OLD, 0)
    assert not [message for message in bench.sent("record") if message["record"]["last"]]
    bench.fail_writes = False
    bench.tell(HEALTHY).wait(6.0)
    assert bench.disk.last is not None
    assert (bench.disk.last.reason, bench.disk.last.code) == ("unproven", "STORE_FAILED")
    assert not bench.disk.last.counted
    assert bench.sent("record")[-1]["record"]["last"]["code"] == "STORE_FAILED"


def test_a_commit_that_cannot_be_written_is_not_told_and_is_tried_again_with_the_next_beat() -> None:
    bench = Bench().trial().tell(HEALTHY, Hello()).promote().beats(8.0)
    bench.fail_writes = True
    bench.tell(HEALTHY)
    assert not bench.sent("committed")
    assert bench.state.on_trial
    bench.fail_writes = False
    bench.tell(HEALTHY)
    assert bench.sent("committed")
    assert bench.disk.current.digest == NEW.digest


def test_a_way_back_that_cannot_be_written_is_gone_all_the_same_and_written_later() -> None:
    bench = Bench().trial().tell(HEALTHY, Hello())
    bench.fail_writes = True
    bench.tell(ChildExited("exit code 1"))
    assert bench.running == OLD
    bench.fail_writes = False
    bench.tell(HEALTHY).wait(5.0)
    assert bench.disk.bad == (NEW.digest,)
    assert "MarkBad" in bench.kinds()


def test_a_way_back_from_a_living_child_that_cannot_be_written_ends_the_child() -> None:
    bench = Bench().trial().tell(HEALTHY, Hello())
    bench.fail_writes = True
    bench.tell(Beat(healthy=False))
    assert "Terminate" in bench.kinds()
    bench.tell(ChildExited("signal SIGTERM"))
    assert bench.running == OLD


def test_a_child_is_never_shown_a_record_that_is_not_durable() -> None:
    bench = Bench().trial().tell(HEALTHY, Hello())
    bench.fail_writes = True
    bench.tell(ChildExited("exit code 1"))
    bench.done.clear()
    bench.tell(HEALTHY, ChildExited("exit code 1")).wait(3.0)
    assert bench.starts(OLD) == 1
    assert not bench.sent("record")
    bench.fail_writes = False
    bench.tell(HEALTHY).wait(5.0)
    assert bench.sent("record")[-1]["record"]["bad"] == [NEW.digest]


def test_a_launcher_on_a_full_disk_starts_and_stops_its_agent() -> None:
    bench = Bench()
    bench.fail_writes = True
    bench.start()
    assert bench.running == OLD
    bench.tell(HEALTHY, Stop(), ChildExited("exit code 0"))
    assert bench.ended
