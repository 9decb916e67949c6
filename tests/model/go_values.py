"""The values of the Go model: a state of the world, what may happen, which clause is removed, what may not be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from fleetroll_agent.jobs.values import Stage
from fleetroll_server.domain.states import FINAL, AttemptState
from tests.model.go_server import Answer, Ask, Row

if TYPE_CHECKING:
    from fleetroll_agent.jobs.state import State
    from fleetroll_agent.jobs.summary import AttemptFact
    from tests.model.go_agent import Host

ON_THE_WAY = 3
NEWEST, OLDER = 9, 8
"""Session numbers: the row's newest, and every older one."""

UNCHARGED = "a host is past Go and nothing is charged for it"
TWICE = "a generation is applied twice"
STOPPED = "a Go is granted although everything is stopped"
LATE = "a Go is used more than 60 s after everything was stopped"


class Hello(NamedTuple):
    """A hello on its way. ``fresh``: no other was accepted since; ``live``: the agent still waits for its Welcome."""

    facts: tuple[AttemptFact, ...]
    highest: int
    on_trial: bool
    fresh: bool = True
    live: bool = True


class Welcome(NamedTuple):
    """The session is open; the pressed switch is said in it."""

    killed: bool


class Frame(NamedTuple):
    """The kill switch on an open stream."""

    active: bool


class Again(NamedTuple):
    """AskAgain."""

    generation: int


@dataclass(frozen=True)
class World:
    """One state.

    ``stopped``: units since nobody may pass Go any more, as far as it matters. ``people``: decisions so far.
    """

    row: Row
    host: Host
    up: tuple[Ask, ...] = ()
    down: tuple[NamedTuple, ...] = ()
    hellos: tuple[Hello, ...] = ()
    stopped: int = 0
    people: int = 0


@dataclass(frozen=True)
class Bounds:
    """What may happen, beside hellos, lost and dropped streams, asks, Go, time, the end of a session being seen.

    Attributes:
        crashes: of the agent.
        people: how many decisions there are at most: pause, resume, press, lift, cancel; the time to start passes.
        which: the ones among them that are made at all.
        after_go: the host goes on after its Go: self-test, trial, way back.
        full: budgets may have no room.
        deadlines: of states other than GRANTED.
        repeats: assignments are sent again at any time.
        reports: at most so many in the journal.
        hellos: at most so many on their way.
        on_the_way: messages each way.
    """

    crashes: bool = False
    people: int = 0
    which: frozenset[str] = frozenset({"pause", "kill", "cancel", "end"})
    after_go: bool = False
    full: bool = False
    deadlines: bool = False
    repeats: bool = False
    reports: int = 0
    hellos: int = 1
    on_the_way: int = 2


@dataclass(frozen=True)
class Clauses:
    """What a test removes from the model's own half, one at a time.

    Attributes:
        hello_drops_stream: the older stream is dropped when a hello's payload is built.
        cancel_waits: a cancel ends nothing that was granted.
        asks_of_session: asks of an older session are not heard.
        none_with_end: every end that the server decides sets ``none``.
        one_write: the highest generation and what became of the attempt are one write. Without it the host may crash
            between the two, shown where it takes a ``none``: after an offer the server would offer once more.
    """

    hello_drops_stream: bool = True
    cancel_waits: bool = True
    asks_of_session: bool = True
    none_with_end: bool = True
    one_write: bool = True


def canonical(world: World) -> World:
    """Reduce sessions and asks to their order; leave out what no decision reads."""
    row, state = world.row, world.host.state
    newest = row.epoch

    def session(number: int) -> int:
        return 0 if number == 0 else NEWEST if number == newest else OLDER

    numbers = {
        0,
        state.asks,
        *(ask.number for ask in world.up),
        *(a.number for a in world.down if isinstance(a, Answer)),
    }
    numbers |= {state.ask.number} if state.ask else set()
    numbers |= {row.last_ask} if row.session == newest else set()
    rank = {number: place for place, number in enumerate(sorted(numbers))}
    host = replace(world.host, state=_plain(state, session(state.session), rank), sent=())
    known = row.session == newest and row.state not in FINAL
    row = replace(
        row,
        epoch=session(row.epoch),
        session=session(row.session) if known else 0,
        last_ask=rank[row.last_ask] if known else 0,
        offline=row.offline if row.state is AttemptState.GRANTED else 0,
    )
    up = tuple(Ask(session(ask.session), ask.generation, rank[ask.number]) for ask in world.up)
    down = tuple(
        item._replace(session=session(item.session), number=rank[item.number]) if isinstance(item, Answer) else item
        for item in world.down
    )
    hellos = tuple(sorted(world.hellos, key=repr)) if len(world.hellos) > 1 else world.hellos
    return replace(
        world,
        row=row,
        host=host,
        up=up,
        down=down,
        hellos=hellos,
        stopped=world.stopped if row.stopped and state.ask is not None else 0,
    )


def _plain(state: State, session: int, rank: dict[int, int]) -> State:
    record = state.record
    outcomes = tuple(
        replace(known, number=0, message="", ended_at=0.0, running_version="") for known in record.outcomes[-2:]
    )
    record = replace(record, reports=0, outcomes=outcomes, settled=record.settled[-2:])
    # Only what a host starts by itself goes by it, which no host does here.
    record = replace(record, attempt=record.attempt and replace(record.attempt, refused=None))
    ask = state.ask and replace(state.ask, number=rank[state.ask.number])
    job = None if state.job is None else 1
    attempt = record.attempt
    if attempt is None or attempt.stage is not Stage.STAGED:
        state = replace(state, ask_at=None)
    return replace(state, record=record, session=session, asks=rank[state.asks], ask=ask, jobs=job or 0, job=job)
