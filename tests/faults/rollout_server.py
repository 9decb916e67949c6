"""The server of a rollout in memory: what hosts say, what people decide, what time brings, as the engine takes it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fleetroll_common.values.codes import Code
from fleetroll_server.domain import (
    assignments,
    bake,
    charges,
    deadlines,
    generations,
    go,
    late,
    people,
    promote,
    states,
)
from fleetroll_server.domain import decide as deciding
from fleetroll_server.domain.states import (
    BEFORE_GO,
    FINAL,
    PAST_GO,
    AttemptState,
    RolloutState,
    RolloutTrigger,
    Trigger,
    WaveState,
    WaveTrigger,
)
from tests.faults.rollout_engine import Message
from tests.faults.rollout_outages import Recorded
from tests.faults.rollout_rows import VERSION, HostRow

SHA = "ab" * 32


@dataclass(frozen=True)
class Said:
    """What a host says of one attempt, by report or by hello."""

    generation: int
    state: AttemptState
    code: Code | None = None
    announced: float | None = None
    unproven: bool = False


@dataclass(frozen=True)
class Hello:
    """What a host says of itself when it comes."""

    highest: int
    shown: tuple[Said, ...]
    running: str
    on_trial: bool = False


class Server(Recorded):
    """The engine, and everybody whose word moves a rollout."""

    # What hosts say.

    def greet(self, name: str, hello: Hello) -> int:
        """Take in a hello; return its session. An older session of the host is over without a word."""
        self.epoch += 1
        self.sessions[name], self.outbox[name] = self.epoch, []
        self.left_well.discard(name)
        self.highest[name], self.running[name] = hello.highest, hello.running
        (self.on_trial.add if hello.on_trial else self.on_trial.discard)(name)
        host = self.hosts[name]
        anew = self._begin_anew(name, hello.highest)
        if host.state in FINAL:
            host.deadline = None
        else:
            self._reconcile(host, hello)
            if anew and host.state is AttemptState.OFFERED:
                self._take_back(host)
            self._is_here(host)
            self.meet(host)
            self._promote(host)
            self.go_on()
        if not hello.on_trial:
            self.heal(name)
        self._send_desired(name, hello.highest)
        return self.epoch

    def left(self, name: str, *, goodbye: bool = False) -> None:
        """The session is over."""
        self.sessions.pop(name, None)
        self.outbox[name] = []
        (self.left_well.add if goodbye else self.left_well.discard)(name)
        host = self.hosts[name]
        if self.state is RolloutState.COMPLETED and host.state in BEFORE_GO - {AttemptState.PENDING}:
            self.let_go(host, host.waiting if host.waiting is Code.QUARANTINED else Code.HOST_OFFLINE)
        elif host.state is AttemptState.OFFERED:
            self.move(host, Trigger.WITHDRAW, waiting=Code.HOST_OFFLINE)
        elif host.state in BEFORE_GO and host.waiting is not Code.QUARANTINED:
            self.note(host, waiting=Code.HOST_OFFLINE)
        elif host.state is AttemptState.GRANTED:
            self.note(host, waiting=None, deadline=self.next_deadline(host, host.state))
        self.go_on()

    def report(self, name: str, said: Said) -> str:
        """Take one journaled report; return how it is stored."""
        host = self.hosts[name]
        if host.generation != said.generation:
            return "history"
        if self.is_over(host, said.state):
            return "history"
        judgement = assignments.judge_report(host.state, said.state, code=said.code, is_open=self.has_queue)
        if isinstance(judgement, assignments.Rejected):
            return "rejected"
        if not isinstance(judgement, assignments.Step):
            return "history"
        self._take(host, said, judgement)
        if said.state is AttemptState.STAGED and said.code is not None:
            self.note(host, waiting=said.code, deadline=host.deadline)
        self.meet(host)
        self._promote(host)
        self.go_on()
        return "accepted"

    def ask(self, name: str, epoch: int, generation: int, number: int) -> None:
        """Decide about Go; the answer is a message of the host's session."""
        host = self.hosts[name]
        if self.sessions.get(name) != epoch or host.generation != generation:
            return
        refused = self._judge_ask(host, epoch, number)
        if refused is None:
            deadline = self.next_deadline(host, AttemptState.GRANTED)
            self.move(host, Trigger.GRANT, deadline=deadline)
            self.grants.append(name)
            self.when_granted(name)
        elif host.state is AttemptState.STAGED:
            self.note(host, waiting=refused.code)
            self.meet(host)
        if refused is None or host.state is AttemptState.STAGED:
            host.session, host.last_ask = epoch, number
        kind = "go" if refused is None else "refused"
        self.send(name, Message(kind, generation, ask=number))
        self.go_on()

    # What people decide.

    def pause(self) -> None:
        if self.state is RolloutState.COMPLETED:
            if late.pause(self.late):
                self.stop_late(Code.PAUSED)
        elif self.state is not RolloutState.PAUSED:
            self.become(people.stop(self.state, RolloutTrigger.PAUSE))

    def resume(self) -> None:
        if self.state is RolloutState.COMPLETED:
            late.resume(self.late)
            assert not self.killed
            self.late_stop = None
            self.waves[-1].moved_at = self.now
            self._go_again(self.state)
            return
        state = people.resume(self.state)
        assert not self.killed
        if self.state is RolloutState.HALTED:
            self._forgive()
        self._go_again(state)

    def advance(self) -> None:
        wave = self.waves[people.require_waiting_wave(self.summary()).number - 1]
        if self.state is RolloutState.PAUSED:
            assert not self.killed
            wave.passed_by_person = True
            self.step(wave, WaveTrigger.PASS)
            self._go_again(people.resume(self.state))
        else:
            self.go_on(deciding.Advanced())

    def cancel(self, *, let_finish: bool = False) -> None:
        if self.state is RolloutState.COMPLETED:
            if late.cancel(self.late):
                told = [host.name for host in self.hosts.values() if host.state in PAST_GO and not host.succeeded]
                self.stop_late(Code.CANCELLED_BY)
                for name in told:
                    self.desire(name, "", stop=not let_finish)
            return
        self.become(people.stop(self.state, RolloutTrigger.CANCEL))
        self.forgive_budget()
        for host in self.hosts.values():
            past = host.state in PAST_GO
            if host.state in FINAL:
                continue
            if host.state in BEFORE_GO:
                self.move(host, Trigger.CANCEL, code=Code.CANCELLED_BY)
            if host.generation is not None:
                self.desire(host.name, "", stop=not (let_finish and past))

    def press_kill(self) -> None:
        self.killed = True
        if self.state is RolloutState.RUNNING:
            self.become(RolloutState.PAUSED)
        elif self.offers and self.late.stoppable > 0:
            self.stop_late(Code.SUSPENDED)
        for name in self.sessions:
            self.send(name, Message("kill"))

    def lift_kill(self) -> None:
        self.killed = False

    # What time brings.

    def sweep(self, *, up: bool = True) -> None:
        """Let passed deadlines speak, then look at the rollout again."""
        self.tick()
        for host in self.hosts.values():
            rule = deadlines.expiry(host.state)
            if host.state is AttemptState.SUCCEEDED and not self._is_silent(host):
                host.deadline = None
            if host.deadline is not None and host.deadline <= self.now and rule is not None:
                self.judge_silence(host)
                self.move(host, rule.trigger, code=rule.code)
                if rule.trigger is Trigger.FAIL:
                    self.desire(host.name, "")
        if self.state is RolloutState.COMPLETED and self.late_stop is None and self.now >= self.not_after:
            for wave in self.waves:
                self.expire(wave.number)
            return
        self._watch()
        wave_now = self.current()
        if self.state is RolloutState.RUNNING and wave_now is not None and wave_now.state is WaveState.BAKING:
            succeeded = [h.name for h in self.of_wave(wave_now.number) if h.state is AttemptState.SUCCEEDED]
            away = [name for name in succeeded if name not in self.sessions and name not in self.left_well]
            wave_now.baked = bake.tick(
                wave_now.baked, self.now, up=up, away_without_goodbye=len(away), max_failed=self.limits.max_failed
            )
        self.go_on()

    def _is_silent(self, host: HostRow) -> bool:
        """Tell whether a host is away without a goodbye while its wave may still be judged."""
        away = host.name not in self.sessions and host.name not in self.left_well
        return away and deadlines.silence_counts(self.state, self.waves[host.wave - 1].state)

    def _watch(self) -> None:
        """Time the silence of hosts that succeeded."""
        wave = self.current()
        for host in self.of_wave(wave.number) if wave is not None else []:
            if host.state is AttemptState.SUCCEEDED and host.deadline is None and self._is_silent(host):
                host.deadline = deadlines.deadline(host.state, self.now, online=False)

    def _judge_ask(self, host: HostRow, epoch: int, number: int) -> go.Refuse | None:
        if host.session == epoch and number <= host.last_ask:
            return go.Refuse(Code.CONFLICT, "an older ask of this session")
        if host.state in go.ASKABLE and host.state is not AttemptState.STAGED:
            self.move(host, Trigger.STAGE)
        facts = go.GoFacts(
            state=host.state,
            rollout=self.state,
            suspended=self.killed,
            quarantined=host.name in self.quarantined,
            revoked=False,
            listed=True,
            digest_matches=True,
            not_after=self.not_after,
            limits_readable=True,
            offers_late=self.state is RolloutState.COMPLETED and self.late_stop is None,
        )
        refused = go.judge_go(facts, self.now)
        if refused is not None:
            return refused
        full = self.hold(host, charges.Holding.IN_USE, enforce=True)
        return go.no_budget(full) if full is not None else None

    def _reconcile(self, host: HostRow, hello: Hello) -> None:
        for said in hello.shown:
            if said.generation != host.generation or self.is_over(host, said.state):
                continue
            judgement = assignments.judge_hello(host.state, said.state, code=said.code, is_open=self.has_queue)
            if isinstance(judgement, assignments.Step):
                self._take(host, said, judgement)
                return
        if host.generation is not None and hello.highest < host.generation:
            trigger = assignments.judge_unheard(host.state)
            if trigger is not None:
                self.move(host, trigger)
        elif host.state is AttemptState.LOST and host.succeeded:
            self.move(host, Trigger.RETURN)

    def _take(self, host: HostRow, said: Said, step: assignments.Step) -> None:
        if step.uncharged:
            self.alerts.append(host.name)
        state = AttemptState.DOWNLOADING if said.state is AttemptState.OFFERED else said.state
        if step.trigger is Trigger.REQUEUE:
            state = AttemptState.PENDING
        deadline = self.next_deadline(host, state, announced=said.announced)
        was_there = step.late and self.state is RolloutState.COMPLETED and not host.was_late
        trigger = step.trigger
        if self.excuse(host, trigger, unproven=said.unproven):
            trigger, deadline = Trigger.REQUEUE, None
        self.move(host, trigger, code=said.code, deadline=deadline)
        host.announced = said.announced
        if was_there:
            wave = self.waves[host.wave - 1]
            wave.counters, host.forgiven = wave.counters.forgive_one(host.cohorts), True
        if said.state is AttemptState.SUCCEEDED:
            self.running[host.name] = VERSION
            self.on_trial.discard(host.name)
        elif said.state is AttemptState.ROLLED_BACK:
            self.running[host.name] = "1.0.0"

    def _is_here(self, host: HostRow) -> None:
        if host.state not in BEFORE_GO:
            if host.state is AttemptState.GRANTED and host.deadline is not None:
                self.note(host, waiting=None)
            return
        over = host.waiting in {Code.HOST_OFFLINE, Code.QUARANTINED}
        waiting = Code.QUARANTINED if host.name in self.quarantined else None if over else host.waiting
        deadline = host.deadline
        timed = {AttemptState.DOWNLOADING} | ({AttemptState.OFFERED} if self.offers else set())
        if deadline is None and host.state in timed:
            deadline = self.next_deadline(host, host.state)
        if (waiting, deadline) != (host.waiting, host.deadline):
            self.note(host, waiting=waiting, deadline=deadline)

    def _promote(self, host: HostRow) -> None:
        if host.state not in {AttemptState.TRIAL, AttemptState.PROMOTED}:
            return
        facts = promote.TrialFacts(
            state=host.state,
            recalled=False,
            wanted_version=VERSION,
            wanted_sha256=SHA,
            running_version=self.running[host.name],
            calls_itself=self.running[host.name],
            running_sha256=SHA if self.running[host.name] == VERSION else "",
            on_trial=host.name in self.on_trial,
        )
        if promote.may_promote(facts) and host.generation is not None:
            self.move(host, Trigger.PROMOTE, deadline=host.deadline)
            self.send(host.name, Message("promote", host.generation))

    def _begin_anew(self, name: str, shown: int) -> bool:
        """Let a count that the host can't follow go on from what its hello shows."""
        desired = self.desired.get(name)
        if desired is None or name in self.quarantined or not generations.is_out_of_reach(desired.generation, shown):
            return False
        generation = shown if desired.version else generations.next_generation(0, shown, self.used[name])
        self.desired[name] = replace(desired, generation=generation, excused=False)
        return True

    def _take_back(self, host: HostRow) -> None:
        if self.state is RolloutState.COMPLETED:
            self.let_go(host, host.waiting)
        else:
            self.move(host, Trigger.WITHDRAW)

    def _send_desired(self, name: str, highest: int) -> None:
        desired = self.desired.get(name)
        if desired is None:
            return
        if desired.generation <= highest:
            self.owed -= {name} if desired.excused else set()
            return
        stopped = name in self.quarantined or self.killed
        if not desired.version or (not stopped and self.offers):
            self.send_assignment(name)

    def _forgive(self) -> None:
        self.forgive_budget()
        for wave in self.waves:
            self.let_through(wave)
            for host in self.of_wave(wave.number):
                host.let_off = host.let_off or host.state in states.BAD
            if wave.state is WaveState.FAILED:
                self.step(wave, WaveTrigger.REOPEN)

    def _go_again(self, state: RolloutState) -> None:
        """Continue: the clocks that stood go on from here."""
        if self.stopped_at is not None:
            self.not_after += self.now - self.stopped_at
            self.stopped_at = None
        wave = self.current()
        if wave is not None:
            wave.moved_at = self.now
        if state is not self.state:
            self.become(state)
        for host in self.hosts.values():
            if host.state is AttemptState.OFFERED:
                host.deadline = self.next_deadline(host, host.state)
                self.send_assignment(host.name)
        self.go_on()
