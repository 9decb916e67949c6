"""The world of Assignments and Go: one host, the server's row for it, and the streams between them.

Bounds:

- time in units of half a minute: a Go lives for two after its ask, a granted host without session is lost after three;
- at most ``MAX_GENERATION`` generations, ``ON_THE_WAY`` messages each way (a slower reader is closed), two reports in
  the journal, two hellos on their way;
- so many decisions of people as :class:`Bounds` says, in any order and at any time.

A hello's freshness is the ratchet's business and explored there; here it is "no other one was accepted since its
challenge". Session numbers are reduced to the newest and older ones, asks to their order.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from fleetroll_agent.jobs import events
from fleetroll_agent.jobs.summary import attempt_facts
from fleetroll_agent.jobs.values import Stage
from fleetroll_server.domain.charges import Holding
from fleetroll_server.domain.states import BEFORE_GO, FINAL, AttemptState, RolloutState
from tests.model import go_agent, go_server
from tests.model.explorer import Broken
from tests.model.go_agent import NOW, RULES, Host
from tests.model.go_server import LOST_UNITS, MAX_GENERATION, Answer, Ask, Desired, Promote, Row
from tests.model.go_values import (
    LATE,
    ON_THE_WAY,
    STOPPED,
    TWICE,
    UNCHARGED,
    Again,
    Bounds,
    Clauses,
    Frame,
    Hello,
    Welcome,
    World,
    canonical,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def first() -> World:
    """Return a host that was never offered anything."""
    return World(Row(), go_agent.first())


def wrong(world: World) -> str | None:
    """Return the rule that is broken."""
    attempt, row = world.host.state.record.attempt, world.row
    if len(set(world.host.applied)) < len(world.host.applied):
        return TWICE
    if attempt is not None and attempt.past_go and row.held not in {Holding.IN_USE, Holding.BROKEN}:
        return UNCHARGED
    return None


def finished(world: World) -> bool:
    """Tell whether both sides are done with it."""
    record = world.host.state.record
    return world.row.state in FINAL and record.attempt is None and record.waiting is None


class Model:
    """The steps under a set of clauses."""

    def __init__(self, bounds: Bounds, clauses: Clauses) -> None:
        self.bounds = bounds
        self.clauses = clauses

    def steps(self, world: World) -> Iterator[tuple[str, World | Broken]]:
        """Yield every step out of ``world``; where both sides are done, only what is sent again could do anything."""
        if finished(world) and not self.bounds.repeats:
            return
        for name, after in self._steps(world):
            granted = any(isinstance(item, Answer) and item.granted for item in after.down if item not in world.down)
            if world.row.stopped and granted:
                yield name, Broken(STOPPED)
            elif world.stopped > RULES.go and len(after.host.applied) > len(world.host.applied):
                yield name, Broken(LATE)
            else:
                journal = after.host.journal[len(after.host.journal) - self.bounds.reports :]
                yield name, canonical(replace(after, host=replace(after.host, journal=journal)))

    def _steps(self, world: World) -> Iterator[tuple[str, World]]:
        yield "half a minute passes", _later(world)
        for name, host in go_agent.choices(world.host):
            if not (self.bounds.crashes if name == "agent crashes" else self.bounds.after_go):
                continue
            if host.state.session:
                yield name, _sent(world, host)
            else:
                yield name, _dropped(replace(world, host=host))
        yield from self._streams(world)
        yield from self._server(world)

    def _streams(self, world: World) -> Iterator[tuple[str, World]]:
        session = world.host.state.session
        yield "stream dropped", _dropped(world)
        if not any(hello.live for hello in world.hellos) and len(world.hellos) < self.bounds.hellos:
            yield "hello built", self._hello(world)
        for number, hello in enumerate(world.hellos):
            yield "hello arrives", self._greeted(world, number, hello)
        if world.up:
            for room in (True, False) if self.bounds.full else (True,):
                row, sent = self._asked(world, world.up[0], room=room)
                yield (
                    "ask heard" if room else "ask heard, no room",
                    _push(replace(world, row=row, up=world.up[1:]), sent),
                )
        if world.host.journal and session == world.row.epoch and world.row.live:
            said = world.host.journal[0]
            row = go_server.report(world.row, *said)
            row, sent = go_server.promotion(row, on_trial=_on_trial(world.host))
            host = replace(world.host, journal=world.host.journal[1:])
            yield f"report {said.said} heard", _push(replace(world, row=row, host=host), sent)
        if world.down:
            yield f"{type(world.down[0]).__name__} read", _read(world)
            if isinstance(world.down[0], Desired) and not world.down[0].version and not self.clauses.one_write:
                yield "crash between the two writes of a none", _torn(world, world.down[0].generation)

    def _hello(self, world: World) -> World:
        """Build the payload: the older session and every Go of it are dead from here on."""
        after = _dropped(world) if self.clauses.hello_drops_stream else world
        host = go_agent.told(after.host, events.HelloBuilt())
        facts = attempt_facts(host.state, NOW)
        hello = Hello(facts, host.state.record.highest, _on_trial(host))
        return replace(after, host=host, hellos=(*after.hellos, hello))

    def _greeted(self, world: World, number: int, hello: Hello) -> World:
        """Let the server judge a hello; another accepted one has made every older one stale."""
        rest = world.hellos[:number] + world.hellos[number + 1 :]
        world = replace(world, hellos=rest)
        if not hello.fresh:
            return world
        row, sent = go_server.hello(world.row, hello.facts, hello.highest, on_trial=hello.on_trial)
        stale = tuple(other._replace(fresh=False) for other in rest)
        world = replace(world, row=row, hellos=stale, up=() if self.clauses.asks_of_session else world.up)
        if not hello.live:
            return world
        kept = () if self.clauses.hello_drops_stream else world.down[-1:]
        return _push(replace(world, down=kept), (Welcome(row.killed), *sent))

    def _asked(self, world: World, ask: Ask, *, room: bool) -> go_server.Sent:
        if not self.clauses.asks_of_session:
            ask = ask._replace(session=world.row.epoch, number=world.row.last_ask + 1)
        return go_server.ask(world.row, ask, room=room)

    def _server(self, world: World) -> Iterator[tuple[str, World]]:
        row = world.row
        more = row.desired.generation < MAX_GENERATION
        if row.live:
            yield "server sees the end of the session", replace(world, row=go_server.left(row), up=())
            if row.desired.generation and self.bounds.repeats:
                yield "assignment sent again", _push(world, (row.desired,))
        if (
            row.state is AttemptState.PENDING
            and row.live
            and not row.stopped
            and row.desired.generation < MAX_GENERATION - 1
        ):
            yield "offer", _push(replace(world, row=go_server.offer(row)[0]), go_server.offer(row)[1])
        if world.people < self.bounds.people:
            for kind, name, after in self._people(replace(world, people=world.people + 1)):
                if kind in self.bounds.which:
                    yield name, after
        if row.over and row.state in BEFORE_GO and more:
            yield "expire", self._ended(world, go_server.expire(row))
        due = row.state is AttemptState.GRANTED or (self.bounds.deadlines and (more or row.state not in BEFORE_GO))
        overdue = go_server.overdue(row) if due else None
        if overdue is not None:
            yield "deadline", self._ended(world, overdue)

    def _people(self, world: World) -> Iterator[tuple[str, str, World]]:
        """Yield what people decide, and what a date does: kind, name, what follows."""
        row = world.row
        if row.rollout is RolloutState.RUNNING:
            yield "pause", "pause", replace(world, row=replace(row, rollout=RolloutState.PAUSED))
        elif row.rollout is RolloutState.PAUSED and not row.killed:
            running = replace(row, rollout=RolloutState.RUNNING)
            yield "pause", "resume", _push(replace(world, row=running), (Again(row.generation),))
        if row.rollout is not RolloutState.CANCELLED and row.desired.generation < MAX_GENERATION:
            yield "cancel", "cancel", self._ended(world, self._cancelled(row))
        paused = RolloutState.PAUSED if row.rollout is RolloutState.RUNNING else row.rollout
        pressed = replace(row, killed=not row.killed, rollout=row.rollout if row.killed else paused)
        yield "kill", "kill switch", _push(replace(world, row=pressed), (Frame(pressed.killed),))
        if not row.over:
            yield "end", "the time to start is over", replace(world, row=replace(row, over=True))

    def _cancelled(self, row: Row) -> go_server.Sent:
        if not self.clauses.cancel_waits and row.state is AttemptState.GRANTED:
            return go_server.desire(replace(row, state=AttemptState.CANCELLED, rollout=RolloutState.CANCELLED), "")
        return go_server.cancel(row)

    def _ended(self, world: World, result: go_server.Sent) -> World:
        row, sent = result
        if not self.clauses.none_with_end and row.state in FINAL:
            return replace(world, row=replace(row, desired=world.row.desired))
        return _push(replace(world, row=row), sent)


def _on_trial(host: Host) -> bool:
    attempt = host.state.record.attempt
    return attempt is not None and attempt.stage is Stage.TRIAL


def _push(world: World, messages: tuple[NamedTuple, ...]) -> World:
    """Send messages on the open stream; a reader that is too slow is closed."""
    listening = world.host.state.session == world.row.epoch or any(isinstance(item, Welcome) for item in messages)
    listening = listening or any(isinstance(item, Welcome) for item in world.down)
    if not messages or not world.row.live or not listening:
        return world
    down = (*world.down, *(item for item in messages if item not in world.down[-1:]))
    return replace(world, down=down) if len(down) <= ON_THE_WAY else _dropped(world)


def _read(world: World) -> World:
    """Let the agent read the first message."""
    message, world = world.down[0], replace(world, down=world.down[1:])
    session = world.host.state.session
    event: events.Event
    match message:
        case Welcome():
            scopes = frozenset(["global"] if message.killed else [])
            hellos = tuple(hello for hello in world.hellos if not hello.live)
            world = replace(world, hellos=hellos)
            event = events.SessionOpened(world.row.epoch, scopes)
        case Desired():
            event = events.Assigned(
                message.generation, message.version, 1.0, 2.0, message.recall, stop_before_switch=not message.version
            )
        case Answer(granted=True):
            event = events.GoGiven(message.session, message.generation, message.number)
        case Answer():
            event = events.GoRefused(message.session, message.generation, message.number)
        case Again():
            event = events.AskAgain(session, message.generation)
        case Frame():
            event = events.Suspended("global", message.active)
        case Promote():
            event = events.Promoted(message.generation, go_server.SHA)
        case _:
            raise AssertionError(message)
    return _sent(world, go_agent.told(world.host, event))


def _torn(world: World, generation: int) -> World:
    """Let the agent write the highest generation, and crash before it writes what became of the attempt."""
    record = world.host.state.record
    record = replace(record, highest=max(record.highest, generation))
    host = replace(world.host, state=replace(world.host.state, record=record))
    return _dropped(replace(world, host=go_agent.crashed(host), down=()))


def _sent(world: World, host: Host) -> World:
    """Put the asks that the host made on their way."""
    if not host.state.session:
        return _dropped(replace(world, host=host))
    return replace(world, host=replace(host, sent=()), up=(*world.up, *host.sent)[-ON_THE_WAY:])


def _dropped(world: World) -> World:
    """Drop the agent's stream: what was on its way down is lost; what was on its way up may still be heard."""
    host = world.host
    if host.state.session:
        host = go_agent.told(host, events.SessionClosed(host.state.session))
    late = tuple(hello._replace(live=False) for hello in world.hellos)
    return replace(world, host=replace(host, sent=()), down=(), hellos=late)


def _later(world: World) -> World:
    """Let half a minute pass, and what is due on the host happen."""
    state, row = world.host.state, world.row
    ask = state.ask and replace(state.ask, sent_at=max(-4.0, state.ask.sent_at - 1))
    instants: dict[str, Any] = {
        name: None if instant is None else max(-1.0, instant - 1)
        for name, instant in (("ask_at", state.ask_at), ("retry_at", state.retry_at), ("arm_until", state.arm_until))
    }
    host = go_agent.told(replace(world.host, state=replace(state, ask=ask, **instants)), events.Timer())
    waits = row.state is AttemptState.GRANTED and not row.live
    row = replace(row, offline=min(LOST_UNITS, row.offline + 1) if waits else 0)
    stopped = min(int(RULES.go) + 1, world.stopped + 1) if row.stopped else 0
    return _sent(replace(world, row=row, stopped=stopped), host)
