"""The state of a running launcher, and the few changes that every rule is made of."""

from enum import Enum
from typing import NamedTuple, Optional, Tuple

from fleetroll_agent.launcher.events import Action, Actions, Moment, Persist, Purpose, Send, Spawn, Terminate
from fleetroll_agent.launcher.limits import Limits
from fleetroll_agent.launcher.record import record_to_json
from fleetroll_agent.launcher.values import Record, SlotRef


class Phase(str, Enum):
    """Where the one child is in its life."""

    WAITING = "waiting"
    """No child; ``restart_at`` says when the next one starts."""
    STARTING = "starting"
    """Started, no beat yet."""
    RUNNING = "running"
    """Beats come."""
    ENDING = "ending"
    """Asked to end, or killed; ``after`` says what follows."""
    DONE = "done"
    """The launcher ends."""


class After(str, Enum):
    """What follows when the child that was ended is gone."""

    LAUNCH = "launch"
    """Start what the record says."""
    CRASH = "crash"
    """Count a crash of the committed version, then start again after a wait."""
    EXIT = "exit"
    """End the launcher."""


class State(NamedTuple):
    """Everything the core knows. Instants are monotonic seconds; None = has not happened.

    Attributes:
        limits: waiting times.
        record: what should be durable.
        fallback: ``record`` before the latest write, for when that fails.
        phase: of the child.
        on_trial: the child runs the trial's slot.
        spawned_at: start of this child.
        first_beat_at: its first beat.
        beat_at: its latest beat.
        healthy_at: its first healthy beat: soak and lease are counted from here.
        soak_held: a healthy beat came at or after the end of the soak, and none before it was unhealthy.
        hello: it said hello.
        heard: it said that it heard its server after that.
        goodbye: it said goodbye.
        armed_at: the child was told ``armed`` and should end.
        after: what follows its end.
        detail: why it was ended, for people.
        ending_at: the child was asked to end.
        kill_at: SIGKILL is due.
        restart_at: the next start is due (phase WAITING).
        rewrite_at: the record is not durable; the next attempt to write it.
        back_pending: a way back was decided that is not known to be durable.
        to_spawn: the slot whose Spawn was the latest thing asked for; None once anything else happened.
        trouble: code of what keeps the agent from running; empty = nothing.
    """

    limits: Limits
    record: Record
    fallback: Record
    phase: Phase = Phase.WAITING
    on_trial: bool = False
    spawned_at: float = 0.0
    first_beat_at: Optional[float] = None
    beat_at: float = 0.0
    healthy_at: Optional[float] = None
    soak_held: bool = False
    hello: bool = False
    heard: bool = False
    goodbye: bool = False
    armed_at: Optional[float] = None
    after: After = After.LAUNCH
    detail: str = ""
    ending_at: float = 0.0
    kill_at: float = 0.0
    restart_at: float = 0.0
    rewrite_at: Optional[float] = None
    back_pending: bool = False
    to_spawn: Optional[SlotRef] = None
    trouble: str = ""

    @property
    def alive(self) -> bool:
        """Return whether there is a child that listens."""
        return self.phase in (Phase.STARTING, Phase.RUNNING)


Step = Tuple[State, Actions]


def persist(state: State, record: Record, purpose: Purpose) -> Tuple[State, Persist]:
    """Return the state with ``record`` as the wanted one, and its write. At most one write per step."""
    record = record._replace(seq=state.record.seq + 1)
    pending = state.back_pending and state.rewrite_at is not None
    state = state._replace(record=record, fallback=state.record, rewrite_at=None, back_pending=pending)
    return state, Persist(record, purpose)


def tell_record(state: State) -> Actions:
    """Return the message that shows the record to the child; none while that would promise what may be lost.

    What a child may build on, trials and ways back, it hears when it is durable. Without them the record says nothing
    that a power failure could make untrue for it, and a child that hears no record ends: a full disk must not stop it.
    """
    if state.rewrite_at is not None and (state.back_pending or state.record.trial is not None):
        return ()
    return (Send({"type": "record", "record": record_to_json(state.record)}),)


def spawn(state: State, slot: SlotRef, moment: Moment, *, on_trial: bool) -> Step:
    """Start ``slot``; there MUST be no child."""
    state = state._replace(
        phase=Phase.STARTING,
        on_trial=on_trial,
        spawned_at=moment.at,
        first_beat_at=None,
        beat_at=moment.at,
        healthy_at=None,
        soak_held=False,
        hello=False,
        heard=False,
        goodbye=False,
        armed_at=None,
        detail="",
        to_spawn=slot,
        trouble="",
    )
    return state, (Spawn(slot), *tell_record(state))


def end_child(state: State, moment: Moment, after: After, detail: str) -> Step:
    """Ask the child to end and say what follows; SIGKILL comes after the grace."""
    state = state._replace(
        phase=Phase.ENDING,
        after=after,
        detail=detail,
        ending_at=moment.at,
        kill_at=moment.at + state.limits.grace,
    )
    return state, (Send({"type": "stop"}), Terminate())


def wait(state: State, moment: Moment, seconds: float) -> State:
    """Return the state without a child, the next start due in ``seconds``."""
    return state._replace(phase=Phase.WAITING, on_trial=False, restart_at=moment.at + seconds)


def join(first: Tuple[Action, ...], step: Step) -> Step:
    """Return ``step`` with ``first`` done before its actions."""
    return step[0], first + step[1]
