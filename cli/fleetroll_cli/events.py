"""``fleetroll events``: what happened, and what happens."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from fleetroll.v1 import events_pb2, types_pb2
from fleetroll_cli.agents import id_of
from fleetroll_cli.context import CALL_SECONDS, JsonOption, connected
from fleetroll_cli.links import LinkNotes
from fleetroll_cli.names import attempt_state, code_name, local_time
from fleetroll_cli.output import json_line, note, plain, print_json, say
from fleetroll_cli.parse import between
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
    from fleetroll_client import AdminClient

PAGE_EVENTS = 500
MAX_LAST = 10_000
"""Events that a command lists; whoever wants more asks the server page by page."""
MAX_MESSAGE_CHARS = 500
REACH_EVENTS = 2_000
"""How far back is looked for what happened while the server could not go on from where the watcher was."""


def events(
    context: typer.Context,
    rollout: Annotated[str, typer.Option("--rollout", help="Only those of this rollout, by its id.")] = "",
    agent: Annotated[str, typer.Option("--agent", help="Only those of this host, by name or id.")] = "",
    fleet: Annotated[str, typer.Option("--fleet", help="Only those of this fleet; without it, of all you see.")] = "",
    last: Annotated[
        int, typer.Option("--last", callback=between(0, MAX_LAST, "last"), help="So many of the newest.")
    ] = 50,
    following: Annotated[bool, typer.Option("--follow", help="Go on with what happens, until interrupted.")] = False,
    json: JsonOption = False,
) -> None:
    """Show what happened, the newest last. With --follow and --json: one JSON document per line and event."""
    with connected(context) as client:
        wanted = events_pb2.ListEventsRequest(
            fleet_id=fleet, rollout_id=rollout, agent_id=id_of(client, agent) if agent else ""
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
    client: AdminClient, wanted: events_pb2.ListEventsRequest, limit: int, known: _Printed | None = None
) -> list[events_pb2.Event]:
    """Return the newest events, the newest first, down to the first one that is known."""
    found: list[events_pb2.Event] = []
    request = events_pb2.ListEventsRequest()
    request.CopyFrom(wanted)
    while len(found) < limit:
        request.page.CopyFrom(types_pb2.Page(size=min(PAGE_EVENTS, limit - len(found)), cursor=request.page.cursor))
        page = client.events.ListEvents(request, timeout=CALL_SECONDS)
        for event in page.events:
            if known is not None and known.has(event):
                return found
            found.append(event)
        request.page.cursor = page.next_cursor
        if not page.next_cursor:
            break
    return found


class _Printed:
    """What was printed: an event that is listed may be told as well."""

    def __init__(self, *, json: bool) -> None:
        """Nothing yet."""
        self._json = json
        self._ids: dict[str, None] = {}

    def has(self, event: events_pb2.Event) -> bool:
        """Tell whether it was printed."""
        return event.id in self._ids

    def take(self, event: events_pb2.Event) -> None:
        """Print an event that was not."""
        if self.has(event):
            return
        if len(self._ids) >= MAX_LAST:
            del self._ids[next(iter(self._ids))]
        self._ids[event.id] = None
        say(json_line(event) if self._json else line_of(event))  # at once: programs read it as it comes


def _follow(client: AdminClient, wanted: events_pb2.ListEventsRequest, last: int, *, json: bool) -> None:
    """Print the newest events, then what happens; after a resync, what was missed first."""
    request = events_pb2.WatchEventsRequest(
        fleet_id=wanted.fleet_id, rollout_id=wanted.rollout_id, subjects=[events_pb2.WATCH_SUBJECT_EVENTS]
    )
    printed, notes, limit, owed = _Printed(json=json), LinkNotes(), last, False
    with closing(follow_blocking(client, request)) as updates:
        for update in updates:
            match update:
                case Snapshot():
                    owed = True
                case Changed() if not owed:
                    for event in update.events:
                        if wanted.agent_id in {"", event.agent_id}:
                            printed.take(event)
                case Resynced():
                    note(f"the server starts over: {plain(update.reason, 200)}")
                case Connection():
                    notes.take(update)
                case _:
                    pass  # told while the list could not be had: it is in the list
            if owed and not (isinstance(update, Connection) and not update.live):
                owed = not _catch_up(client, wanted, limit, printed)
                limit = limit if owed else REACH_EVENTS


def _catch_up(client: AdminClient, wanted: events_pb2.ListEventsRequest, limit: int, printed: _Printed) -> bool:
    """Print what happened before the watch began; False when the line broke over it, and it is to be asked again.

    Raises:
        ServerRefusedError: asking again does not mend it.
    """
    try:
        with translate():
            missed = _newest(client, wanted, limit, printed)
    except ServerRefusedError as error:
        if error.status in PERMANENT:
            raise
        return False
    if limit == REACH_EVENTS == len(missed):
        note(f"more happened than the {REACH_EVENTS} events that follow")
    for event in reversed(missed):
        printed.take(event)
    return True
