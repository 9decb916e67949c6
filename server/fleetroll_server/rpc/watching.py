"""One watch: from a cursor to messages, for as long as the client stays.

1. Who has no cursor, or one that leads nowhere, is sent what stands. Nothing is queued meanwhile.
2. From there, or from its cursor, it catches up by reading the log, the next part when its line has taken the last.
3. When little is left it follows: batches are queued for it, and what the last read shows of them is not sent again.
4. Who can't catch up, or lets its queue run over, starts at 1 again, and is told so.
"""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fleetroll.v1 import events_pb2 as pb
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.access import apitokens
from fleetroll_server.access.authorise import check_standing
from fleetroll_server.access.fleets import visible_fleets
from fleetroll_server.events import log, standing
from fleetroll_server.events.inbox import ClosedError, TooSlowError
from fleetroll_server.events.touched import print_of
from fleetroll_server.rpc import requests
from fleetroll_server.rpc.convert_events import changes_to_wire, snapshot_to_wire
from fleetroll_server.rpc.tokens_convert import own_token_to_wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.access.caller import Caller
    from fleetroll_server.events.held import Held
    from fleetroll_server.events.hub import Hub
    from fleetroll_server.events.inbox import Inbox
    from fleetroll_server.events.watched import Watched
    from fleetroll_server.services import Services

ALIVE_SECONDS = 1.0
"""Between two messages at most, while the log is read; the contract promises two."""
MAX_BEHIND = 20_000
"""Events; who is further behind is better served by a snapshot."""
ANOTHER = "the cursor is of another database"
OTHER_FLEETS = "the fleets that the watcher sees are others now"
TOO_SLOW = "the watcher was too slow: what waited for it was dropped"
_KIND = "events"
_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Place:
    """Where a watcher is: in which database, watching what, having seen events up to which one."""

    incarnation: str
    watched: str
    sequence: int

    def to_bytes(self) -> bytes:
        """Return the cursor."""
        return requests.make_cursor(_KIND, (self.incarnation, self.watched, str(self.sequence)))

    @classmethod
    def from_bytes(cls, cursor: bytes) -> Place:
        """Read a cursor.

        Raises:
            RequestError: INVALID_ARGUMENT: it was never given out by this call (caller's fault).
        """
        found: object = None
        if len(cursor) <= requests.MAX_CURSOR_BYTES:
            with contextlib.suppress(ValueError, RecursionError):
                found = json.loads(cursor)
        match found:
            case [kind, str(incarnation), str(watched), str(sequence)] if (
                kind == _KIND and sequence.isascii() and sequence.isdigit() and len(sequence) <= _DIGITS
            ):
                return cls(incarnation, watched, int(sequence))
            case _:
                raise requests.invalid("cursor", "it was not given out by this call")


class _StartOverError(Exception):
    """The watcher can't go on from where it is."""

    def __init__(self, resync: pb.Resync) -> None:
        """Carry what it is told."""
        super().__init__(resync.reason)
        self.resync = resync


