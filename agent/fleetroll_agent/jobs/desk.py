"""One event at a time, whichever product it is about: the queue between the rules and everything that tells them.

Each product has its own record, its own rules and its own hands; they share the journal, the job lock and the session.
So an event of one is written down and done before the next of any is looked at.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fleetroll_agent.jobs import machine
from fleetroll_agent.jobs.events import Timer
from fleetroll_agent.waiting import within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fleetroll_agent.jobs.effects import Effects
    from fleetroll_agent.jobs.events import Event
    from fleetroll_agent.jobs.keeper import Keeper
    from fleetroll_agent.jobs.state import State
    from fleetroll_agent.launcher.values import Record
    from fleetroll_common.values.clock import Clock

    class Doer(Protocol):
        """Does effects."""

        def do(self, wanted: Effects) -> None:
            """Do what is wanted in its order; nothing here waits."""

        async def stop(self) -> None:
            """End every job and wait until the last one has let go."""


@dataclass(frozen=True)
class Seat:
    """One product at the desk: who keeps its state, and who does what its rules want."""

    keeper: Keeper
    hands: Doer


def _is_past_go(seat: Seat) -> bool:
    attempt = seat.keeper.state.record.attempt
    return attempt is not None and attempt.past_go


_Waiting = tuple["str | None", "Event", "asyncio.Future[None] | None"]


class Desk:
    """All products of the host."""

    def __init__(self, clock: Clock, happened: Callable[[], None]) -> None:
        """Call ``happened`` after every event: the journal may hold something new."""
        self._clock = clock
        self._happened = happened
        self._seats: dict[str, Seat] = {}
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._listening = True

    @property
    def products(self) -> tuple[str, ...]:
        """The products, the agent first."""
        return tuple(self._seats)

    @property
    def writable(self) -> bool:
        """Tell whether what happens can be written down."""
        return all(seat.keeper.writable for seat in self._seats.values())

    def seat(self, product: str, seat: Seat) -> None:
        """Take a product in, before :meth:`begin`."""
        self._seats[product] = seat

    def state(self, product: str) -> State:
        """Return the durable state of ``product``, which is at the desk and has begun."""
        return self._seats[product].keeper.state

    def states(self) -> Iterator[State]:
        """Yield the durable state of every product, the agent's first."""
        return (seat.keeper.state for seat in self._seats.values())

    async def begin(self, boot: Record) -> None:
        """Take up what an earlier process left of every product; who was past Go has the job lock first."""
        wanted = [(seat, await seat.keeper.begin(boot)) for seat in self._seats.values()]
        for seat, effects in sorted(wanted, key=lambda each: not _is_past_go(each[0])):
            seat.hands.do(effects)

    async def run(self) -> None:
        """Let one event after the other happen; never returns."""
        while True:
            product, event, happened = await self._next()
            for seat in self._seats.values() if product is None else [self._seats[product]]:
                seat.hands.do(await seat.keeper.step(event))
            self._happened()
            if happened is not None and not happened.done():
                happened.set_result(None)

    def post(self, product: str, event: Event) -> None:
        """Bring an event to the rules of ``product``, in order; returns at once."""
        self._queue.put_nowait((product, event, None))

    async def told(self, product: str | None, event: Event) -> None:
        """Bring an event to the rules of ``product`` (None: of every one) and wait until it has happened."""
        if not self._listening:
            return
        happened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((product, event, happened))
        await happened

    def close(self) -> None:
        """Let nobody wait for an event that will not happen any more."""
        self._listening = False
        while not self._queue.empty():
            _product, _event, happened = self._queue.get_nowait()
            if happened is not None and not happened.done():
                happened.set_result(None)

    async def stop(self) -> None:
        """End every job of every product."""
        await asyncio.gather(*(seat.hands.stop() for seat in self._seats.values()))

    async def _next(self) -> _Waiting:
        """Return the next event; a Timer for everybody when somebody's instant has come."""
        due = [instant for state in self.states() if (instant := machine.next_deadline(state)) is not None]
        patience = max(0.0, min(due) - self._clock.boottime()) if due else None
        try:
            return await within(patience, self._queue.get())
        except asyncio.TimeoutError:
            return None, Timer(), None
