"""What the engine does with a rollout by itself, in memory: decide, offer, expire, and the messages that follow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from fleetroll_common.values.codes import Code
from fleetroll_common.values.generations import MAX_JUMP
from fleetroll_server.domain import decide as deciding
from fleetroll_server.domain import generations, late, states
from fleetroll_server.domain.limits import OfflinePolicy
from fleetroll_server.domain.states import (
    BEFORE_GO,
    AttemptState,
    RolloutState,
    RolloutTrigger,
    Trigger,
    WaveState,
    WaveTrigger,
)
from tests.faults.rollout_rows import OUT_OF_COUNT, SCOPES, VERSION, Desired, HostRow, Rows, WaveRow

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Message:
    """What leaves for a host: assignment, go, refused, promote or kill."""

    kind: str
    generation: int = 0
    version: str = ""
    ask: int = 0
    stop: bool = False
    excused: bool = False

    def is_taken_above(self, highest: int) -> bool:
        """Tell whether a host takes it that has taken ``highest``."""
        return highest < self.generation <= highest + MAX_JUMP


class Engine(Rows):
    """Rows that go on by themselves. Messages for hosts with a session collect in :attr:`outbox`."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Begin as :class:`~tests.faults.rollout_rows.Rows` does, with the first offers not yet made."""
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # the same arguments
        self.outbox: dict[str, list[Message]] = {name: [] for name in self.hosts}
        self.running = dict.fromkeys(self.hosts, "1.0.0")
        self.on_trial: set[str] = set()
        self.epoch = 0
        self.late_stops: list[Code] = []
        self.when_passed: Callable[[int], None] = lambda number: None
        self.when_granted: Callable[[str], None] = lambda name: None
        self.when_stopped: Callable[[late.StopLate], None] = lambda stop: None

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
        stored = known.generation if known else 0
        generation = generations.next_generation(stored, self.highest[name], self.used[name])
        self.desired[name] = Desired(generation, version, stop, excused=bool(version) and name in self.owed)
        self.send_assignment(name)
        return generation

    def send_assignment(self, name: str) -> None:
        known = self.desired[name]
        self.send(name, Message("assignment", known.generation, known.version, stop=known.stop, excused=known.excused))

    def _carry_out(self, action: deciding.Action) -> bool:
        match action:
            case deciding.AwaitPerson(wave=number):
                self.step(self.waves[number - 1], WaveTrigger.AWAIT)
            case deciding.OpenWave(wave=number):
                self.step(self.waves[number - 1], WaveTrigger.OPEN)
                self.waves[number - 1].moved_at = self.now
            case deciding.OfferHosts(wave=number, count=count):
                return self._offer(number, count)
            case deciding.ExpireHosts(wave=number):
                return self.expire(number)
            case deciding.StartBake(wave=number):
                self.step(self.waves[number - 1], WaveTrigger.BAKE)
                self.waves[number - 1].baked = replace(self.waves[number - 1].baked, ticked_at=self.now)
            case deciding.PassWave(wave=number):
                self.step(self.waves[number - 1], WaveTrigger.PASS)
            case deciding.FailWave(wave=number, evidence=evidence):
                self.step(self.waves[number - 1], WaveTrigger.FAIL)
                self.fails.append((number, evidence))
                self.become(states.transition(states.ROLLOUT_TRANSITIONS, self.state, RolloutTrigger.HALT))
            case deciding.Halt() | deciding.PauseForPerson():
                trigger = RolloutTrigger.HALT if isinstance(action, deciding.Halt) else RolloutTrigger.PAUSE
                self.become(states.transition(states.ROLLOUT_TRANSITIONS, self.state, trigger))
            case deciding.Complete() | late.OfferLate() | late.StopLate():
                return self._complete(action)
            case other:
                assert_never(other)
        return True

    def _complete(self, action: deciding.Complete | late.OfferLate | late.StopLate) -> bool:
        """Go on with late hosts, or begin with them.

        What was bad is no harm of theirs; they hold nothing, and one of them may be past Go at a time.
        """
        if isinstance(action, late.OfferLate):
            return self._offer(None, 1)
        if isinstance(action, late.StopLate):
            self.late_stops.append(action.code)
            self.when_stopped(action)
            self.stop_late(action.code)
            return True
        self.become(states.transition(states.ROLLOUT_TRANSITIONS, self.state, RolloutTrigger.COMPLETE))
        self.forgive_budget()
        for wave in self.waves:
            self.let_through(wave)
        self.budgets[SCOPES[2]] = replace(self.budgets[SCOPES[2]], max_in_use=late.MAX_UNDER_WAY)
        for host in self.hosts.values():
            self.meet(host)
        return True

    def stop_late(self, code: Code) -> None:
        """Offer no late host any more; those without Go are cancelled when it is for good."""
        self.late_stop = code
        if code in late.RESUMABLE:
            self.stopped_at = self.stopped_at or self.now
            return
        for host in self.hosts.values():
            if host.state in BEFORE_GO:
                self.move(host, Trigger.CANCEL, code=code)
                if host.generation is not None:
                    self.desire(host.name, "")

    def meet(self, host: HostRow) -> None:
        """Let go of a late host that has an offer and waits."""
        if self.state is not RolloutState.COMPLETED or host.state not in BEFORE_GO or host.generation is None:
            return
        offered = host.state is not AttemptState.PENDING or self.desired[host.name].version
        if offered and host.waiting in OUT_OF_COUNT:
            self.let_go(host, host.waiting)

    def let_go(self, host: HostRow, waiting: Code | None) -> None:
        """Queue a late host again."""
        self.move(host, Trigger.REQUEUE, waiting=waiting)
        self.desire(host.name, "")

    def _offer(self, number: int | None, count: int) -> bool:
        if self.killed:
            return False
        hosts = self.of_wave(number) if number is not None else self.hosts.values()
        waits = [h for h in hosts if h.state is AttemptState.PENDING and h.waiting is None][:count]
        for host in waits:
            if self.running[host.name] == VERSION:
                self.move(host, Trigger.SKIP, code=Code.ALREADY_AT_TARGET)
            elif host.name in self.quarantined:
                self.note(host, waiting=Code.QUARANTINED)
            elif host.name not in self.sessions:
                self._offline(host)
            else:
                generation = self.desire(host.name, VERSION)
                assert generation not in self.used[host.name], "an attempt is known by its number"
                self.used[host.name].add(generation)
                deadline = self.next_deadline(host, AttemptState.OFFERED)
                self.move(host, Trigger.OFFER, generation=generation, deadline=deadline)
        return bool(waits)

    def _offline(self, host: HostRow) -> None:
        if self.state is RolloutState.COMPLETED:
            self.note(host, waiting=Code.HOST_OFFLINE)
        elif self.limits.offline_policy is OfflinePolicy.SKIP:
            self.move(host, Trigger.SKIP, code=Code.HOST_OFFLINE)
        elif self.limits.offline_policy is OfflinePolicy.FAIL:
            self.move(host, Trigger.FAIL, code=Code.HOST_OFFLINE_AT_DISPATCH)
        else:
            self.note(host, waiting=Code.HOST_OFFLINE)

    def expire(self, number: int) -> bool:
        hosts = [host for host in self.of_wave(number) if host.state in BEFORE_GO]
        for host in hosts:
            offered = host.state is not AttemptState.PENDING
            self.move(host, Trigger.EXPIRE, code=Code.EXPIRED)
            if offered:
                self.desire(host.name, "")
        return bool(hosts)

    def become(self, state: RolloutState) -> None:
        self.state = state
        if state in {RolloutState.PAUSED, RolloutState.HALTED} and self.stopped_at is None:
            self.stopped_at = self.now
            for host in self.hosts.values():
                if host.state is AttemptState.OFFERED:
                    host.deadline = None

    def step(self, wave: WaveRow, trigger: WaveTrigger) -> None:
        wave.state = states.transition(states.WAVE_TRANSITIONS, wave.state, trigger)
        if wave.state is WaveState.PASSED:
            self.passes.append(wave.number)
            self.when_passed(wave.number)
            self.let_through(wave)