class Watch:
    """One watcher's stream."""

    def __init__(
        self, services: Services, hub: Hub, caller: Caller, watched: Watched, *, every_fleet: bool = False
    ) -> None:
        """Watch for ``caller``; with ``every_fleet`` also what he sees later."""
        self._services = services
        self._hub = hub
        self._caller = caller
        self._watched = watched
        self._every_fleet = every_fleet
        self._checked_at = self._spoke_at = time.monotonic()
        self._incarnation = services.incarnation
        self._sequence = 0
        self._held: Held | None = None
        self._known: dict[str, str] | None = None

    async def run(self, cursor: bytes) -> AsyncIterator[pb.WatchEventsResponse]:
        """Yield messages until the client leaves.

        Raises:
            RequestError: UNAVAILABLE: the server goes down, too many watch or are sent what stands, or this one took
                too long for that; UNAUTHENTICATED: the token has ended; INVALID_ARGUMENT: the cursor is none.
            StoreError: the database can't be read now.
        """
        place = Place.from_bytes(cursor) if cursor else None
        inbox = self._hub.join(self._watched)
        try:
            resync = None if place is None else self._of_another(place)
            goes_on = place is not None and resync is None
            self._sequence = place.sequence if place is not None else 0
            while True:
                try:
                    async for message in self._stream(inbox, resync, goes_on=goes_on):
                        yield message
                except _StartOverError as error:
                    resync, goes_on = error.resync, False
                except TooSlowError:
                    resync, goes_on = pb.Resync(reason=TOO_SLOW), False
        except ClosedError:
            text = "the server goes down"
            raise RequestError(text, code=Code.UNAVAILABLE, remedy="connect again") from None
        finally:
            self._hub.leave(inbox)
            if self._held is not None:
                self._held.drop()

    async def _stream(
        self, inbox: Inbox, resync: pb.Resync | None, *, goes_on: bool
    ) -> AsyncIterator[pb.WatchEventsResponse]:
        """Yield messages until the watcher has to start over."""
        if not goes_on:
            async for message in self._start_over(inbox, resync):
                yield message
        async for message in self._catch_up(inbox, goes_on=goes_on):
            yield message
        async for message in self._live(inbox):
            yield message

    def _of_another(self, place: Place) -> pb.Resync | None:
        """Return why a place is none of this watcher's; None where it is."""
        if place.incarnation != self._services.incarnation:
            return pb.Resync(reason=ANOTHER, log_replaced=True)
        if place.watched != self._watched.name:
            return pb.Resync(reason="the cursor is of a watcher of something else")
        return None

    async def _check_reach(self, connection: AsyncConnection) -> None:
        """Return when the log goes on from where the watcher is.

        Raises:
            _StartOverError: it does not, or there is too much of it.
        """
        newest = await log.position(connection)
        if self._sequence > newest:
            raise _StartOverError(pb.Resync(reason="the cursor is ahead of the database", log_replaced=True))
        if newest - self._sequence > MAX_BEHIND:
            raise _StartOverError(pb.Resync(reason=f"the cursor is more than {MAX_BEHIND} events behind"))
        if not await log.reaches_back_to(connection, self._sequence):
            raise _StartOverError(pb.Resync(reason="events after the cursor are kept no longer"))

    async def _start_over(self, inbox: Inbox, resync: pb.Resync | None) -> AsyncIterator[pb.WatchEventsResponse]:
        """Yield why, if the watcher had something before, and what stands."""
        self._hub.rest(inbox)
        if self._held is not None:
            self._held.drop()
        if resync is not None:
            yield self._message(resync=resync)
        self._held = await self._read_standing()
        while (page := self._held.next()) is not None:
            await self._check_caller(inbox)
            snapshot = pb.Snapshot.FromString(page)
            yield self._message(self._sequence if snapshot.last else None, snapshot=snapshot)

    async def _read_standing(self) -> Held:
        """Read what stands and where the log is, in one snapshot of the database."""
        known: dict[str, str] = {}
        async with self._hub.snapshots.room() as held, self._services.store.read() as connection:
            self._sequence = await log.position(connection)
            now = self._services.clock.now()
            own = await apitokens.own_api_token(connection, self._caller)
            page, is_empty = pb.Snapshot(token=None if own is None else own_token_to_wire(own)), True
            async for state in standing.pages(connection, self._watched, now):
                known |= {shown.row["id"]: print_of(shown) for shown in state.rollouts}
                for following in snapshot_to_wire(state):
                    if is_empty:
                        page.MergeFrom(following)
                        is_empty = False
                    else:
                        held.add(page.SerializeToString())
                        page = following
            page.last = True
            held.add(page.SerializeToString())
        self._known = known
        return held

    async def _catch_up(self, inbox: Inbox, *, goes_on: bool) -> AsyncIterator[pb.WatchEventsResponse]:
        """Yield what was committed since, up to when the watcher began to follow.

        Raises:
            _StartOverError: the log does not go on from where the watcher is.
        """
        known = None if goes_on else self._known
        silent = goes_on
        while True:
            await self._check_caller(inbox)
            await self._follow_when_near(inbox)
            async with self._services.store.read() as connection:
                await self._check_reach(connection)
                now = self._services.clock.now()
                batch = await standing.since(connection, self._watched, self._sequence, now, known)
            for place, changes in changes_to_wire(batch, self._watched, self._sequence):
                yield self._message(place, changes=changes)
                silent = False
            self._sequence = batch.through
            if inbox.is_open and len(batch.events) < standing.CATCH_UP_EVENTS:
                break
        if silent:
            yield self._message(self._sequence, changes=pb.Changes())

    async def _follow_when_near(self, inbox: Inbox) -> None:
        """Let batches be queued when no more is left to read than is sent at once: a queue is not for a long time."""
        if inbox.is_open:
            return
        async with self._services.store.read() as connection:
            newest = await log.position(connection)
        if newest - self._sequence < standing.CATCH_UP_EVENTS:
            await self._hub.follow(inbox)

    async def _live(self, inbox: Inbox) -> AsyncIterator[pb.WatchEventsResponse]:
        """Yield changes as they come, and from time to time that there are none, as long as the log is read.

        What comes may be nothing to this watcher: that is silence to it, and it is told so all the same.
        """
        while True:
            batch = await inbox.next(ALIVE_SECONDS)
            await self._check_caller(inbox)
            if batch is not None and batch.through >= self._sequence:
                for place, changes in changes_to_wire(batch, self._watched, self._sequence):
                    yield self._message(place, changes=changes)
                self._sequence = batch.through
            if time.monotonic() - self._spoke_at >= ALIVE_SECONDS and self._hub.is_looking:
                yield self._message(self._sequence, alive=pb.Alive())

    async def _check_caller(self, inbox: Inbox) -> None:
        """End the stream of a token that was revoked or has run out, within a second or two.

        Raises:
            RequestError: UNAUTHENTICATED (an admin's decision, or its time).
            _StartOverError: all fleets of the caller are watched, and now these are others; or the database turned out
                to have gone back: what the watcher has seen may never have been.
        """
        if self._incarnation != self._services.incarnation:
            self._incarnation = self._services.incarnation
            raise _StartOverError(pb.Resync(reason=ANOTHER, log_replaced=True))
        if time.monotonic() - self._checked_at < ALIVE_SECONDS:
            return
        self._checked_at = time.monotonic()
        async with self._services.store.read() as connection:
            await check_standing(connection, self._caller, self._services.clock.now())
            fleets = frozenset(await visible_fleets(connection, self._caller) if self._every_fleet else ())
        if self._every_fleet and fleets != self._watched.fleets:
            self._watched = inbox.watched = replace(self._watched, fleets=fleets)
            raise _StartOverError(pb.Resync(reason=OTHER_FLEETS))

    def _message(self, sequence: int | None = None, **said: object) -> pb.WatchEventsResponse:
        """Return a message that is sent now."""
        self._spoke_at = time.monotonic()
        message = pb.WatchEventsResponse(**said)  # type: ignore[arg-type]  # one of the cases
        message.sent_at.FromDatetime(self._services.clock.now())
        if sequence is not None:
            message.cursor = Place(self._services.incarnation, self._watched.name, sequence).to_bytes()
        return message
