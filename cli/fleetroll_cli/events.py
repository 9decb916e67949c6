"""``fleetroll events``: what happened, and what happens."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from fleetroll.v1 import events_pb2, types_pb2
from fleetroll_cli.agents import id_of
from fleetroll_cli.context import CALL_SECONDS, JsonOption, connected
from fleetroll_cli.links import LinkNotes
from fleetroll_cli.names import attempt_state, calendar, code_name, local_time
from fleetroll_cli.output import json_line, note, plain, print_json, say
from fleetroll_cli.parse import between, said
from fleetroll_client import (
    PERMANENT,
    Changed,
    Connection,
    Resynced,
    ServerRefusedError,
    Snapshot,
    follow_blocking,
    translate,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from fleetroll_client import AdminClient, Update

PAGE_EVENTS = 500
MAX_LAST = 10_000
"""Events that a command lists; whoever wants more asks the server page by page."""
MAX_MESSAGE_CHARS = 500
REACH_EVENTS = 2_000
"""How far back is looked for what happened while the server could not go on from where the watcher was."""


def events(
    context: typer.Context,
    rollout: Annotated[
        str | None, typer.Option("--rollout", callback=said("rollout"), help="Only those of this rollout, by its id.")
    ] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", callback=said("agent"), help="Only those of this host, by name or id.")
    ] = None,
    fleet: Annotated[
        str | None,
        typer.Option("--fleet", callback=said("fleet"), help="Only those of this fleet; without it, of all you see."),
    ] = None,
    last: Annotated[
        int, typer.Option("--last", callback=between(0, MAX_LAST, "last"), help="So many of the newest.")
    ] = 50,
    following: Annotated[bool, typer.Option("--follow", help="Go on with what happens, until interrupted.")] = False,
    json: JsonOption = False,
) -> None:
    """Show what happened, the newest last. With --follow and --json: one JSON document per line and event."""
    with connected(context) as client:
        wanted = events_pb2.ListEventsRequest(
            fleet_id=fleet or "", rollout_id=rollout or "", agent_id=id_of(client, agent) if agent else ""
        )
        if following:
            _follow(client, wanted, last, json=json)
            return
        found = _newest(client, wanted, last)
    if json:
        print_json(events_pb2.ListEventsResponse(events=found))
        return
    for event in reversed(found):
        say(line_of(event))
    if not found:
        say("none")


def line_of(event: events_pb2.Event) -> str:
    """Return an event as one line; the same event gives the same line."""
    state = attempt_state(event.attempt_state)
    words = [event.message, event.decision.reason if event.decision.reason != event.message else ""]
    why = ": ".join(word for word in (code_name(event.code), "; ".join(word for word in words if word)) if word)
    parts = [
        local_time(event, "occurred_at"),
        f"{event.kind:16}",
        event.rollout_id,
        event.agent_id,
        state if state != "-" else "",
        why,
        f"by {event.decision.actor.id}" if event.decision.actor.id else "",
    ]
    return "  ".join(plain(part, MAX_MESSAGE_CHARS) for part in parts if part.strip())


def _newest(
    client: AdminClient, wanted: events_pb2.ListEventsRequest, limit: int, printed: _Printed | None = None
) -> list[events_pb2.Event]:
    """Return the newest events, the newest first, down to where what was printed begins."""
    found: list[events_pb2.Event] = []
    request = events_pb2.ListEventsRequest()
    request.CopyFrom(wanted)
    while len(found) < limit:
        request.page.CopyFrom(types_pb2.Page(size=min(PAGE_EVENTS, limit - len(found)), cursor=request.page.cursor))
        page = client.events.ListEvents(request, timeout=CALL_SECONDS)
        for event in page.events:
            if printed is not None and printed.reaches(event):
                return found
            found.append(event)
        request.page.cursor = page.next_cursor
        if not page.next_cursor:
            break
    return found


class _Printed:
    """What was printed: an event that is listed may be told as well; and from where on events are to be printed."""

    def __init__(self, *, json: bool) -> None:
        """Nothing yet."""
        self._json = json
        self._ids: dict[str, None] = {}
        self._before = ""
        self._since: datetime | None = None

    def reaches(self, event: events_pb2.Event) -> bool:
        """Tell whether neither an event nor what happened before it is to be listed."""
        return event.id in self._ids or event.id == self._before or self._is_old(event)

    def begin_after(self, event: events_pb2.Event) -> None:
        """List nothing from this event back; it is printed where it is told."""
        self._before = event.id

    def forget(self, since: datetime | None) -> None:
        """Begin with another log, whose ids are other events, at an instant of the server's clock."""
        self._ids.clear()
        self._before, self._since = "", since

    def take(self, event: events_pb2.Event) -> None:
        """Print an event that was not."""
        if event.id in self._ids:
            return
        if len(self._ids) >= MAX_LAST:
            del self._ids[next(iter(self._ids))]
        self._ids[event.id] = None
        say(json_line(event) if self._json else line_of(event))  # at once: programs read it as it comes

    def _is_old(self, event: events_pb2.Event) -> bool:
        """Tell whether an event is of the time that both logs have."""
        at = calendar(event.occurred_at)
        return self._since is not None and at is not None and at < self._since


