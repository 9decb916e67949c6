"""The committed version: crashes, the late way back, slots and interpreters that are gone."""

from __future__ import annotations

import pytest

from fleetroll_agent.launcher.events import (
    Beat,
    Candidate,
    ChildExited,
    Extend,
    Goodbye,
    Kill,
    Spawn,
    SpawnFailed,
    Stop,
    Tick,
)
from fleetroll_agent.launcher.steady import choose
from tests.faults.launcher_bench import NEW, OLD, SERVER_1, Bench, first, slot

HEALTHY = Beat(healthy=True)


def crash(bench: Bench, times: int, every: float = 1.0) -> Bench:
    for _crash in range(times):
        bench.tell(HEALTHY).wait(every).tell(ChildExited("exit code 1")).wait(61.0 if bench.random01 else 0.0)
    return bench


def test_more_than_five_crashes_in_ten_minutes_after_a_commit_lead_back_once_good_first() -> None:
    bench = Bench().committed().tell(HEALTHY)
    crash(bench, 5)
    assert bench.running is not None
    assert bench.running.digest == NEW.digest
    bench.kinds()
    bench.tell(HEALTHY, ChildExited("exit code 3"))
    names = bench.kinds()
    assert names == ["UnmarkGood", "Persist back", "MarkBad", "Spawn", "Send record"]
    record = bench.disk
    assert (record.current, record.previous, record.bad) == (OLD, None, (NEW.digest,))
    assert record.last is not None
    assert (record.last.attempt, record.last.reason, record.last.code) == (SERVER_1, "late", "CRASHED_AFTER_COMMIT")
    crash(bench, 20)
    assert bench.disk.current == OLD


def test_crashes_that_are_spread_out_lead_nowhere() -> None:
    bench = crash(Bench().committed(), 20, every=121.0)
    assert bench.disk.current.digest == NEW.digest


def test_crashes_are_counted_over_restarts_of_the_launcher_but_not_over_boots() -> None:
    bench = crash(Bench().committed(), 4)
    bench.start()
    crash(bench, 2)
    assert bench.disk.current == OLD
    bench = crash(Bench().committed(), 5)
    bench.start("another boot")
    crash(bench, 1)
    assert bench.disk.current.digest == NEW.digest


def test_a_host_that_refuses_is_no_crash_but_a_stated_state_that_is_tried_again() -> None:
    bench = Bench().committed()
    for _end in range(10):
        bench.tell(ChildExited("exit code 78", host_refuses=True))
        assert (bench.children, bench.state.trouble) == (0, "HOST_REFUSES")
        bench.wait(1.0)
        assert (bench.children, bench.state.trouble) == (1, "")
    assert (bench.disk.current.digest, bench.disk.crashes) == (NEW.digest, ())


def test_a_host_that_refuses_a_version_on_trial_costs_its_tries() -> None:
    bench = Bench().trial()
    for _start in range(2):
        bench.tell(ChildExited("exit code 78", host_refuses=True))
    assert bench.running == OLD
    assert (bench.disk.last and bench.disk.last.code, bench.disk.bad) == ("START_FAILED", (NEW.digest,))


def test_hangs_count_as_crashes() -> None:
    bench = Bench().committed()
    for _hang in range(6):
        bench.wait(31.0).tell(ChildExited("signal SIGKILL")).wait(1.0)
    assert bench.disk.current == OLD


def test_a_goodbye_is_no_crash_and_no_tight_loop() -> None:
    bench = Bench().committed()
    for _end in range(10):
        bench.tell(HEALTHY, Goodbye(), ChildExited("exit code 0"))
        assert bench.children == 0
        bench.wait(1.0)
        assert bench.children == 1
    assert bench.disk.current.digest == NEW.digest


def test_the_first_version_of_a_host_is_started_again_for_ever_with_growing_waits() -> None:
    bench = Bench()
    bench.random01 = 1.0
    waits = []
    for _crash in range(12):
        at = bench.at
        bench.tell(ChildExited("exit code 1"))
        while bench.children == 0:
            bench.wait(0.5)
        waits.append(bench.at - at)
    assert waits[:7] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]
    assert max(waits) == 60.0


def test_a_stop_ends_the_child_then_the_launcher() -> None:
    bench = Bench().tell(HEALTHY)
    bench.kinds()
    assert bench.tell(Stop()).kinds() == ["Send stop", "Terminate"]
    assert not bench.ended
    bench.wait(10.0)
    assert bench.kinds() == ["Kill"]
    assert bench.tell(ChildExited("signal SIGKILL")).ended


