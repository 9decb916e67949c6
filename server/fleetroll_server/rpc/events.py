"""EventsService: what happened, and a stream of what changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll.v1 import events_pb2 as pb
from fleetroll.v1 import events_pb2_grpc
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.access.caller import Caller, current_caller
from fleetroll_server.access.fleets import sees_all_fleets, visible_fleets
from fleetroll_server.events import log
from fleetroll_server.events.watched import Subject, Watched
from fleetroll_server.rpc import requests
from fleetroll_server.rpc.convert_events import event_to_wire
from fleetroll_server.rpc.watching import Watch
from fleetroll_server.store.tables import AgentRow, RolloutRow, table_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import grpc
    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.events.hub import Hub
    from fleetroll_server.services import Services

    Context = grpc.aio.ServicerContext[Any, Any]

_AGENT = table_of(AgentRow)
_ROLLOUT = table_of(RolloutRow)
MAX_ID_CHARS = 80
MAX_AGENT_CHARS = 80
MAX_SUBJECTS = 8
_CURSOR = "event-list"
_SUBJECTS = {
    pb.WATCH_SUBJECT_EVENTS: Subject.EVENTS,
    pb.WATCH_SUBJECT_ROLLOUTS: Subject.ROLLOUTS,
    pb.WATCH_SUBJECT_AGENTS: Subject.AGENTS,
    pb.WATCH_SUBJECT_ROLLOUT_HOSTS: Subject.ROLLOUT_HOSTS,
}
_DEFAULT = frozenset({Subject.EVENTS, Subject.ROLLOUTS})


class EventsServicer(events_pb2_grpc.EventsServiceServicer):
    """Serves the log."""

    def __init__(self, services: Services, hub: Hub) -> None:
        """Work on ``services``; watchers join ``hub``."""
        self._services = services
        self._hub = hub

    async def WatchEvents(
        self,
        request: pb.WatchEventsRequest,
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[pb.WatchEventsResponse]:
        """Send what stands, then what changes."""
        caller = current_caller()
        watched = await self._watched(request, caller)
        watch = Watch(self._services, self._hub, caller, watched, every_fleet=not request.fleet_id)
        async for message in watch.run(request.cursor):
            yield message

    async def ListEvents(self, request: pb.ListEventsRequest, context: Context) -> pb.ListEventsResponse:  # noqa: ARG002
        """List what happened, newest first."""
        size, caller = requests.page_size(request.page), current_caller()
        cursor = requests.read_cursor(request.page, _CURSOR, 1)
        rollout_id = requests.text("rollout_id", request.rollout_id, at_most=MAX_ID_CHARS)
        agent_id = requests.text("agent_id", request.agent_id, at_most=MAX_AGENT_CHARS)
        async with self._services.store.read() as connection:
            fleets = await visible_fleets(connection, caller, request.fleet_id)
            rows = await log.newest(
                connection,
                fleets,
                of_none=sees_all_fleets(caller) and not request.fleet_id,
                rollout_id=rollout_id,
                agent_id=agent_id,
                before=None if cursor is None else requests.cursor_number(cursor[0], digits=18),
                limit=size + 1,
            )
            if not rows:  # "nothing happened" must not be said of a name that was mistyped
                await _require(connection, _ROLLOUT, "rollout", rollout_id, fleets)
                if may_read_agents(caller):  # whoever may not is told nothing of them, not even that they exist
                    await _require(connection, _AGENT, "agent", agent_id, fleets)
        answer = pb.ListEventsResponse(events=[event_to_wire(row) for row in rows[:size]])
        if len(rows) > size:
            answer.next_cursor = requests.make_cursor(_CURSOR, (str(rows[size - 1]["sequence"]),))
        return answer

    async def _watched(self, request: pb.WatchEventsRequest, caller: Caller) -> Watched:
        """Check what is to be watched.

        Raises:
            RequestError: INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED (caller's fault).
        """
        subjects = _subjects(request, caller)
        rollout_id = requests.text("rollout_id", request.rollout_id, at_most=MAX_ID_CHARS)
        if Subject.ROLLOUT_HOSTS in subjects and not rollout_id:
            raise requests.invalid("rollout_id", "it is empty, and hosts of a rollout are to be watched")
        async with self._services.store.read() as connection:
            fleets = await visible_fleets(connection, caller, request.fleet_id)
            await _require(connection, _ROLLOUT, "rollout", rollout_id, fleets)
        everything = sees_all_fleets(caller) and not request.fleet_id
        return Watched(frozenset(fleets), everything, subjects, rollout_id)


async def _require(connection: AsyncConnection, table: sa.Table, what: str, given: str, fleets: Sequence[str]) -> None:
    """Return when the fleets have the rollout or agent that a request names, or it names none.

    Raises:
        RequestError: NOT_FOUND (caller's fault).
    """
    query = sa.select(table.c.id).where(table.c.id == given, table.c.fleet_id.in_(fleets))
    if given and await connection.scalar(query) is None:
        message, field = f"{what}_id: there is no {what} {given!r}", f"{what}_id"
        raise RequestError(message, code=Code.NOT_FOUND, remedy=f"list the {what}s", field=field)


def may_read_agents(caller: Caller) -> bool:
    """Tell whether the caller's token reaches hosts: one without scopes does."""
    return not caller.scopes or "agents.read" in caller.scopes


def _subjects(request: pb.WatchEventsRequest, caller: Caller) -> frozenset[Subject]:
    """Return what is to be watched."""
    if len(request.subjects) > MAX_SUBJECTS:
        raise requests.invalid("subjects", f"{len(request.subjects)} of them, at most {MAX_SUBJECTS} are allowed")
    unknown = [number for number in request.subjects if number not in _SUBJECTS]
    if unknown:
        raise requests.invalid("subjects", f"{unknown[0]} is none that this server knows")
    subjects = frozenset(_SUBJECTS[number] for number in request.subjects) or _DEFAULT
    if Subject.AGENTS in subjects and not may_read_agents(caller):
        message = "subjects: hosts need the scope agents.read, which the token does not have"
        raise RequestError(message, code=Code.PERMISSION_DENIED, remedy="watch without hosts", field="subjects")
    return subjects
