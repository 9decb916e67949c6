"""The server of a rollout in memory: what hosts say, what people decide, what time brings, as the engine takes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from fleetroll_common.values.codes import Code
from fleetroll_server.domain import assignments, bake, charges, deadlines, go, people, promote, states
from fleetroll_server.domain import decide as deciding
from fleetroll_server.domain.limits import OfflinePolicy
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
from tests.faults.rollout_rows import VERSION, Desired, HostRow, Rows, WaveRow

if TYPE_CHECKING:
    from collections.abc import Callable

SHA = "ab" * 32


@dataclass(frozen=True)
class Said:
    """What a host says of one attempt, by report or by hello."""

    generation: int
    state: AttemptState
    code: Code | None = None
    announced: float | None = None


@dataclass(frozen=True)
class Hello:
    """What a host says of itself when it comes."""

    highest: int
    shown: tuple[Said, ...]
    running: str
    on_trial: bool = False


@dataclass(frozen=True)
class Message:
    """What leaves for a host: assignment, go, refused, promote or kill."""

    kind: str
    generation: int = 0
    version: str = ""
    ask: int = 0
    stop: bool = False


class Server(Rows):
    """Rows, and everybody who may move them. Messages for hosts with a session collect in :attr:`outbox`."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Begin as :class:`~tests.faults.rollout_rows.Rows` does, with the first offers not yet made."""
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # the same arguments
        self.outbox: dict[str, list[Message]] = {name: [] for name in self.hosts}
        self.running = dict.fromkeys(self.hosts, "1.0.0")
        self.on_trial: set[str] = set()
        self.epoch = 0
        self.when_passed: Callable[[int], None] = lambda number: None
        self.when_granted: Callable[[str], None] = lambda name: None

    # What hosts say.

    def greet(self, name: str, hello: Hello) -> int:
        """Take in a hello; return its session. An older session of the host is over without a word."""
        self.epoch += 1
        self.sessions[name], self.outbox[name] = self.epoch, []
        self.left_well.discard(name)
        self.highest[name], self.running[name] = hello.highest, hello.running
        (self.on_trial.add if hello.on_trial else self.on_trial.discard)(name)
        host = self.hosts[name]
        if host.state not in FINAL:
            self._reconcile(host, hello)
            self._is_here(host)
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
        if host.state is AttemptState.OFFERED:
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
        judgement = assignments.judge_report(host.state, said.state, code=said.code, is_open=self.is_open)
        if isinstance(judgement, assignments.Rejected):
            return "rejected"
        if not isinstance(judgement, assignments.Step):
            return "history"
        self._take(host, said, judgement)
        if said.state is AttemptState.STAGED and said.code is not None:
            self.note(host, waiting=said.code, deadline=host.deadline)
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
        if refused is None or host.state is AttemptState.STAGED:
            host.session, host.last_ask = epoch, number
        kind = "go" if refused is None else "refused"
        self.send(name, Message(kind, generation, ask=number))
        self.go_on()

    # What people decide.

    def pause(self) -> None:
        if self.state is not RolloutState.PAUSED:
            self._become(people.stop(self.state, RolloutTrigger.PAUSE))

    def resume(self) -> None:
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
            self._step(wave, WaveTrigger.PASS)
            self._go_again(people.resume(self.state))
        else:
            self.go_on(deciding.Advanced())

    def cancel(self, *, let_finish: bool = False) -> None:
        self._become(people.stop(self.state, RolloutTrigger.CANCEL))
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
            self._become(RolloutState.PAUSED)
        for name in self.sessions:
            self.send(name, Message("kill"))

    def lift_kill(self) -> None:
        self.killed = False

    # What time brings.

    def sweep(self, *, up: bool = True) -> None:
        """Let passed deadlines speak, then look at the rollout again."""
        for host in self.hosts.values():
            rule = deadlines.expiry(host.state)
            if host.deadline is not None and host.deadline <= self.now and rule is not None:
                self.move(host, rule.trigger, code=rule.code)
                if rule.trigger is Trigger.FAIL:
                    self.desire(host.name, "")
        if self.state is RolloutState.COMPLETED and self.now >= self.not_after:
            for wave in self.waves:
                self._expire(wave.number)
            return
        wave_now = self.current()
        if self.state is RolloutState.RUNNING and wave_now is not None and wave_now.state is WaveState.BAKING:
            succeeded = [h.name for h in self.of_wave(wave_now.number) if h.state is AttemptState.SUCCEEDED]
            away = [name for name in succeeded if name not in self.sessions and name not in self.left_well]
            wave_now.baked = bake.tick(
                wave_now.baked, self.now, up=up, away_without_goodbye=len(away), max_failed=self.limits.max_failed
            )
        self.go_on()

    def go_on(self, event: deciding.Event | None = None) -> None:
        """Take every step that is due. More of them than hosts and waves could need is a loop."""
        event = event or deciding.Moved()
        for _ in range(2 * len(self.hosts) + 4 * len(self.waves) + 8):
            decision = deciding.decide(self.summary(), event, self.now)
            self.decisions += 1
            assert decision.actions or decision.waits_for or self.state in states.ENDED_ROLLOUT, "it waits for nothing"
            if not [action for action in decision.actions if self._carry_out(action)]:
                return
            event = deciding.Moved()
        raise AssertionError(f"decide does not come to an end: {self.summary()}")

    def send(self, name: str, message: Message) -> None:
        if name in self.sessions:
            self.outbox[name].append(message)

    def desire(self, name: str, version: str, *, stop: bool = False) -> int:
        """Write an assignment with the next generation."""
        known = self.desired.get(name)
        generation = assignments.next_generation(known.generation if known else 0, self.highest[name])
        self.desired[name] = Desired(generation, version, stop)
        self.send(name, Message("assignment", generation, version, stop=stop))
        return generation

    def _carry_out(self, action: deciding.Action) -> bool:
        match action:
            case deciding.AwaitPerson(wave=number):
                self._step(self.waves[number - 1], WaveTrigger.AWAIT)
            case deciding.OpenWave(wave=number):
                self._step(self.waves[number - 1], WaveTrigger.OPEN)
                self.waves[number - 1].moved_at = self.now
            case deciding.OfferHosts(wave=number, count=count):
                return self._offer(number, count)
            case deciding.ExpireHosts(wave=number):
                return self._expire(number)
            case deciding.StartBake(wave=number):
                self._step(self.waves[number - 1], WaveTrigger.BAKE)
                self.waves[number - 1].baked = replace(self.waves[number - 1].baked, ticked_at=self.now)
            case deciding.PassWave(wave=number):
                self._step(self.waves[number - 1], WaveTrigger.PASS)
            case deciding.FailWave(wave=number, evidence=evidence):
                self._step(self.waves[number - 1], WaveTrigger.FAIL)
                self.fails.append((number, evidence))
                self._become(states.transition(states.ROLLOUT_TRANSITIONS, self.state, RolloutTrigger.HALT))
            case deciding.PauseForPerson():
                self._become(states.transition(states.ROLLOUT_TRANSITIONS, self.state, RolloutTrigger.PAUSE))
            case deciding.Complete():
                self._become(states.transition(states.ROLLOUT_TRANSITIONS, self.state, RolloutTrigger.COMPLETE))
                self.forgive_budget()
            case other:
                assert_never(other)
        return True

    def _offer(self, number: int, count: int) -> bool:
        if self.killed:
            return False
        waits = [h for h in self.of_wave(number) if h.state is AttemptState.PENDING and h.waiting is None][:count]
        for host in waits:
            if self.running[host.name] == VERSION:
                self.move(host, Trigger.SKIP, code=Code.ALREADY_AT_TARGET)
            elif host.name in self.quarantined:
                self.note(host, waiting=Code.QUARANTINED)
            elif host.name not in self.sessions:
                self._offline(host)
            else:
                generation = self.desire(host.name, VERSION)
                deadline = self.next_deadline(host, AttemptState.OFFERED)
                self.move(host, Trigger.OFFER, generation=generation, deadline=deadline)
        return bool(waits)

    def _offline(self, host: HostRow) -> None:
        if self.limits.offline_policy is OfflinePolicy.SKIP:
            self.move(host, Trigger.SKIP, code=Code.HOST_OFFLINE)
        elif self.limits.offline_policy is OfflinePolicy.FAIL:
            self.move(host, Trigger.FAIL, code=Code.HOST_OFFLINE_AT_DISPATCH)
        else:
            self.note(host, waiting=Code.HOST_OFFLINE)

    def _expire(self, number: int) -> bool:
        hosts = [host for host in self.of_wave(number) if host.state in BEFORE_GO]
        for host in hosts:
            offered = host.state is not AttemptState.PENDING
            self.move(host, Trigger.EXPIRE, code=Code.EXPIRED)
            if offered:
                self.desire(host.name, "")
        return bool(hosts)

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
        )
        refused = go.judge_go(facts, self.now)
        if refused is not None:
            return refused
        full = self.hold(host, charges.Holding.IN_USE, enforce=True)
        return go.no_budget(full) if full is not None else None

    def _reconcile(self, host: HostRow, hello: Hello) -> None:
        for said in hello.shown:
            if said.generation != host.generation:
                continue
            judgement = assignments.judge_hello(host.state, said.state, code=said.code, is_open=self.is_open)
            if isinstance(judgement, assignments.Step):
                self._take(host, said, judgement)
                return
        unheard = host.generation is not None and hello.highest < host.generation
        offered = host.state in {AttemptState.PENDING, AttemptState.OFFERED}
        if unheard and not offered and Trigger.OFFER in states.ATTEMPT_TRANSITIONS[host.state]:
            self.move(host, Trigger.OFFER)

    def _take(self, host: HostRow, said: Said, step: assignments.Step) -> None:
        if step.uncharged:
            self.alerts.append(host.name)
        state = AttemptState.DOWNLOADING if said.state is AttemptState.OFFERED else said.state
        if step.trigger is Trigger.REQUEUE:
            state = AttemptState.PENDING
        deadline = self.next_deadline(host, state, announced=said.announced)
        self.move(host, step.trigger, code=said.code, deadline=deadline)
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
        timed = {AttemptState.DOWNLOADING} | ({AttemptState.OFFERED} if self.state is RolloutState.RUNNING else set())
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
            running_sha256=SHA if self.running[host.name] == VERSION else "",
            on_trial=host.name in self.on_trial,
        )
        if promote.may_promote(facts) and host.generation is not None:
            self.move(host, Trigger.PROMOTE, deadline=host.deadline)
            self.send(host.name, Message("promote", host.generation))

    def _send_desired(self, name: str, highest: int) -> None:
        desired = self.desired.get(name)
        if desired is None or desired.generation <= highest:
            return
        stopped = name in self.quarantined or self.killed
        if not desired.version or (not stopped and self.state is RolloutState.RUNNING and self.now < self.not_after):
            self.send(name, Message("assignment", desired.generation, desired.version, stop=desired.stop))

    def _forgive(self) -> None:
        self.forgive_budget()
        for wave in self.waves:
            self.let_through(wave)
            if wave.state is WaveState.FAILED:
                self._step(wave, WaveTrigger.REOPEN)

    def _go_again(self, state: RolloutState) -> None:
        """Continue: the clocks that stood go on from here."""
        if self.stopped_at is not None:
            self.not_after += self.now - self.stopped_at
            self.stopped_at = None
        wave = self.current()
        if wave is not None:
            wave.moved_at = self.now
        self._become(state)
        for host in self.hosts.values():
            if host.state is AttemptState.OFFERED:
                host.deadline = self.next_deadline(host, host.state)
                desired = self.desired[host.name]
                self.send(host.name, Message("assignment", desired.generation, desired.version))
        self.go_on()

    def _become(self, state: RolloutState) -> None:
        self.state = state
        if state in {RolloutState.PAUSED, RolloutState.HALTED} and self.stopped_at is None:
            self.stopped_at = self.now
            for host in self.hosts.values():
                if host.state is AttemptState.OFFERED:
                    host.deadline = None

    def _step(self, wave: WaveRow, trigger: WaveTrigger) -> None:
        wave.state = states.transition(states.WAVE_TRANSITIONS, wave.state, trigger)
        if wave.state is WaveState.PASSED:
            self.passes.append(wave.number)
            self.when_passed(wave.number)
            self.let_through(wave)
