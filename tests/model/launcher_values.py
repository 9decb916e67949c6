"""The values of the launcher's model: a state of the host, what may happen, and the rules that must hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from fleetroll_agent.launcher.events import Moment
from fleetroll_agent.launcher.limits import TRIES, Limits
from fleetroll_agent.launcher.state import Phase, State
from fleetroll_agent.launcher.values import Attempt, Origin, Record, SlotRef

LIMITS = Limits(start=1, hang=1, grace=1, backoff_base=0, backoff_cap=0, rewrite=1)
SOAK, LEASE = 1.0, 2.0
TRIAL_SECONDS = TRIES * LIMITS.start + LEASE
EXTENSION = 1.0
OLDEST = -7.0
"""Instants further back than this are all alike: no limit is longer."""
NOW = Moment(0.0, 0.0)
BOOT, OTHER_BOOT = "boot", "other"

OLD = SlotRef("old", "1.0.0", "a" * 64, "python", "cp311")
NEW = SlotRef("new", "1.1.0", "b" * 64, "python", "cp311")
OTHER = SlotRef("other", "1.2.0", "c" * 64, "python", "cp311")
FIRST_ATTEMPT, SECOND_ATTEMPT = Attempt(Origin.SERVER, 1), Attempt(Origin.SERVER, 2)


class Child(NamedTuple):
    """The real process, and what the model knows of it beside the core.

    Attributes:
        digest: what runs.
        attempt: whose trial it is; None outside of one.
        hello: it had its Welcome.
        healthy: seconds since its first healthy beat, up to the soak; None before; -1 once it was unhealthy.
        killed: SIGKILL was sent.
    """

    digest: str
    attempt: Attempt | None = None
    hello: bool = False
    healthy: float | None = None
    killed: bool = False


@dataclass(frozen=True)
class Host:
    """One state.

    Attributes:
        disk: the durable record.
        state: of the launcher's core; None while no launcher runs.
        child: the agent's process.
        promoted: the server promoted the trial that is on disk.
        starts: of that trial, counted in reality.
        hello_seen: a child of that trial had said hello and was seen to end by the launcher that runs now. (One that is
            killed, or whose disk refuses, before that is written costs a try: nobody else saw it.)
        age: seconds since that trial was armed, in its boot.
        ended: attempts whose end was written, or found by a launcher that began.
        failures: of writes and spawns, so far.
        rebooted: since that trial was armed.
    """

    disk: Record
    state: State | None = None
    child: Child | None = None
    promoted: bool = False
    starts: int = 0
    hello_seen: bool = False
    age: float = 0.0
    ended: frozenset[Attempt] = frozenset()
    failures: int = 0
    rebooted: bool = False


@dataclass(frozen=True)
class Bounds:
    """What may happen, beside beats, hellos, exits, Promotes, time, and kill -9 of the launcher after any action.

    Attributes:
        arms: (attempt, slot) that may be asked for.
        failures: how many writes or spawns fail at most.
        stops: SIGTERM to the launcher.
        reboots: of the host.
        extras: recalls, extensions of the lease, goodbyes.
    """

    arms: tuple[tuple[Attempt, SlotRef], ...] = ((FIRST_ATTEMPT, NEW),)
    failures: int = 0
    stops: bool = True
    reboots: bool = True
    extras: bool = False


ENROLLED = Host(Record(seq=0, current=OLD, boot_id=BOOT))


class Rule:
    """The rules, in words."""

    ONE_CHILD = "a second child is started"
    TRIES = "a trial is started too often"
    AGAIN = "an ended attempt is tried again"
    BOOT = "a trial goes on in another boot"
    AFTER_HELLO = "a version that ended after its hello is started again"
    PROMOTE = "a version is kept without Promote for this attempt and digest"
    SOAK = "a version is kept before its soak is over"
    HEALTH = "a version that was unhealthy is kept"
    LONG = "a trial lasts longer than announced"
    BAD = "a bad digest is tried again"
    LOST = "what was committed is lost without a way back"


def canonical(host: Host) -> Host:
    """Leave out what no decision reads."""
    state = host.state
    if state is not None:
        state = _live_parts(state._replace(record=_plain(state.record)))
    child = host.child
    if child is not None and child.attempt is None:
        child = Child(child.digest, killed=child.killed)
    disk = _plain(host.disk)
    on_trial = disk.trial is not None or (state is not None and state.record.trial is not None)
    age = min(host.age, TRIAL_SECONDS + EXTENSION + 3) if on_trial else 0.0
    if not on_trial:
        host = replace(host, promoted=False, starts=0, hello_seen=False, rebooted=False)
    return replace(host, disk=disk, state=state, child=child, age=age)


def _live_parts(state: State) -> State:
    """Keep of each instant and flag only what the child's phase still reads."""
    plain = State(state.limits, state.record, state.record, phase=state.phase, rewrite_at=state.rewrite_at)
    if state.phase is Phase.WAITING:
        return plain._replace(restart_at=state.restart_at)
    if state.phase is Phase.ENDING:
        return plain._replace(after=state.after, kill_at=state.kill_at, on_trial=state.on_trial)
    if state.phase is Phase.STARTING:
        said: dict[str, Any] = {
            "hello": state.hello and state.on_trial,
            "goodbye": state.goodbye and not state.on_trial,
        }
        return plain._replace(spawned_at=state.spawned_at, on_trial=state.on_trial, **said)
    if not state.on_trial:
        return plain._replace(beat_at=state.beat_at, armed_at=state.armed_at, goodbye=state.goodbye, first_beat_at=0.0)
    return plain._replace(
        on_trial=True,
        first_beat_at=state.first_beat_at if state.healthy_at is None else 0.0,
        beat_at=state.beat_at,
        healthy_at=state.healthy_at,
        soak_held=state.soak_held,
        hello=state.hello,
    )


def _plain(record: Record) -> Record:
    last = record.last
    if last is not None:
        last = last._replace(code="", detail="", tail="", counted=False)
    crashes = tuple(0.0 for _ in record.crashes)
    return record._replace(seq=0, last=last, earlier=(), crashes=crashes, unproven=())
