"""A host without disk and network: the machine, driven event by event, the way the shell does it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

from fleetroll_agent.jobs import machine
from fleetroll_agent.jobs.effects import Arm, AskGo, Effect, FillSlot, FindTarget, RunSelfTest
from fleetroll_agent.jobs.events import (
    Armed,
    Assigned,
    Event,
    GoGiven,
    LauncherTold,
    SelfTested,
    SessionOpened,
    SlotReady,
    TargetFound,
    Timer,
)
from fleetroll_agent.jobs.state import Rules, Running, State
from fleetroll_agent.jobs.values import Attempt, Moment, ProductRecord, Report
from fleetroll_agent.launcher import values as launcher

_E = TypeVar("_E")

OLD, NEW, NEWER = "a" * 64, "b" * 64, "c" * 64


def slot(version: str, digest: str, generation: int | None = None) -> launcher.SlotRef:
    attempt = None if generation is None else launcher.Attempt(launcher.Origin.SERVER, generation)
    return launcher.SlotRef(f"{version}-{digest[:8]}", version, digest, "/usr/bin/python3", "cp311", attempt)


def server(generation: int) -> launcher.Attempt:
    return launcher.Attempt(launcher.Origin.SERVER, generation)


def boot_record(**changes: Any) -> launcher.Record:
    return launcher.Record(seq=1, current=slot("1.0.0", OLD), boot_id="boot")._replace(**changes)


def trial(generation: int, digest: str = NEW, *, promoted: bool = False) -> launcher.Trial:
    return launcher.Trial(
        slot("1.1.0", digest), server(generation), launcher.Authority.SERVER, 3, 60, 1000, 1120, 1, 1, promoted=promoted
    )


def word(generation: int, reason: str = "", **more: Any) -> launcher.Outcome:
    """Return how a trial ended: kept, or put back for ``reason``."""
    ended = launcher.Ended.ROLLED_BACK if reason else launcher.Ended.COMMITTED
    return launcher.Outcome(server(generation), "1.1.0", NEW, ended, launcher.Reason(reason))._replace(**more)


@dataclass
class Host:
    """One host; what it wrote stands in ``disk`` and ``journal``, what it wanted done in ``effects``."""

    state: State
    at: float = 5000.0
    disk: ProductRecord = field(default_factory=ProductRecord)
    journal: list[Report] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    writes: int = 0

    @classmethod
    def start(
        cls,
        record: ProductRecord | None = None,
        boot: launcher.Record | None = None,
        running: Running | None = None,
        at: float = 5000.0,
    ) -> Host:
        record = record or ProductRecord()
        state, effects = machine.begin(
            record, boot or boot_record(), running or Running("1.0.0", OLD), cls._moment(at), Rules()
        )
        host = cls(state, at=at, disk=record)
        host._keep(state, effects)
        return host

    def tell(self, *events: Event) -> tuple[Effect, ...]:
        """Apply events; return what the last one asked for."""
        effects: tuple[Effect, ...] = ()
        for event in events:
            self.state, effects = machine.step(self.state, event, self._moment(self.at))
            self._keep(self.state, effects)
        return effects

    def wait(self, seconds: float) -> tuple[Effect, ...]:
        self.at += seconds
        return self.tell(Timer())

    def restart(self, boot: launcher.Record | None = None, running: Running | None = None) -> Host:
        """Kill the process and start the next one on what is on the disk."""
        fresh = Host.start(self.disk, boot or self.state.launcher, running or self.state.running, self.at)
        fresh.journal = [*self.journal, *fresh.journal]
        return fresh

    def stage(self, generation: int, version: str = "1.1.0", digest: str = NEW, session: int = 1) -> None:
        """Bring an assignment to STAGED, its first ask sent."""
        if self.state.session != session:
            self.tell(SessionOpened(session))
        self.tell(Assigned(generation, version, 3, 60))
        job = self.last(FindTarget).job
        self.tell(TargetFound(job, digest))
        self.tell(SlotReady(self.last(FillSlot).job))

    def go(self, generation: int) -> tuple[Effect, ...]:
        """Answer the latest ask; where that asks for one more look, the release is still what was staged."""
        ask = self.last(AskGo)
        return self.looked(self.tell(GoGiven(ask.session, generation, ask.ask)))

    def looked(self, effects: tuple[Effect, ...], **more: Any) -> tuple[Effect, ...]:
        """Answer the last look before the change, if ``effects`` ask for one."""
        wanted = next((effect for effect in effects if isinstance(effect, FindTarget)), None)
        if wanted is None or self.attempt is None:
            return effects
        about = more.pop("about", self.attempt.about)
        return self.tell(TargetFound(wanted.job, self.attempt.sha256, about, **more))

    def arm(self, generation: int, digest: str = NEW) -> tuple[Effect, ...]:
        """Bring a host that got Go into its restart."""
        self.tell(SelfTested(self.last(RunSelfTest).job))
        assert self.last(Arm).generation == generation
        boot = self.state.launcher._replace(trial=trial(generation, digest), highest_server=generation)
        return self.tell(LauncherTold(boot), Armed(generation))

    def on_trial(self, generation: int, digest: str = NEW) -> Host:
        """Be the new version, after the restart."""
        return self.restart(running=Running("1.1.0", digest))

    @property
    def attempt(self) -> Attempt | None:
        return self.disk.attempt

    @property
    def said(self) -> list[str]:
        """What was journaled, in words: ``7 APPLYING self_test``."""
        return [
            " ".join(str(part) for part in (told.generation, told.said.value, told.step, told.code or "") if part)
            for told in self.journal
        ]

    def last(self, kind: type[_E]) -> _E:
        return next(effect for effect in reversed(self.effects) if isinstance(effect, kind))

    def count(self, kind: type) -> int:
        return sum(isinstance(effect, kind) for effect in self.effects)

    def _keep(self, state: State, effects: tuple[Effect, ...]) -> None:
        if state.record != self.disk:
            self.disk = state.record
            self.writes += 1
            known = self.journal[-1].number if self.journal else 0
            self.journal += [told for told in state.record.outbox if told.number > known]
        self.effects += effects

    @staticmethod
    def _moment(at: float) -> Moment:
        return Moment(at, at - 4000, 1_800_000_000 + at)
