"""One watch: from a cursor to messages, for as long as the client stays."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll.v1 import events_pb2 as pb
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.access import apitokens
from fleetroll_server.access.authorise import check_standing
from fleetroll_server.events import log, standing
from fleetroll_server.events.inbox import ClosedError, TooSlowError
from fleetroll_server.rpc import requests
from fleetroll_server.rpc.convert_events import changes_to_wire, snapshot_to_wire
from fleetroll_server.rpc.tokens_convert import own_token_to_wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fleetroll_server.access.caller import Caller
    from fleetroll_server.events.hub import Hub
    from fleetroll_server.events.inbox import Inbox
    from fleetroll_server.events.watched import Watched
    from fleetroll_server.services import Services

ALIVE_SECONDS = 1.0
"""Between two messages at most, while the log is read; the contract promises two."""
MAX_BEHIND = 20_000
"""Events; who is further behind is better served by a snapshot."""
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


class Watch:
    """One watcher's stream."""

    def __init__(self, services: Services, hub: Hub, caller: Caller, watched: Watched) -> None:
        """Watch for ``caller``."""
        self._services = services
        self._hub = hub
        self._caller = caller
        self._watched = watched
        self._checked_at = time.monotonic()
        self._sequence = 0

    async def run(self, cursor: bytes) -> AsyncIterator[pb.WatchEventsResponse]:
        """Yield messages until the client leaves.

        Raises:
            RequestError: UNAVAILABLE: the server goes down, or too many watch; UNAUTHENTICATED: the token has ended;
                INVALID_ARGUMENT: the cursor is none.
            StoreError: the database can't be read now.
        """
        place = Place.from_bytes(cursor) if cursor else None
        inbox = await self._hub.join(self._watched)
        try:
            resync = None if place is None else await self._cannot_go_on(place)
            begin = self._start_over(inbox, resync) if place is None or resync else self._catch_up(place.sequence)
            async for message in begin:
                yield message
            while True:
                try:
                    async for message in self._live(inbox):
                        yield message
                except TooSlowError:
                    async for message in self._start_over(inbox, pb.Resync(reason=TOO_SLOW)):
                        yield message
        except ClosedError:
            text = "the server goes down"
            raise RequestError(text, code=Code.UNAVAILABLE, remedy="connect again") from None
        finally:
            self._hub.leave(inbox)

    async def _cannot_go_on(self, place: Place) -> pb.Resync | None:
        """Return why there is no going on from this place; None where there is."""
        if place.incarnation != self._services.incarnation:
            return pb.Resync(reason="the cursor is of another database", log_replaced=True)
        if place.watched != self._watched.name:
            return pb.Resync(reason="the cursor is of a watcher of something else")
        async with self._services.store.read() as connection:
            newest = await log.position(connection)
            if place.sequence > newest:
                return pb.Resync(reason="the cursor is ahead of the database", log_replaced=True)
            if newest - place.sequence > MAX_BEHIND:
                return pb.Resync(reason=f"the cursor is more than {MAX_BEHIND} events behind")
            if not await log.reaches_back_to(connection, place.sequence):
                return pb.Resync(reason="events after the cursor are kept no longer")
        return None

    async def _start_over(self, inbox: Inbox, resync: pb.Resync | None) -> AsyncIterator[pb.WatchEventsResponse]:
        """Yield why, if the watcher had something before, and a snapshot."""
        inbox.start_over()
        if resync is not None:
            yield self._message(resync=resync)
        for page in await self._snapshot():
            yield self._message(self._sequence if page.last else None, snapshot=page)

    async def _snapshot(self) -> list[pb.Snapshot]:
        """Read what stands and where the log is, in one snapshot of the database."""
        async with self._hub.snapshots, self._services.store.read() as connection:
            self._sequence = await log.position(connection)
            now = self._services.clock.now()
            pages = [snapshot_to_wire(state) async for state in standing.pages(connection, self._watched, now)]
            own = await apitokens.own_api_token(connection, self._caller)
        pages = pages or [pb.Snapshot()]
        if own is not None:
            pages[0].token.CopyFrom(own_token_to_wire(own))
        pages[-1].last = True
        return pages

    async def _catch_up(self, sequence: int) -> AsyncIterator[pb.WatchEventsResponse]:
        """Yield what was committed since, up to now."""
        self._sequence = sequence
        while True:
            async with self._services.store.read() as connection:
                batch = await standing.since(connection, self._watched, self._sequence, self._services.clock.now())
            self._sequence = batch.through
            changes = changes_to_wire(batch, self._watched, batch.after)
            yield self._message(self._sequence, changes=changes or pb.Changes())
            if len(batch.events) < standing.CATCH_UP_EVENTS:
                return

    async def _live(self, inbox: Inbox) -> AsyncIterator[pb.WatchEventsResponse]:
        """Yield changes as they come, and from time to time that there are none, as long as the log is read."""
        while True:
            batch = await inbox.next(ALIVE_SECONDS)
            await self._check_caller()
            if batch is None:
                if self._hub.is_looking:
                    yield self._message(self._sequence, alive=pb.Alive())
                continue
            if batch.through < self._sequence:
                continue
            changes = changes_to_wire(batch, self._watched, self._sequence)
            self._sequence = max(self._sequence, batch.through)
            if changes is not None:
                yield self._message(self._sequence, changes=changes)

    async def _check_caller(self) -> None:
        """End the stream of a token that was revoked or has run out, within a second or two."""
        if time.monotonic() - self._checked_at < ALIVE_SECONDS:
            return
        self._checked_at = time.monotonic()
        async with self._services.store.read() as connection:
            await check_standing(connection, self._caller, self._services.clock.now())

    def _message(self, sequence: int | None = None, **said: object) -> pb.WatchEventsResponse:
        """Return a message that was sent now."""
        message = pb.WatchEventsResponse(**said)  # type: ignore[arg-type]  # one of the cases
        message.sent_at.FromDatetime(self._services.clock.now())
        if sequence is not None:
            message.cursor = Place(self._services.incarnation, self._watched.name, sequence).to_bytes()
        return message