class _Following:
    """The newest events, then what happens; after a resync, what was missed first."""

    def __init__(self, client: AdminClient, wanted: events_pb2.ListEventsRequest, last: int, *, json: bool) -> None:
        """Begin where nothing was printed.

        Args:
            client: who is asked.
            wanted: which events.
            last: so many of the newest first.
            json: print documents.
        """
        self._client = client
        self._wanted = wanted
        self._last: int | None = last
        self._printed = _Printed(json=json)
        self._notes = LinkNotes()
        self._owed = False
        self._told: dict[str, events_pb2.Event] = {}
        self._heard: datetime | None = None

    def take(self, update: Update) -> None:
        """Take in what is told.

        Raises:
            ServerRefusedError: the list can't be had, and asking again does not mend it.
        """
        match update:
            case Snapshot():
                self._owed = True
            case Changed():
                self._tell(update.events)
            case Resynced():
                self._start_over(update)
            case Connection():
                self._notes.take(update)
                self._heard = update.sent_at if update.live else self._heard
        if self._owed and not (isinstance(update, Connection) and not update.live):
            self._owed = not self._catch_up()
        if not self._owed:
            self._print_told()

    def _tell(self, events: Iterable[events_pb2.Event]) -> None:
        """Keep what is told until what was before it is printed: the newest, where the list can't be had for long."""
        self._told.update({each.id: each for each in events if self._wanted.agent_id in {"", each.agent_id}})
        while len(self._told) > MAX_LAST:
            del self._told[next(iter(self._told))]

    def _start_over(self, resynced: Resynced) -> None:
        """Say so; a log that was replaced has other events by the ids that were printed."""
        note(f"the server starts over: {plain(resynced.reason, 200)}")
        if resynced.log_replaced:
            note("its log is another one: ids of events come again for others")
            self._told.clear()
            self._printed.forget(self._heard)

    def _print_told(self) -> None:
        for event in self._told.values():
            self._printed.take(event)
        self._told.clear()

    def _catch_up(self) -> bool:
        """Print what happened before the watch began; False when the line broke over it: it is to be asked again.

        What was told meanwhile is not printed here: it comes after the list.
        """
        limit = REACH_EVENTS if self._last is None else max(self._last, 1) + len(self._told)
        try:
            with translate():
                found = _newest(self._client, self._wanted, limit, self._printed)
        except ServerRefusedError as error:
            if error.status in PERMANENT:
                raise
            return False
        if self._last is None and len(found) == limit:
            note(f"more happened than the {REACH_EVENTS} events that follow")
        missed = [event for event in found if event.id not in self._told]
        if self._last is not None:
            if missed:
                self._printed.begin_after(missed[0])
            missed = missed[: self._last]
        for event in reversed(missed):
            self._printed.take(event)
        self._last = None
        return True


def _follow(client: AdminClient, wanted: events_pb2.ListEventsRequest, last: int, *, json: bool) -> None:
    """Print the newest events, then what happens."""
    request = events_pb2.WatchEventsRequest(
        fleet_id=wanted.fleet_id, rollout_id=wanted.rollout_id, subjects=[events_pb2.WATCH_SUBJECT_EVENTS]
    )
    following = _Following(client, wanted, last, json=json)
    with closing(follow_blocking(client, request)) as updates:
        for update in updates:
            following.take(update)
