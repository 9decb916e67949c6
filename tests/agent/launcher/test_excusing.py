"""Unproven ways back: the second one that counts makes a digest bad, and the server's own fault counts for nothing."""

from __future__ import annotations

import pytest

from fleetroll_agent.launcher import pipe
from fleetroll_agent.launcher.events import Beat, ChildExited, Excuse, Persist
from fleetroll_agent.launcher.values import MAX_EARLIER, Attempt, Origin, Outcome
from tests.faults.launcher_bench import NEW, OLD, SERVER_1, Bench, last

HEALTHY = Beat(healthy=True)
SERVER_2, SERVER_3 = Attempt(Origin.SERVER, 2), Attempt(Origin.SERVER, 3)


def unproven(bench: Bench, attempt: Attempt) -> Bench:
    """Let a trial of NEW run out of its lease without contact; OLD runs again."""
    bench.arm(attempt).tell(ChildExited("exit code 75"), HEALTHY).beats(60.0)
    bench.tell(ChildExited("exit code 0"), HEALTHY)
    assert bench.running == OLD
    assert last(bench).counted
    return bench


def once() -> Bench:
    return unproven(Bench().tell(HEALTHY), SERVER_1)


def twice() -> Bench:
    return unproven(once(), SERVER_2)


def counted(bench: Bench) -> int:
    return bench.disk.unproven_counts().get(NEW.digest, 0)


def test_one_unproven_way_back_is_forgiven() -> None:
    bench = once().arm(SERVER_2)
    assert bench.disk.trial is not None


def test_the_second_one_that_counts_makes_the_digest_bad() -> None:
    bench = twice().arm(SERVER_3)
    assert counted(bench) == 2
    assert bench.disk.trial is None
    assert bench.sent("dropped")[0]["reason"] == "BAD_DIGEST"


def test_a_person_may_ask_for_it_again() -> None:
    assert twice().arm(SERVER_3, retry_bad=True).disk.trial is not None


def test_an_excused_one_is_taken_back_by_one_write_and_shown() -> None:
    bench = twice()
    bench.done.clear()
    bench.tell(Excuse(SERVER_3, NEW.digest))
    assert bench.kinds() == ["Persist note", "Send record"]
    assert counted(bench) == 1
    assert not last(bench).counted
    assert bench.arm(SERVER_3).disk.trial is not None


def test_an_excuse_that_comes_again_takes_nothing_more() -> None:
    bench = twice().tell(Excuse(SERVER_3, NEW.digest))
    before = bench.disk
    bench.tell(Excuse(SERVER_3, NEW.digest))
    bench.start()
    bench.tell(HEALTHY, Excuse(SERVER_3, NEW.digest))
    assert counted(bench) == 1
    assert bench.disk.earlier == before.earlier


@pytest.mark.parametrize(
    "request_",
    [Excuse(SERVER_1, NEW.digest), Excuse(SERVER_3, OLD.digest), Excuse(Attempt(Origin.LOCAL, 9), NEW.digest)],
    ids=["of the attempt itself", "of another digest", "of the host's own attempts"],
)
def test_an_excuse_for_anything_else_changes_nothing(request_: Excuse) -> None:
    bench = once()
    before = bench.disk
    bench.tell(request_)
    assert bench.disk == before


def test_an_excuse_never_reaches_a_bad_way_back() -> None:
    bench = Bench().trial().tell(HEALTHY, Beat(healthy=False), ChildExited("signal SIGTERM"), HEALTHY)
    assert bench.disk.bad == (NEW.digest,)
    bench.tell(Excuse(SERVER_2, NEW.digest))
    assert bench.disk.bad == (NEW.digest,)


def test_only_the_newest_way_back_is_meant() -> None:
    bench = twice().tell(Excuse(SERVER_3, NEW.digest))
    assert [outcome.counted for outcome in bench.disk.earlier[:1]] == [True]
    assert not last(bench).counted


def test_an_excuse_reaches_as_far_back_as_outcomes_are_kept() -> None:
    bench = once()
    others = tuple(
        Outcome(Attempt(Origin.SERVER, 1), "0.1.0", digit * 64, last(bench).ended) for digit in "3456"[:MAX_EARLIER]
    )
    kept = bench.disk._replace(last=others[0], earlier=(*others[1:], last(bench)))
    assert counted(Bench(kept).tell(HEALTHY, Excuse(SERVER_2, NEW.digest))) == 0
    lost = kept._replace(earlier=others)
    assert counted(Bench(lost).tell(HEALTHY, Excuse(SERVER_2, NEW.digest))) == 1


def test_a_disk_that_refuses_gets_the_count_with_the_next_write() -> None:
    bench = twice()
    bench.fail_writes = True
    bench.tell(Excuse(SERVER_3, NEW.digest))
    assert counted(bench) == 2
    bench.fail_writes = False
    bench.arm(SERVER_3)
    assert counted(bench) == 1
    assert bench.disk.trial is not None


def test_a_launcher_killed_before_or_after_the_write_ends_with_the_same_count() -> None:
    killed_before = Bench(twice().disk).tell(HEALTHY, Excuse(SERVER_3, NEW.digest))
    killed_after = Bench(killed_before.disk).tell(HEALTHY, Excuse(SERVER_3, NEW.digest))
    assert counted(killed_before) == counted(killed_after) == 1
    assert not [action for action in killed_after.done if isinstance(action, Persist) and action.purpose == "note"]


def test_the_word_passes_through_the_pipe() -> None:
    message = pipe.parse(pipe.encode(pipe.excuse(SERVER_3, NEW.digest)))
    assert pipe.to_event(message) == Excuse(SERVER_3, NEW.digest)
