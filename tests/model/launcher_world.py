"""The world around the launcher's core: a child that does what it likes, a disk that refuses, kills, stops and reboots.

Every decision is the real ``step`` and ``begin``. Bounds:

- one unit of time is a "second"; start limit, hang limit, grace, soak are 1, the lease is 2, an extension 1 in all, so
  a trial may last 4 (5 when extended); instants are kept relative to now and cut where no limit reaches;
- the second crash after a commit leads back (the sixth in the real table);
- one or two attempts of the server, and up to so many failing writes and spawns as :class:`Bounds` says.

Everything else may happen any number of times: beats, hellos, exits, Promotes of either attempt for either digest,
SIGTERM, kill -9 of the launcher after any action, reboots. A write that fails leaves the old or the new record. A
killed process ends within the second. Texts, numbers of records, and hints (GOOD, BAD) are left out: no decision here
reads them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fleetroll_agent.launcher import core
from fleetroll_agent.launcher.beginning import begin
from fleetroll_agent.launcher.events import (
    Arm,
    Beat,
    ChildExited,
    Exit,
    Extend,
    Goodbye,
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
    Tick,
)
from fleetroll_agent.launcher.limits import MAX_GIVES, TRIES
from fleetroll_agent.launcher.timers import next_deadline
from fleetroll_agent.launcher.values import Authority, Record
from tests.model.explorer import Broken
from tests.model.launcher_values import (
    BOOT,
    EXTENSION,
    FIRST_ATTEMPT,
    LEASE,
    LIMITS,
    NEW,
    NOW,
    OLDEST,
    OTHER,
    OTHER_BOOT,
    SECOND_ATTEMPT,
    SOAK,
    TRIAL_SECONDS,
    Bounds,
    Child,
    Host,
    Rule,
    canonical,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll_agent.launcher.events import Action, Actions, Event
    from fleetroll_agent.launcher.state import State


def wrong(host: Host) -> str | None:
    """Return the rule that ``host`` breaks."""
    trial_runs = host.child is not None and host.child.attempt is not None
    if trial_runs and host.age > TRIAL_SECONDS + EXTENSION + LIMITS.grace:
        return Rule.LONG
    if host.starts > TRIES + MAX_GIVES:
        return Rule.TRIES
    return None


def settled(host: Host) -> bool:
    """Tell whether a kept version runs and nothing is on trial: what must stay possible for ever."""
    runs = host.child is not None and host.child.attempt is None and host.state is not None and host.state.alive
    return runs and host.disk.trial is None


class Launcher:
    """The steps within one set of bounds."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds

    def steps(self, host: Host) -> Iterator[tuple[str, Host | Broken]]:
        """Yield every step out of ``host``."""
        for name, after in self._steps(host):
            yield name, after if isinstance(after, Broken) else canonical(after)

    def _steps(self, host: Host) -> Iterator[tuple[str, Host | Broken]]:
        if self.bounds.reboots:
            yield "reboot", _stopped(replace(host, disk=host.disk._replace(boot_id=OTHER_BOOT), rebooted=True))
        if host.state is None:
            state, actions = begin(host.disk, BOOT, LIMITS, NOW)
            yield from self._done("launcher starts", _with_ended(host), state, actions)
            return
        yield "kill -9 of the launcher", _stopped(host)
        due = next_deadline(host.state)
        if due is not None and due <= 0:
            yield from self._told("tick", host, Tick())
        elif host.child is None or not host.child.killed:
            yield "a second passes", _later(host)
        if self.bounds.stops:
            yield from self._told("SIGTERM", host, Stop())
        if host.child is not None:
            yield from self._child_steps(host, host.child)

    def _child_steps(self, host: Host, child: Child) -> Iterator[tuple[str, Host | Broken]]:
        """Let the child do whatever a child can do."""
        alive = host.state is not None and host.state.alive
        seen = child.hello and child.attempt is not None and alive
        gone = replace(host, child=None, hello_seen=host.hello_seen or seen)
        yield from self._told("child exits", gone, ChildExited("exit"))
        if child.killed or not alive:
            return
        healthy = child._replace(healthy=child.healthy if child.healthy is not None else 0.0)
        yield from self._told("healthy beat", replace(host, child=healthy), Beat(healthy=True))
        if child.attempt is not None:
            ill = child._replace(healthy=None if child.healthy is None else -1.0)
            yield from self._told("unhealthy beat", replace(host, child=ill), Beat(healthy=False))
        if not child.hello:
            yield from self._told("hello", replace(host, child=child._replace(hello=True)), Hello())
        yield from self._requests(host, child)

    def _requests(self, host: Host, child: Child) -> Iterator[tuple[str, Host | Broken]]:
        """Let the child ask for what it may or may not have."""
        for attempt in (FIRST_ATTEMPT, SECOND_ATTEMPT):
            for slot in (NEW, OTHER):
                right = (attempt, slot.digest) == (child.attempt, child.digest)
                promoting = replace(host, promoted=host.promoted or right)
                yield from self._told(f"promote {attempt} {slot.name}", promoting, Promote(attempt, slot.digest))
        for attempt, slot in self.bounds.arms:
            arm = Arm(attempt, slot, Authority.SERVER, SOAK, LEASE, "")
            yield from self._told(f"arm {attempt} {slot.name}", host, arm)
        if self.bounds.extras:
            yield from self._told("goodbye", host, Goodbye())
            yield from self._told("extend", host, Extend(EXTENSION))
            yield from self._told("recall", host, Recall(child.attempt or FIRST_ATTEMPT))

    def _told(self, name: str, host: Host, event: Event) -> Iterator[tuple[str, Host | Broken]]:
        """Tell the core of an event and do what it wants."""
        if host.state is not None:
            state, actions = core.step(host.state, event, NOW)
            yield from self._done(name, host, state, actions)

    def _done(self, name: str, host: Host, state: State, actions: Actions) -> Iterator[tuple[str, Host | Broken]]:
        """Do ``actions`` in their order; the launcher may be killed after each, a write or a spawn may fail."""
        world = replace(host, state=state)
        may_fail = host.failures < self.bounds.failures
        for number, action in enumerate(actions):
            if isinstance(action, (Persist, Spawn)) and may_fail:
                yield from _fails(name, replace(world, failures=host.failures + 1), action)
            after = _action(world, action)
            if isinstance(after, Broken):
                yield name, after
                return
            world = after
            if isinstance(action, (Persist, Spawn)) and number + 1 < len(actions):
                yield f"{name}, killed after the {type(action).__name__.lower()}", _stopped(world)
        yield name, world


