"""Hosts with a will of their own around a rollout in memory: they take, stage, ask, apply, fail, vanish and come back.

Each act returns whether it was possible. After each, :meth:`World.judge` compares what the server believes with what
the hosts really do. Sessions break silently; reports stay in a host's journal until they are acknowledged; a Go is used
within 60 s of its ask or never.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain import people
from fleetroll_server.domain.states import (
    BEFORE_GO,
    ENDED_ROLLOUT,
    FINAL,
    PAST_GO,
    AttemptState,
    RolloutState,
)
from tests.faults import rollout_oracle
from tests.faults.rollout_rows import VERSION
from tests.faults.rollout_server import Hello, Said, Server

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from fleetroll_server.domain.limits import RolloutLimits
    from tests.faults.rollout_engine import Message

LEASE_SECONDS = 360.0
GO_SECONDS = 60.0
_PAST = frozenset({AttemptState.APPLYING, AttemptState.TRIAL, AttemptState.SOAKING})


@dataclass
class Host:
    """What is really there. ``stage`` is None without an attempt; ``go_until`` while an unused Go is held."""

    name: str
    alive: bool = True
    epoch: int = 0
    highest: int = 0
    version: str = "1.0.0"
    stage: AttemptState | None = None
    generation: int = 0
    asks: int = 0
    asked_at: datetime | None = None
    go_until: datetime | None = None
    promoted: bool = False
    lease_until: datetime | None = None
    stop: bool = False
    next: Message | None = None
    kept: int = 0
    """The generation that put the version there which runs; 0 where none did."""
    journal: list[Said] = field(default_factory=list)
    unproven: dict[int, bool] = field(default_factory=dict)
    """By generation of a way back that nobody proved: whether the launcher counts it. Two make a version bad."""


class World:
    """A server and its hosts."""

    def __init__(
        self,
        waves: Sequence[Mapping[str, tuple[str, ...]]],
        limits: RolloutLimits,
        *,
        manual: bool = False,
        offline: Collection[str] = (),
    ) -> None:
        """Begin with the first wave open, and with every host there but those in ``offline``."""
        self.server = Server(waves, limits, manual=manual)
        self.hosts = {name: Host(name) for name in self.server.hosts}
        self.server.when_passed = lambda number: rollout_oracle.check_pass(self.server, number)
        self.server.when_granted = lambda name: rollout_oracle.check_grant(self.server, name)
        self.server.when_stopped = lambda stop: rollout_oracle.check_late_stop(self.server, stop)
        for host in self.hosts.values():
            if host.name not in offline:
                self.connect(host)
        self.server.go_on()

    # Sessions.

    def connect(self, host: Host) -> bool:
        if not host.alive or host.epoch:
            return False
        host.asks, host.asked_at, host.go_until = 0, None, None
        host.epoch = self.server.greet(host.name, self._hello(host))
        return True

    def _hello(self, host: Host) -> Hello:
        finals = [said for said in host.journal if said.state in FINAL]
        shown = [] if host.stage is None else [Said(host.generation, host.stage, announced=_announced(host.stage))]
        return Hello(host.highest, (*shown, *finals), host.version, host.stage is AttemptState.TRIAL)

    def cut(self, host: Host) -> bool:
        """The line breaks; the server does not know yet. A Go that came before is good until the next hello."""
        done, host.epoch = bool(host.epoch), 0
        return done

    def notice(self, host: Host) -> bool:
        """The server sees that a session is over."""
        if host.epoch or host.name not in self.server.sessions:
            return False
        self.server.left(host.name)
        return True

    def goodbye(self, host: Host) -> bool:
        if not self.cut(host):
            return False
        self.server.left(host.name, goodbye=True)
        return True

    def die(self, host: Host) -> bool:
        """The host vanishes; what it runs goes back when it returns."""
        done, host.alive, host.go_until = host.alive, False, None
        self.cut(host)
        return done

    def revive(self, host: Host) -> bool:
        if host.alive:
            return False
        host.alive = True
        if host.stage in _PAST:
            self._end(host, AttemptState.ROLLED_BACK)
        return True

    def flush(self, host: Host, *, ack: bool = True) -> bool:
        """Send the journal; without the ack everything stays in it and is sent again."""
        if not self._talks(host) or not host.journal:
            return False
        for said in host.journal:
            self.server.report(host.name, said)
        if ack:
            host.journal.clear()
        return True

    def read(self, host: Host) -> bool:
        """Take the next message."""
        if not self._talks(host) or not self.server.outbox[host.name]:
            return False
        message = self.server.outbox[host.name].pop(0)
        if message.kind == "assignment":
            self._assigned(host, message)
        elif message.kind == "go" and host.stage is AttemptState.STAGED and message.generation == host.generation:
            if message.ask == host.asks and host.asked_at is not None:
                host.go_until = host.asked_at + timedelta(seconds=GO_SECONDS)
        elif message.kind == "promote":
            host.promoted |= message.generation == host.generation
        elif message.kind == "kill":
            self._killed(host)
        return True

    # Work.

    def stage(self, host: Host) -> bool:
        if host.stage is not AttemptState.DOWNLOADING or not host.alive:
            return False
        self._say(host, AttemptState.STAGED)
        return True

    def ask(self, host: Host) -> bool:
        """Ask for Go. A new ask voids what an older one brought."""
        if host.stage is not AttemptState.STAGED or not self._talks(host):
            return False
        host.asks, host.asked_at, host.go_until = host.asks + 1, self.server.now, None
        self.server.ask(host.name, host.epoch, host.generation, host.asks)
        return True

    def ask_in_time(self, host: Host) -> bool:
        """Ask as a host does by itself: once, and again later where no Go came."""
        waits = host.go_until is not None or (host.asked_at is not None and host.asked_at >= self.server.now)
        return not waits and self.ask(host)

    def ask_late(self, host: Host) -> bool:
        """An older ask of this session arrives once more."""
        if host.stage is not AttemptState.STAGED or not self._talks(host) or not host.asks:
            return False
        self.server.ask(host.name, host.epoch, host.generation, host.asks)
        return True

    def apply(self, host: Host) -> bool:
        """Use the Go."""
        if host.go_until is None or not host.alive:
            return False
        usable, host.go_until = self.server.now < host.go_until, None
        if usable:
            self._say(host, AttemptState.APPLYING)
        return usable

    def restart(self, host: Host) -> bool:
        """Start the new version on trial: a new process with a session of its own."""
        if host.stage is not AttemptState.APPLYING or not host.alive:
            return False
        self.cut(host)
        host.version, host.promoted = VERSION, False
        host.lease_until = self.server.now + timedelta(seconds=LEASE_SECONDS)
        self._say(host, AttemptState.TRIAL)
        return True

    def soak(self, host: Host) -> bool:
        """A product that is kept by its own health."""
        if host.stage is not AttemptState.APPLYING or not host.alive:
            return False
        self._say(host, AttemptState.SOAKING)
        return True

    def commit(self, host: Host) -> bool:
        kept = (host.stage is AttemptState.TRIAL and host.promoted) or host.stage is AttemptState.SOAKING
        if not kept or not host.alive:
            return False
        self._end(host, AttemptState.SUCCEEDED)
        return True

    def go_bad(self, host: Host, result: AttemptState) -> bool:
        """End an attempt badly, as its stage allows."""
        past = host.stage in _PAST
        if not host.alive or host.stage is None or (not past and result is not AttemptState.FAILED):
            return False
        if result is AttemptState.FAILED and host.stage not in BEFORE_GO | {AttemptState.APPLYING}:
            return False
        self._end(host, result)
        return True

    def start_anew(self, host: Host) -> bool:
        """The host is started anew between its permit and the switch; nothing was changed."""
        if host.stage is not AttemptState.APPLYING or not host.alive:
            return False
        self._end(host, AttemptState.FAILED, unproven=True)
        return True

    def stop_before_switch(self, host: Host) -> bool:
        if host.stage is not AttemptState.APPLYING or not host.stop or not host.alive:
            return False
        self._end(host, AttemptState.CANCELLED, Code.CANCELLED_BY)
        return True

    def go_back_late(self, host: Host) -> bool:
        """A kept version crashes again and again."""
        if not host.alive or not host.kept or host.stage is not None:
            return False
        host.journal.append(Said(host.kept, AttemptState.ROLLED_BACK))
        host.version, host.kept = "1.0.0", 0
        return True

    def quarantine(self, host: Host) -> bool:
        """The identity is in doubt, or no longer: a host that is readmitted has a new key, and so a new session."""
        self.server.quarantined ^= {host.name}
        self.cut(host)
        return True

    # People and time.

    def pause(self) -> bool:
        if self._has_late(None):
            return self._people(self.server.pause, RolloutState.COMPLETED)
        return self._people(self.server.pause, RolloutState.RUNNING)

    def resume(self) -> bool:
        if self.server.killed:
            return False
        if self._has_late(Code.PAUSED, Code.SUSPENDED):
            return self._people(self.server.resume, RolloutState.COMPLETED)
        return self._people(self.server.resume, RolloutState.PAUSED, RolloutState.HALTED)

    def advance(self) -> bool:
        if self.server.killed:
            return False
        try:
            people.require_waiting_wave(self.server.summary())
        except RequestError:
            return False
        self.server.advance()
        return True

    def cancel(self, *, let_finish: bool) -> bool:
        if self.server.state in ENDED_ROLLOUT and not self._has_late(None, Code.PAUSED, Code.SUSPENDED):
            return False
        self.server.cancel(let_finish=let_finish)
        return True

    def _has_late(self, *stops: Code | None) -> bool:
        server = self.server
        return server.state is RolloutState.COMPLETED and server.late_stop in stops and server.late.left > 0

    def kill(self) -> bool:
        self.server.press_kill()
        return True

    def lift(self) -> bool:
        done = self.server.killed
        self.server.lift_kill()
        return done

    def pass_time(self, seconds: float) -> bool:
        """Let time pass; hosts act on their own clocks before the server looks."""
        self._tell_the_time(seconds)
        self.server.sweep()
        return True

    def outage(self, seconds: float, *, restart: bool = True) -> bool:
        """The server accepts no hello for so long, or starts anew; hosts do what they can without it."""
        self.server.close()
        for host in self.hosts.values() if restart else ():
            self.cut(host)
            self.apply(host)
            self.restart(host)
        self._tell_the_time(seconds)
        self.server.open_again()
        for name in list(self.server.sessions) if restart else ():
            self.server.left(name)
        self.server.sweep(up=False)
        return True

    def _tell_the_time(self, seconds: float) -> None:
        self.server.now += timedelta(seconds=seconds)
        for host in self.hosts.values():
            over = host.lease_until is not None and self.server.now >= host.lease_until
            if host.alive and host.stage is AttemptState.TRIAL and over and not host.promoted:
                host.unproven[host.generation] = True
                self._end(host, AttemptState.ROLLED_BACK, unproven=True)

    # Judgement.

    def judge(self) -> None:
        """Assert that the server's belief is sound. What it lets happen is judged at once, when it does."""
        rollout_oracle.check(self.server)
        self._check_truth()

    def _check_truth(self) -> None:
        """Nobody is past Go, or could go there, without the server holding a place for it."""
        server = self.server
        believed_lost = 0
        beyond = [host for host in self.hosts.values() if host.stage in _PAST or self._may_use(host)]
        for host in beyond:
            row = server.hosts[host.name]
            if row.generation == host.generation:
                assert row.state in PAST_GO, f"{host.name} is {host.stage}, believed {row.state}"
            believed_lost += row.state is AttemptState.LOST
        assert len(beyond) - believed_lost <= server.limits.max_concurrent, "more hosts are out than were let out"

    def _may_use(self, host: Host) -> bool:
        return host.go_until is not None and self.server.now < host.go_until and host.alive

    # Inside.

    def _talks(self, host: Host) -> bool:
        return bool(host.epoch) and self.server.sessions.get(host.name) == host.epoch

    def _people(self, act: object, *states: RolloutState) -> bool:
        if self.server.state not in states or not callable(act):
            return False
        act()
        return True

    def _say(self, host: Host, state: AttemptState, code: Code | None = None, *, unproven: bool = False) -> None:
        host.stage = state
        host.journal.append(Said(host.generation, state, code, _announced(state), unproven))

    def _end(self, host: Host, state: AttemptState, code: Code | None = None, *, unproven: bool = False) -> None:
        self._say(host, state, code, unproven=unproven)
        host.stage, host.go_until, host.lease_until, host.stop = None, None, None, False
        host.version = VERSION if state is AttemptState.SUCCEEDED else "1.0.0"
        host.kept = host.generation if state is AttemptState.SUCCEEDED else 0
        if host.next is not None:
            message, host.next = host.next, None
            self._begin(host, message)

    def _assigned(self, host: Host, message: Message) -> None:
        if not message.is_taken_above(host.highest):
            return
        host.highest = message.generation
        if host.stage in _PAST:
            host.next, host.stop = message, host.stop or message.stop
            return
        if host.stage is not None:
            self._end(host, AttemptState.CANCELLED, Code.SUPERSEDED)
        self._begin(host, message)

    def _begin(self, host: Host, message: Message) -> None:
        if message.version:
            host.generation, host.promoted, host.go_until = message.generation, False, None
            if message.excused and host.unproven:
                host.unproven[max(host.unproven)] = False
            host.journal.append(Said(host.generation, AttemptState.OFFERED))
            self._say(host, AttemptState.DOWNLOADING)

    def _killed(self, host: Host) -> None:
        host.go_until = None
        if host.stage in BEFORE_GO:
            self._end(host, AttemptState.CANCELLED, Code.KILLED)


def _announced(state: AttemptState) -> float | None:
    return LEASE_SECONDS if state is AttemptState.TRIAL else None
