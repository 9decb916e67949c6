"""PolicyService: what holds and why, changes, history, the next openings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from fleetroll.v1 import policy_pb2 as pb
from fleetroll.v1 import policy_pb2_grpc
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, RequestError
from fleetroll_common.values.zones import find_zone
from fleetroll_server.access.caller import current_caller
from fleetroll_server.access.fleets import require_all_fleets, visible_fleets
from fleetroll_server.engine.actor import Actor
from fleetroll_server.policies import changing, pushing, shown
from fleetroll_server.policies.previewing import Draft, preview
from fleetroll_server.rpc import convert_policy as convert
from fleetroll_server.rpc import requests

if TYPE_CHECKING:
    import grpc
    from sqlalchemy import RowMapping

    from fleetroll_server.services import Services

    Context = grpc.aio.ServicerContext[Any, Any]

log = structlog.get_logger(__name__)

MAX_ID_CHARS = 80
MAX_PRODUCT_CHARS = 63
MAX_OPENINGS, DEFAULT_OPENINGS = 50, 5
_CURSOR = "policy-history"


class PolicyServicer(policy_pb2_grpc.PolicyServiceServicer):
    """Reads and changes policies."""

    def __init__(self, services: Services) -> None:
        """Work on ``services``."""
        self._services = services

    async def GetPolicy(self, request: pb.GetPolicyRequest, context: Context) -> pb.GetPolicyResponse:  # noqa: ARG002
        """Show what holds, with the origin of each value."""
        meant = await self._meant(request.level)
        rows = await self._documents(meant)
        fields, effective = convert.effective_to_wire(shown.effective(rows), of_host=bool(meant.agent_id))
        documents = [convert.document_to_wire(row) for row in rows]
        if not any(_is_of(row, meant) for row in rows):
            documents.insert(0, convert.nothing_said(meant))
        return pb.GetPolicyResponse(fields=fields, effective=effective, documents=documents)

    async def SetPolicy(self, request: pb.SetPolicyRequest, context: Context) -> pb.SetPolicyResponse:  # noqa: ARG002
        """Change one level; the rollouts under way are looked at again before the answer."""
        caller, reason = current_caller(), requests.reason(request.reason, required=True)
        meant = await self._meant(request.level)
        if not meant.fleet_id:
            require_all_fleets(caller)
        wanted = changing.Wanted(
            fleet_id=meant.fleet_id,
            agent_id=meant.agent_id,
            product=meant.product,
            serial=request.serial,
            set=convert.values_from_wire(request.set),
            unset=convert.names_from_wire(request.unset),
            reason=reason,
        )
        change = partial(changing.change, wanted=wanted, actor=_actor())
        concerned = await self._services.store.writer.command(change)
        for rollout_id, fleet_id in concerned:
            await self._push(rollout_id, fleet_id)
        row = next(row for row in await self._documents(meant) if _is_of(row, meant))
        return pb.SetPolicyResponse(document=convert.document_to_wire(row), rollouts=len(concerned))

    async def ListPolicyHistory(
        self,
        request: pb.ListPolicyHistoryRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ListPolicyHistoryResponse:
        """List the changes of one level, newest first."""
        size = requests.page_size(request.page)
        cursor = requests.read_cursor(request.page, _CURSOR, 1)
        before = None if cursor is None else requests.cursor_number(cursor[0])
        meant = await self._meant(request.level)
        async with self._services.store.read() as connection:
            rows = await shown.history(connection, meant, before, size + 1)
        answer = pb.ListPolicyHistoryResponse(changes=[convert.change_to_wire(row) for row in rows[:size]])
        if len(rows) > size:
            answer.next_cursor = requests.make_cursor(_CURSOR, (str(rows[size - 1]["serial"]),))
        return answer

    async def PreviewPolicy(self, request: pb.PreviewPolicyRequest, context: Context) -> pb.PreviewPolicyResponse:  # noqa: ARG002
        """Calculate the next openings; nothing is written."""
        count = _count(request.count)
        meant = await self._meant(request.level)
        zone = _zone(request.time_zone) or meant.time_zone or ("" if meant.agent_id else "UTC")
        draft = Draft(convert.values_from_wire(request.set), _actor()) if request.HasField("set") else None
        rows = await self._documents(meant)
        return convert.preview_to_wire(preview(rows, meant, draft, zone, self._services.clock.now(), count))

    async def _push(self, rollout_id: str, fleet_id: str) -> None:
        """Look at one rollout again. The change is committed: whatever fails here, its hosts ask within a minute."""
        services = self._services
        try:
            await services.store.writer.report(
                partial(pushing.push, services=services, rollout_id=rollout_id, fleet_id=fleet_id)
            )
        except FleetrollError as error:
            log.warning("policy_not_pushed", rollout=rollout_id, reason=error.message)
        except Exception:
            log.exception("policy_not_pushed", rollout=rollout_id)

    async def _meant(self, level: pb.PolicyLevel) -> shown.Meant:
        """Return the level that is meant.

        Raises:
            RequestError: it names a fleet or host that is not the caller's, or what can't be one (caller's fault).
        """
        product = requests.text("level.product", level.product, at_most=MAX_PRODUCT_CHARS)
        requests.text("level.agent_id", level.agent_id, at_most=MAX_ID_CHARS)
        if not level.fleet_id and not level.agent_id:
            return shown.Meant("", "", product)
        async with self._services.store.read() as connection:
            fleets = await visible_fleets(connection, current_caller(), level.fleet_id)
            if level.agent_id:
                return await shown.host_level(connection, level.agent_id, fleets, product)
        return shown.Meant(fleets[0], "", product)

    async def _documents(self, meant: shown.Meant) -> list[RowMapping]:
        """Return what is said at a level and above it, the lowest first."""
        async with self._services.store.read() as connection:
            return await shown.documents(connection, meant)


def _is_of(row: RowMapping, meant: shown.Meant) -> bool:
    """Tell whether a document is the one of the level itself."""
    return (row["scope"], row["product"]) == (meant.scope, meant.product)


def _actor() -> Actor:
    """Return who calls."""
    caller = current_caller()
    return Actor(caller.actor_kind, caller.actor_id)


def _count(said: int) -> int:
    """Return how many openings are wanted; raises as a text that can't be used."""
    if not 0 <= said <= MAX_OPENINGS:
        raise requests.invalid("count", f"{said} is not between 0 and {MAX_OPENINGS}")
    return said or DEFAULT_OPENINGS


def _zone(said: str) -> str:
    """Return the zone that is said; empty for none.

    Raises:
        RequestError: there is no such zone (caller's fault).
    """
    if said:
        try:
            find_zone(said)
        except RequestError as error:
            raise RequestError(
                f"time_{error.message}", code=Code.INVALID_ARGUMENT, remedy=error.remedy, field="time_zone"
            ) from error
    return said