def _fails(name: str, host: Host, action: Persist | Spawn) -> Iterator[tuple[str, Host | Broken]]:
    """Let a write fail, with the old or already the new record on the disk, or a spawn."""
    if host.state is None:
        return
    if isinstance(action, Spawn):
        event: Event = SpawnFailed("START_FAILED", "no process")
        outcomes = [("spawn fails", host)]
    else:
        event = PersistFailed(action.purpose, "disk")
        outcomes = [("write fails, old record", host), ("write fails, new record", _on_disk(host, action))]
    state, actions = core.step(host.state, event, NOW)
    for how, written in outcomes:
        world: Host | Broken = replace(written, state=state)
        for after in actions:
            if not isinstance(world, Broken):
                world = _action(world, after)
        yield f"{name}, {how}", world


def _action(host: Host, action: Action) -> Host | Broken:
    """Do one action."""
    if isinstance(action, Persist):
        return _kept_rightly(host, action) or _written(host, action)
    if isinstance(action, Spawn):
        return _spawned(host, action)
    if isinstance(action, Kill):
        return replace(host, child=host.child and host.child._replace(killed=True))
    if isinstance(action, Exit):
        return _stopped(host)
    return host


def _stopped(host: Host) -> Host:
    """Take the launcher away; its child dies with it."""
    return replace(host, state=None, child=None, hello_seen=False)


