"""A disk that takes no record: the committed version runs and hears its record, and nothing is held against it."""

from __future__ import annotations

from fleetroll_agent.launcher.events import Beat, Candidate, ChildExited, SpawnFailed, Stop
from fleetroll_agent.launcher.record import record_from_json
from fleetroll_agent.launcher.state import spawn
from tests.faults.launcher_bench import NEW, OLD, Bench

HEALTHY = Beat(healthy=True)


def without_store(boot_id: str = "another boot") -> Bench:
    """Return a bench whose launcher started on a disk that is full, with a committed version."""
    bench = Bench().committed()
    bench.done.clear()
    bench.fail_writes = True
    bench.start(boot_id)
    return bench


def test_a_launcher_that_starts_on_a_full_disk_shows_its_child_the_record() -> None:
    bench = without_store()
    assert bench.kinds() == ["Spawn", "Send record"]
    assert bench.running is not None
    assert bench.running.digest == NEW.digest


def test_a_child_that_is_started_again_while_the_disk_is_full_hears_the_record_too() -> None:
    bench = without_store().tell(ChildExited("exit code 1")).wait(61.0)
    assert len(bench.sent("record")) == 2
    assert record_from_json(bench.sent("record")[-1]["record"]).current.digest == NEW.digest


def test_ends_while_the_disk_is_full_are_no_crashes_and_never_a_tight_loop() -> None:
    bench = without_store()
    for _end in range(20):
        bench.tell(HEALTHY, ChildExited("exit code 1"))
        assert bench.state.trouble == "STORE_FAILED"
        assert bench.children == 0
        bench.wait(1.0)
        assert bench.children == 1
    assert bench.state.record.crashes == ()
    bench.fail_writes = False
    bench.wait(5.0)
    assert (bench.disk.current.digest, bench.disk.previous, bench.disk.bad) == (NEW.digest, OLD, ())


def test_hangs_while_the_disk_is_full_are_no_crashes() -> None:
    bench = without_store()
    for _hang in range(8):
        bench.wait(31.0).tell(ChildExited("signal SIGKILL")).wait(1.0)
    assert bench.state.record.current.digest == NEW.digest
    assert bench.state.record.crashes == ()


def test_crashes_count_again_once_the_record_is_durable() -> None:
    bench = without_store().tell(HEALTHY)
    bench.fail_writes = False
    bench.wait(6.0)
    for _crash in range(6):
        bench.tell(HEALTHY, ChildExited("exit code 1")).wait(0.1)
    assert bench.disk.current == OLD


def test_another_slot_for_a_lost_one_hears_the_record_on_a_full_disk() -> None:
    bench = without_store().tell(ChildExited("exit code 1"))
    bench.children = 0
    bench.state = spawn(bench.state, NEW, bench.moment(), on_trial=False)[0]
    bench.kinds()
    bench.tell(SpawnFailed("ENTRY_MISSING", "gone", (Candidate(OLD, 1),)))
    assert bench.running == OLD
    assert record_from_json(bench.sent("record")[-1]["record"]).current == OLD


def test_a_way_back_that_is_not_durable_is_not_told() -> None:
    bench = Bench().trial()
    bench.done.clear()
    bench.fail_writes = True
    bench.tell(HEALTHY, Beat(healthy=False), ChildExited("exit code 0")).wait(20.0)
    assert bench.running == OLD
    assert bench.sent("record") == []
    bench.fail_writes = False
    bench.wait(5.0)
    assert len(bench.sent("record")) == 1


def test_a_stop_on_a_full_disk_still_ends_the_launcher() -> None:
    bench = without_store().tell(Stop(), ChildExited("exit code 0"))
    assert bench.ended