def test_a_child_that_has_to_wait_for_a_command_gets_its_time_and_no_more_than_the_bound() -> None:
    bench = Bench().tell(HEALTHY, Stop())
    bench.wait(5.0).tell(Extend(630.0))
    bench.kinds()
    bench.wait(629.0)
    assert bench.kinds() == []
    bench.tell(Extend(86_400.0)).wait(900.0 - 635.0)
    assert bench.kinds() == []
    bench.wait(1.0)
    assert bench.kinds() == ["Kill"]
    assert bench.tell(ChildExited("signal SIGKILL")).ended


def test_a_wish_for_less_takes_nothing_from_the_grace() -> None:
    bench = Bench().tell(HEALTHY, Stop(), Extend(0.0))
    bench.kinds()
    bench.wait(9.9)
    assert bench.kinds() == []


def test_a_child_that_hangs_gets_no_more_time_to_end() -> None:
    bench = Bench().tell(HEALTHY).wait(30.0)
    assert bench.kinds()[-2:] == ["Send stop", "Terminate"]
    bench.tell(Extend(600.0)).wait(10.0)
    assert bench.kinds() == ["Kill"]


def test_a_stop_between_two_starts_ends_at_once_and_a_second_stop_changes_nothing() -> None:
    bench = Bench()
    bench.random01 = 1.0
    assert bench.tell(ChildExited("exit code 1"), Stop()).ended
    bench.done.clear()
    bench.tell(Stop(), Tick(), ChildExited("exit code 1"))
    assert bench.done == []


def test_a_stop_during_a_way_back_ends_the_launcher_after_it() -> None:
    bench = Bench().trial().tell(HEALTHY).wait(29.9).tell(Beat(healthy=False), Stop(), ChildExited("exit code 0"))
    assert bench.ended
    assert bench.disk.trial is None


def failed(bench: Bench, *candidates: Candidate, code: str = "NO_INTERPRETER") -> Bench:
    bench.children, bench.running = 0, None
    return bench.tell(SpawnFailed(code, "gone", candidates))


def test_without_any_interpreter_the_launcher_stays_says_so_and_tries_again() -> None:
    bench = failed(Bench())
    assert bench.state.trouble == "NO_INTERPRETER"
    bench.wait(60.0)
    assert bench.running == OLD
    assert bench.state.trouble == ""


def test_another_path_of_the_same_python_keeps_the_attempt() -> None:
    other = NEW._replace(python="/opt/python3.11")
    bench = failed(Bench().committed(), Candidate(other, 5))
    assert bench.disk.current == other._replace(attempt=SERVER_1)
    assert bench.disk.previous == OLD
    assert bench.running == bench.disk.current


def test_a_slot_that_is_gone_gives_way_to_the_version_before() -> None:
    bench = failed(Bench().committed(), Candidate(OLD, 1), Candidate(slot("1.3.0"), -1), code="ENTRY_MISSING")
    assert (bench.running, bench.disk.previous) == (OLD, None)


def test_a_host_that_cannot_fork_waits_with_its_version() -> None:
    bench = failed(Bench(), Candidate(NEW, 3), code="START_FAILED")
    assert bench.disk.current == OLD
    assert bench.state.trouble == "START_FAILED"


def candidate(version: str, good: int = -1, *, bad: bool = False, digest: str = "", abi: str = "cp312") -> Candidate:
    made = slot(version)
    return Candidate(made._replace(digest=digest or made.digest, abi=abi), good, bad)


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        ([], None),
        ([candidate("1.5.0", bad=True)], None),
        ([candidate("1.9.0", digest="b" * 64)], None),
        ([candidate("1.5.0"), candidate("1.4.0")], "1.5.0"),
        ([candidate("1.5.0"), candidate("1.4.0", good=7)], "1.4.0"),
        ([candidate("1.4.0", good=7), candidate("1.3.0", good=9)], "1.3.0"),
        ([candidate("1.4.0", good=7), candidate("1.0.0", digest="c" * 64)], "1.0.0"),
        ([candidate("1.0.0", good=7, digest="c" * 64), candidate("1.0.0")], "1.0.0"),
    ],
)
def test_the_best_slot_for_another_python_is_chosen_and_never_a_bad_one(
    offered: list[Candidate], expected: str | None
) -> None:
    chosen = choose(offered, first()._replace(bad=("b" * 64,)))
    assert (chosen and chosen.slot.version) == expected


def test_the_kill_of_a_child_is_followed_by_a_start_only_when_it_is_gone() -> None:
    bench = Bench().committed().wait(30.0 + 10.0)
    kill = [number for number, action in enumerate(bench.done) if isinstance(action, Kill)]
    assert kill
    assert not [action for action in bench.done[kill[0] :] if isinstance(action, Spawn)]
