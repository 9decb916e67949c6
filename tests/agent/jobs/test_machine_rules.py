"""What holds after any sequence of events, crashes and launcher's answers."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from fleetroll_agent.jobs import effects, events
from fleetroll_agent.jobs.state import Running
from fleetroll_agent.jobs.values import Said, Stage
from fleetroll_common.values.codes import Code
from tests.faults.jobs import NEW, OLD, Host, boot_record, slot, trial, word

SESSIONS = st.integers(1, 4)
GENERATIONS = st.integers(1, 6)
RESULTS = {Said.SUCCEEDED, Said.FAILED, Said.ROLLED_BACK, Said.CANCELLED}


class AnyHost(RuleBasedStateMachine):
    """A host, a launcher that keeps its own record, and a world that says anything at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.host = Host.start()
        self.boot = boot_record()
        self.highest = 0
        self.session = 10

    def tell(self, event: events.Event) -> None:
        self.host.tell(event)

    @rule(steps=st.integers(1, 8))
    def go_on_well(self, steps: int) -> None:
        """Let the next steps be those of an update without trouble: else random events hardly ever get anywhere."""
        for _ in range(steps):
            self._next_good_step()

    def _next_good_step(self) -> None:
        state, attempt = self.host.state, self.host.attempt
        if not state.session:
            self.session += 1
            self.open_session(self.session, frozenset(), skewed=False)
        elif attempt is None:
            self.assign(self.host.disk.highest + 1, "1.1.0", recall=False, stop=False)
        elif state.job is not None:
            self.job_ends(good=True, digest=NEW)
        elif state.ask is not None:
            self.give(state.session, attempt.generation, state.ask.number)
        elif self.boot.trial is not None and state.running.sha256 == OLD:
            self.trial_starts()
        elif self.boot.trial is not None:
            self.trial_ends("")
        else:
            self.wait(61)

    @rule(generation=GENERATIONS, version=st.sampled_from(["", "1.1.0"]), recall=st.booleans(), stop=st.booleans())
    def assign(self, generation: int, version: str, recall: bool, stop: bool) -> None:
        self.tell(events.Assigned(generation, version, recall=recall, stop_before_switch=stop))

    @rule(session=SESSIONS, suspended=st.sampled_from([frozenset(), frozenset({"global"})]), skewed=st.booleans())
    def open_session(self, session: int, suspended: frozenset[str], skewed: bool) -> None:
        self.tell(events.SessionOpened(session, suspended, skewed))

    @rule(session=SESSIONS)
    def close_session(self, session: int) -> None:
        self.tell(events.SessionClosed(session))

    @rule()
    def build_hello(self) -> None:
        self.tell(events.HelloBuilt())

    @rule(active=st.booleans())
    def switch(self, active: bool) -> None:
        self.tell(events.Suspended("global", active))

    @rule(wrong=st.sampled_from(["", "late", "session", "generation", "ask"]), first=st.booleans())
    def go(self, wrong: str, first: bool) -> None:
        """Give a Go that is right but for one thing, to a host that has just asked, or to one that may not have."""
        for _ in range(12 if first else 0):
            if self.host.state.ask is None:
                self._next_good_step()
        state, attempt = self.host.state, self.host.attempt
        if state.ask is None or attempt is None:
            self.give(state.session or 1, self.host.disk.highest, 1)
            return
        if wrong == "late":
            self.host.at += 61
        self.give(
            state.session - (wrong == "session"),
            attempt.generation - (wrong == "generation"),
            state.ask.number - (wrong == "ask"),
        )

    def give(self, session: int, generation: int, ask: int) -> None:
        state = self.host.state
        attempt = self.host.attempt
        valid = (
            state.ask is not None
            and attempt is not None
            and self.host.at - state.ask.sent_at <= 60
            and (session, generation, ask) == (state.session, attempt.generation, state.ask.number)
        )
        before = self.host.count(effects.RunSelfTest)
        self.tell(events.GoGiven(session, generation, ask))
        assert self.host.count(effects.RunSelfTest) == before or valid

    @rule(session=SESSIONS, generation=GENERATIONS, ask=st.integers(1, 3))
    def refuse(self, session: int, generation: int, ask: int) -> None:
        self.tell(events.GoRefused(session, generation, ask, Code.BUDGET))

    @precondition(lambda self: self.host.state.job is not None)
    @rule(good=st.booleans(), digest=st.sampled_from([NEW, NEW, OLD]))
    def job_ends(self, good: bool, digest: str) -> None:
        job, attempt = self.host.state.job, self.host.attempt
        assert job is not None
        assert attempt is not None
        if attempt.stage is Stage.APPLYING:
            self.tell(events.SelfTested(job, None if good else Code.SELF_TEST_FAILED))
            self._answer_arming()
        elif not good:
            self.tell(events.StagingFailed(job, Code.DOWNLOAD_FAILED, "cut", transient=True))
        elif not attempt.sha256:
            self.tell(events.TargetFound(job, digest))
        else:
            self.tell(events.SlotReady(job))

    def _answer_arming(self) -> None:
        """Be the launcher: arm what is newer than everything that was armed, once."""
        attempt = self.host.attempt
        if not isinstance(self.host.effects[-1], effects.Arm) or attempt is None:
            return
        generation = attempt.generation
        assert generation > self.boot.highest_server, "armed twice"
        self.boot = self.boot._replace(trial=trial(generation), highest_server=generation)
        self.tell(events.LauncherTold(self.boot))
        self.tell(events.Armed(generation))

    @precondition(lambda self: self.boot.trial is not None)
    @rule(reason=st.sampled_from(["", "bad", "unproven", "recalled"]))
    def trial_ends(self, reason: str) -> None:
        """Let the trial end, kept or not, and restart the host on what the launcher says."""
        generation = self.boot.trial.attempt.generation
        earlier = (*((self.boot.last,) if self.boot.last else ()), *self.boot.earlier)[:4]
        self.boot = self.boot._replace(trial=None, last=word(generation, reason, code="EXITED"), earlier=earlier)
        if not reason:
            self.boot = self.boot._replace(current=slot("1.1.0", OLD, generation))
        self.restart()

    @precondition(lambda self: self.boot.trial is not None)
    @rule()
    def trial_starts(self) -> None:
        self.host = self.host.restart(self.boot, Running("1.1.0", NEW))

    @rule()
    def restart(self) -> None:
        """Kill the agent; the launcher starts what its record says."""
        running = Running("1.1.0", NEW) if self.boot.trial is not None else Running("1.0.0", OLD)
        self.host = self.host.restart(self.boot, running)

    @rule(reason=st.sampled_from(["bad", "unproven", "recalled"]))
    def try_and_go_back(self, reason: str) -> None:
        """Bring an attempt to its trial, and let the launcher put it back."""
        for _ in range(12):
            if self.boot.trial is None:
                self._next_good_step()
        if self.boot.trial is not None:
            self.trial_ends(reason)

    @rule(stage=st.sampled_from([Stage.ACCEPTED, Stage.DOWNLOADING, Stage.APPLYING]))
    def fail_at(self, stage: Stage) -> None:
        """Bring an attempt to a stage whose work then fails."""
        for _ in range(12):
            attempt = self.host.attempt
            if self.host.state.job is not None and attempt is not None and attempt.stage is stage:
                self.job_ends(good=False, digest=NEW)
                return
            self._next_good_step()

    @rule(seconds=st.sampled_from([1, 31, 61, 700]))
    def wait(self, seconds: int) -> None:
        self.host.wait(seconds)

    @invariant()
    def generations_only_rise(self) -> None:
        record = self.host.disk
        assert record.highest >= self.highest
        self.highest = record.highest
        if record.attempt is not None:
            assert record.attempt.generation <= record.highest
        if record.waiting is not None:
            assert record.attempt is not None
            assert record.attempt.past_go
            assert record.attempt.generation < record.waiting.generation <= record.highest

    @invariant()
    def nothing_is_applied_twice(self) -> None:
        runs = Counter(told.generation for told in self.host.journal if told.step == "self_test")
        # A repeated assignment reports the step again; what may not repeat is the step itself.
        started = Counter(
            told.generation
            for before, told in pairwise([*self.host.journal])
            if told.step == "self_test" and (before.generation, before.step) != (told.generation, "self_test")
        )
        assert set(started) <= set(runs)
        assert all(count == 1 for count in started.values())

    @invariant()
    def every_attempt_has_at_most_one_result(self) -> None:
        results = Counter(known.generation for known in self.host.disk.outcomes)
        assert all(count == 1 for count in results.values())
        assert {known.said for known in self.host.disk.outcomes} <= RESULTS

    @invariant()
    def reports_are_numbered_without_gaps(self) -> None:
        assert [told.number for told in self.host.journal] == list(range(1, len(self.host.journal) + 1))

    @invariant()
    def a_permit_exists_only_where_it_may_be_used(self) -> None:
        state = self.host.state
        if state.ask is not None:
            assert state.session
            assert not state.suspended
            assert self.host.attempt is not None
            assert self.host.attempt.stage is Stage.STAGED

    def teardown(self) -> None:
        REACHED.update(f"{told.said.value} {told.step}".strip() for told in self.host.journal)


REACHED: Counter[str] = Counter()


def test_the_rules_hold_whatever_comes_and_every_state_is_reached() -> None:
    """Without the second half the first could hold for want of anything happening."""
    run_state_machine_as_test(AnyHost, settings=settings(max_examples=120, stateful_step_count=30, deadline=None))
    steps = {"APPLYING self_test", "APPLYING arm", "APPLYING restart"}
    managed = {Said.SOAKING, Said.ROLLBACK_FAILED, Said.SKIPPED}
    assert {said.value for said in set(Said) - managed if said is not Said.APPLYING} | steps <= set(REACHED)
