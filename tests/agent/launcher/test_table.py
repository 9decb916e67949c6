"""Every state against every event, and a machine that plays launcher, host and agent against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fleetroll_agent.launcher.core import HANDLERS
from fleetroll_agent.launcher.events import (
    Beat,
    Candidate,
    ChildExited,
    Event,
    Excuse,
    Exit,
    Extend,
    Goodbye,
    Heard,
    Hello,
    Kill,
    Persist,
    PersistFailed,
    Promote,
    Purpose,
    Recall,
    Spawn,
    SpawnFailed,
    Stop,
    Terminate,
    Tick,
)
from fleetroll_agent.launcher.limits import CRASH_LIMIT, MAX_GIVES, TRIES
from fleetroll_agent.launcher.state import Phase
from fleetroll_agent.launcher.timers import next_deadline
from fleetroll_agent.launcher.values import Attempt, Authority, Origin, Record
from tests.faults.launcher_bench import BOOT, NEW, OLD, SERVER_1, Bench, first, slot

if TYPE_CHECKING:
    from collections.abc import Callable

HEALTHY, UNHEALTHY = Beat(healthy=True), Beat(healthy=False)


def _waiting() -> Bench:
    bench = Bench()
    bench.random01 = 1.0
    return bench.tell(ChildExited("exit code 1"))


STATES: dict[str, Callable[[], Bench]] = {
    "waiting": _waiting,
    "starting": Bench,
    "running": lambda: Bench().tell(HEALTHY),
    "armed": lambda: Bench().tell(HEALTHY).arm(),
    "trial starting": lambda: Bench().trial(),
    "trial running": lambda: Bench().trial().tell(HEALTHY),
    "trial after hello": lambda: Bench().trial().tell(HEALTHY, Hello()),
    "trial promoted": lambda: Bench().trial().tell(HEALTHY, Hello()).promote(),
    "trial soaked": lambda: Bench().trial().tell(HEALTHY, Hello()).beats(12.0),
    "going back": lambda: Bench().trial().tell(HEALTHY, UNHEALTHY),
    "ending a start that failed": lambda: Bench().trial().wait(30.0),
    "ending a hang": lambda: Bench().tell(HEALTHY).wait(30.0),
    "stopping": lambda: Bench().tell(Stop()),
    "committed": lambda: Bench().committed(),
    "done": lambda: Bench().tell(Stop(), ChildExited("exit code 0")),
}

TERMINATES, SPAWNS, NOTHING, ENDS = "Terminate", "Spawn", "", "Exit"
"""What a cell of the table may do to processes; a cell that is not named does nothing to them."""

EFFECTS = {
    ("trial running", "unhealthy"): TERMINATES,
    ("trial after hello", "unhealthy"): TERMINATES,
    ("trial promoted", "unhealthy"): TERMINATES,
    ("trial soaked", "unhealthy"): TERMINATES,
    ("trial starting", "recall"): TERMINATES,
    ("trial running", "recall"): TERMINATES,
    ("trial after hello", "recall"): TERMINATES,
    ("trial promoted", "recall"): TERMINATES,
    ("trial soaked", "recall"): TERMINATES,
    ("armed", "exit"): SPAWNS,
    ("trial starting", "exit"): SPAWNS,
    ("trial running", "exit"): SPAWNS,
    ("trial after hello", "exit"): SPAWNS,
    ("trial promoted", "exit"): SPAWNS,
    ("trial soaked", "exit"): SPAWNS,
    ("going back", "exit"): SPAWNS,
    ("ending a start that failed", "exit"): SPAWNS,
    ("stopping", "exit"): ENDS,
    ("waiting", "stop"): ENDS,
    **{
        (state, "stop"): TERMINATES
        for state in STATES
        if state not in {"waiting", "done", "stopping", "going back", "ending a start that failed", "ending a hang"}
    },
}

EVENTS: dict[str, Event] = {
    "healthy": HEALTHY,
    "unhealthy": UNHEALTHY,
    "hello": Hello(),
    "heard": Heard(),
    "promote": Promote(SERVER_1, NEW.digest),
    "promote of another": Promote(Attempt(Origin.SERVER, 2), NEW.digest),
    "recall": Recall(SERVER_1),
    "recall of another": Recall(Attempt(Origin.SERVER, 2)),
    "extend": Extend(10.0),
    "excuse": Excuse(Attempt(Origin.SERVER, 2), NEW.digest),
    "goodbye": Goodbye(),
    "exit": ChildExited("exit code 1"),
    "stop": Stop(),
    "tick": Tick(),
}


def test_every_event_has_a_handler() -> None:
    assert set(HANDLERS) | {PersistFailed} == set(get_args(Event))


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("state", STATES)
def test_what_each_event_does_to_processes_in_each_state(state: str, event: str) -> None:
    bench = STATES[state]()
    if event == "exit":
        bench.random01 = 1.0
    bench.done.clear()
    bench.tell(EVENTS[event])
    seen = [type(action).__name__ for action in bench.done if isinstance(action, (Spawn, Terminate, Kill, Exit))]
    assert seen == [part for part in [EFFECTS.get((state, event), NOTHING)] if part]


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("state", STATES)
def test_what_is_committed_changes_only_by_a_commit(state: str, event: str) -> None:
    bench = STATES[state]()
    before = bench.disk.current
    bench.tell(EVENTS[event])
    commits = (state, event) == ("trial soaked", "promote")
    assert (bench.disk.current != before) is commits


@pytest.mark.parametrize("state", STATES)
def test_every_state_but_the_last_has_a_deadline_and_time_alone_ends_every_trial(state: str) -> None:
    bench = STATES[state]()
    assert (next_deadline(bench.state) is None) is (state == "done")
    for _round in range(20):
        bench.wait(30.0)
        if bench.state.phase is Phase.ENDING:
            bench.tell(ChildExited("signal SIGKILL"))
    assert bench.disk.trial is None


DIGESTS = ("1", "2", "3")


class Host(RuleBasedStateMachine):
    """A host on which anything may happen in any order: agents, disks, kills, boots."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(first())
        self.boot = BOOT
        self.generation = 0
        self.seen = 0
        self.committed = [OLD.digest]
        self.starts: dict[Attempt, int] = {}
        self.told: list[str] = []

    @rule(healthy=st.booleans())
    def beat(self, healthy: bool) -> None:
        if self.bench.children:
            self.bench.tell(Beat(healthy))

    @rule(event=st.sampled_from([Hello(), Heard(), Goodbye(), Extend(30.0), Extend(700.0)]))
    def say(self, event: Event) -> None:
        if self.bench.children:
            self.bench.tell(event)

    @rule(
        digest=st.sampled_from(DIGESTS), newer=st.integers(0, 2), local=st.booleans(), soak=st.sampled_from([0.0, 9.0])
    )
    def arm(self, digest: str, newer: int, local: bool, soak: float) -> None:
        if not self.bench.children:
            return
        self.generation += newer
        origin = Origin.LOCAL if local else Origin.SERVER
        if self.generation:
            authority = Authority(origin.value)
            wanted = slot(f"1.{digest}.0")
            self.bench.arm(Attempt(origin, self.generation), slot=wanted, authority=authority, soak_seconds=soak)

    @rule(digest=st.sampled_from(DIGESTS), local=st.booleans())
    def arm_and_leave(self, digest: str, local: bool) -> None:
        """The usual way into a trial, so that much of what follows happens in one."""
        self.arm(digest, 1, local, 0.0)
        self.child_ends("exit code 75")

    @rule(right=st.booleans())
    def promote(self, right: bool) -> None:
        trial = self.bench.disk.trial
        if self.bench.children and trial is not None:
            self.bench.promote(trial.attempt, trial.slot.digest if right else "f" * 64)

    @rule()
    def recall(self) -> None:
        trial = self.bench.disk.trial
        if self.bench.children and trial is not None:
            self.bench.tell(Recall(trial.attempt))

    @rule(seconds=st.sampled_from([0.5, 2.0, 9.0, 31.0, 200.0]))
    def wait(self, seconds: float) -> None:
        self.bench.wait(seconds)

    @rule(detail=st.sampled_from(["exit code 0", "exit code 75", "signal SIGKILL"]))
    def child_ends(self, detail: str) -> None:
        if self.bench.children:
            self.bench.tell(ChildExited(detail))

    @rule(failing=st.booleans())
    def disk(self, failing: bool) -> None:
        self.bench.fail_writes = failing

    @rule(code=st.sampled_from(["NO_INTERPRETER", "ENTRY_MISSING", "START_FAILED"]), offer=st.booleans())
    def start_fails(self, code: str, offer: bool) -> None:
        starting = self.bench.state.phase is Phase.STARTING and self.bench.done
        if starting and isinstance(self.bench.done[-2 if len(self.bench.done) > 1 else -1], Spawn):
            self.bench.children, self.bench.running = 0, None
            offered = (Candidate(OLD, 1),) if offer else ()
            self.bench.tell(SpawnFailed(code, "no", offered))

    @rule()
    def stop(self) -> None:
        self.bench.tell(Stop())

    @precondition(lambda self: self.bench.ended)
    @rule()
    def start_after_a_stop(self) -> None:
        self.bench.start(self.boot)

    @rule()
    def kill_the_launcher(self) -> None:
        self.bench.start(self.boot)

    @rule()
    def reboot(self) -> None:
        self.boot = f"boot {self.bench.at}"
        self.bench.at = 10.0
        self.bench.start(self.boot)

    @invariant()
    def at_most_one_child_and_always_a_version_that_was_kept_or_is_on_trial(self) -> None:
        assert self.bench.children <= 1
        self._follow()
        running = self.bench.running
        if running is not None:
            trial = self.bench.state.record.trial
            on_trial = trial is not None and running.digest == trial.slot.digest
            asked_to_end = self.bench.state.phase is Phase.ENDING
            assert running.digest in self.committed or on_trial or asked_to_end

    @invariant()
    def a_launcher_that_was_not_stopped_has_a_child_or_a_deadline(self) -> None:
        if not self.bench.ended:
            assert self.bench.children or next_deadline(self.bench.state) is not None

    @invariant()
    def a_bad_digest_is_never_on_trial_and_never_current(self) -> None:
        record = self.bench.disk
        assert record.current.digest not in record.bad
        assert record.trial is None or record.trial.slot.digest not in record.bad

    def _follow(self) -> None:
        """Read what was done since: commits, starts of trials, and the records on disk."""
        record: Record | None = None
        for action in self.bench.done[self.seen :]:
            if isinstance(action, Persist):
                record = action.record
                self._check(action)
            elif isinstance(action, Spawn) and record is not None and record.trial is not None:
                self._start(action, record)
        self.seen = len(self.bench.done)

    def _check(self, action: Persist) -> None:
        if action.purpose is Purpose.COMMIT:
            self.committed.append(action.record.current.digest)
        assert action.record.current.digest in self.committed
        assert len(action.record.crashes) <= 2 * CRASH_LIMIT

    def _start(self, action: Spawn, record: Record) -> None:
        trial = record.trial
        assert trial is not None
        if action.slot.digest == trial.slot.digest:
            self.starts[trial.attempt] = self.starts.get(trial.attempt, 0) + 1
            assert self.starts[trial.attempt] <= TRIES + MAX_GIVES
            assert trial.starts == self.starts[trial.attempt]


Host.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestHost = Host.TestCase