def _kept_rightly(host: Host, action: Persist) -> Broken | None:
    """Compare a write that keeps a version with what really happened."""
    child = host.child
    before, after = host.disk, action.record
    if after.current != before.current and action.purpose is not Purpose.COMMIT and after.current != before.previous:
        return Broken(Rule.LOST)
    if action.purpose is not Purpose.COMMIT:
        return None
    kept = after.last and after.last.attempt, after.current.digest
    if child is None or kept != (child.attempt, child.digest) or not host.promoted or not child.hello:
        return Broken(Rule.PROMOTE)
    if child.healthy is not None and child.healthy < 0:
        return Broken(Rule.HEALTH)
    return None if child.healthy is not None and child.healthy >= SOAK else Broken(Rule.SOAK)


def _on_disk(host: Host, action: Persist) -> Host:
    """Make the record durable; from the arming on, the model counts anew."""
    if action.purpose is Purpose.ARM:
        host = replace(host, promoted=False, starts=0, hello_seen=False, age=0.0, rebooted=False)
    return replace(host, disk=action.record)


def _written(host: Host, action: Persist) -> Host:
    """Make the record durable and the launcher know it: what is kept is on trial no more."""
    if action.purpose is Purpose.COMMIT and host.child is not None:
        host = replace(host, child=Child(host.child.digest))
    return _with_ended(_on_disk(host, action))


def _with_ended(host: Host) -> Host:
    """Remember what the disk says has ended: the write was answered, or a launcher begins with it."""
    last = host.disk.last
    return host if last is None or last.attempt is None else replace(host, ended=host.ended | {last.attempt})


def _spawned(host: Host, action: Spawn) -> Host | Broken:
    """Start a process; whether it is a trial is what the core says, what it is tried for is what the disk says."""
    if host.child is not None:
        return Broken(Rule.ONE_CHILD)
    if host.state is None or not host.state.on_trial:
        return replace(host, child=Child(action.slot.digest))
    attempt = host.state.record.trial.attempt if host.state.record.trial is not None else None
    if attempt in host.ended:
        return Broken(Rule.AGAIN)
    if action.slot.digest in host.disk.bad:
        return Broken(Rule.BAD)
    if host.rebooted:
        return Broken(Rule.BOOT)
    if host.hello_seen:
        return Broken(Rule.AFTER_HELLO)
    return replace(host, child=Child(action.slot.digest, attempt), starts=host.starts + 1)


def _later(host: Host) -> Host:
    """Let a second pass: every instant is one second further back."""
    child = host.child
    if child is not None and child.healthy is not None and child.healthy >= 0:
        child = child._replace(healthy=min(SOAK, child.healthy + 1))
    age = host.age + 1
    state = host.state and _state_later(host.state)
    return replace(host, disk=_record_later(host.disk, 1.0), state=state, child=child, age=age)


def _state_later(state: State) -> State:
    instants = (
        "first_beat_at",
        "healthy_at",
        "armed_at",
        "rewrite_at",
        "spawned_at",
        "beat_at",
        "kill_at",
        "restart_at",
    )
    moved: dict[str, Any] = {name: _earlier(getattr(state, name), 1.0) for name in instants}
    return state._replace(record=_record_later(state.record, 1.0), fallback=_record_later(state.fallback, 1.0), **moved)


def _record_later(record: Record, seconds: float) -> Record:
    trial = record.trial
    if trial is None:
        return record
    armed_at, trial_end = max(OLDEST, trial.armed_at - seconds), max(OLDEST, trial.trial_end - seconds)
    return record._replace(trial=trial._replace(armed_at=armed_at, trial_end=trial_end))


def _earlier(instant: float | None, seconds: float) -> float | None:
    return None if instant is None else max(OLDEST, instant - seconds)
