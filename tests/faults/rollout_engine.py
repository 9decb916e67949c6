"""What the engine does with a rollout by itself, in memory: decide, offer, expire, and the messages that follow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from fleetroll_common.values.codes import Code
from fleetroll_server.domain import assignments, states
from fleetroll_server.domain import decide as deciding
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
from tests.faults.rollout_rows import VERSION, Desired, HostRow, Rows, WaveRow

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


class Engine(Rows):
    """Rows that go on by themselves. Messages for hosts with a session collect in :attr:`outbox`."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Begin as :class:`~tests.faults.rollout_rows.Rows` does, with the first offers not yet made."""
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # the same arguments
        self.outbox: dict[str, list[Message]] = {name: [] for name in self.hosts}
        self.running = dict.fromkeys(self.hosts, "1.0.0")
        self.on_trial: set[str] = set()
        self.epoch = 0
        self.when_passed: Callable[[int], None] = lambda number: None
        self.when_granted: Callable[[str], None] = lambda name: None

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
            case deciding.PauseForPerson():
                self.become(states.transition(states.ROLLOUT_TRANSITIONS, self.state, RolloutTrigger.PAUSE))
            case deciding.Complete():
                self.become(states.transition(states.ROLLOUT_TRANSITIONS, self.state, RolloutTrigger.COMPLETE))
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
