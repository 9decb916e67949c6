"""RolloutsService: start, show, stop, continue; and the kill switch. The way back stands in :mod:`.steering`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll.v1 import rollouts_pb2 as pb
from fleetroll.v1 import rollouts_pb2_grpc
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.access.caller import current_caller
from fleetroll_server.access.fleets import sees_all_fleets, visible_fleets
from fleetroll_server.engine import beginning, kill, people, previewing, reads, starting, why
from fleetroll_server.hosts import inventory
from fleetroll_server.rpc import requests
from fleetroll_server.rpc.convert_preview import preview_to_wire
from fleetroll_server.rpc.convert_rollouts import (
    exclusion_to_wire,
    host_to_wire,
    order_from_wire,
    rollout_to_wire,
    switch_to_wire,
)
from fleetroll_server.rpc.convert_why import explanation_to_wire
from fleetroll_server.rpc.releases_convert import product_name
from fleetroll_server.rpc.steering import Steering, actor_now

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import grpc

    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

    Context = grpc.aio.ServicerContext[Any, Any]

MAX_ID_CHARS = 80
DEFAULT_FLEET = "default"
_ROLLOUTS, _HOSTS = "rollouts", "rollout-hosts"


class RolloutsServicer(Steering, rollouts_pb2_grpc.RolloutsServiceServicer):
    """Turns requests into the engine's jobs; answers with the rollout as it stands after the commit."""

    def __init__(self, services: Services) -> None:
        """Work on ``services``."""
        self._services = services

    async def StartRollout(self, request: pb.StartRolloutRequest, context: Context) -> pb.StartRolloutResponse:  # noqa: ARG002
        """Plan and start; nothing is stored unless all of it can be used."""
        order = await self._order(request)
        actor = actor_now()
        rollout_id, left_out = await self._services.store.writer.command(
            lambda tx: starting.start(tx, self._services, order, actor)
        )
        return pb.StartRolloutResponse(
            rollout=await self._rollout(rollout_id),
            exclusions=[exclusion_to_wire(item) for item in left_out],
        )

    async def PreviewRollout(self, request: pb.PreviewRolloutRequest, context: Context) -> pb.PreviewRolloutResponse:  # noqa: ARG002
        """Show what a start would do now; nothing is written."""
        order = await self._order(request.start)
        async with self._services.store.read() as connection:
            shown = await previewing.look(connection, self._services.clock.now(), order)
        return preview_to_wire(shown)

    async def ApproveRollout(self, request: pb.ApproveRolloutRequest, context: Context) -> pb.ApproveRolloutResponse:  # noqa: ARG002
        """Let a rollout begin, or a wave of it open, that waits for a second person."""
        reason, actor, revision = requests.reason(request.reason), actor_now(), request.decision_revision
        notes: list[str] = []

        async def approve(tx: Tx, fleet: str) -> None:
            notes[:] = [
                await beginning.approve(
                    tx, self._services, request.rollout_id, fleet, actor, revision=revision, reason=reason
                )
            ]

        rollout = await self._decide(request.rollout_id, approve)
        return pb.ApproveRolloutResponse(rollout=rollout, note=notes[0])

    async def GetRollout(self, request: pb.GetRolloutRequest, context: Context) -> pb.GetRolloutResponse:  # noqa: ARG002
        """Show one rollout with its waves."""
        return pb.GetRolloutResponse(rollout=await self._rollout(request.rollout_id))

    async def ListRollouts(self, request: pb.ListRolloutsRequest, context: Context) -> pb.ListRolloutsResponse:  # noqa: ARG002
        """List rollouts, newest first."""
        size = requests.page_size(request.page)
        cursor = requests.read_cursor(request.page, _ROLLOUTS, 2)
        after = None if cursor is None else reads.After(requests.cursor_instant(cursor[0]), cursor[1])
        now = self._services.clock.now()
        async with self._services.store.read() as connection:
            fleets = await visible_fleets(connection, current_caller(), request.fleet_id)
            found = await reads.newest(
                connection, fleets, now, active_only=request.active_only, after=after, limit=size + 1
            )
        answer = pb.ListRolloutsResponse(rollouts=[rollout_to_wire(shown) for shown in found[:size]])
        if len(found) > size:
            last = found[size - 1].row
            answer.next_cursor = requests.make_cursor(_ROLLOUTS, (last["created_at"].isoformat(), last["id"]))
        return answer

    async def ListRolloutHosts(
        self,
        request: pb.ListRolloutHostsRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ListRolloutHostsResponse:
        """List a rollout's hosts in their stored order."""
        size = requests.page_size(request.page)
        cursor = requests.read_cursor(request.page, _HOSTS, 2)
        after = None if cursor is None else (requests.cursor_number(cursor[0]), requests.cursor_number(cursor[1]))
        rollout = await self._rollout(request.rollout_id)
        async with self._services.store.read() as connection:
            fleets = await visible_fleets(connection, current_caller())
            now, wave = self._services.clock.now(), request.wave
            rows = await reads.hosts(
                connection, request.rollout_id, fleets, now, wave=wave, after=after, limit=size + 1
            )
        answer = pb.ListRolloutHostsResponse(hosts=[host_to_wire(row, version=rollout.version) for row in rows[:size]])
        if len(rows) > size:
            last = rows[size - 1]
            answer.next_cursor = requests.make_cursor(_HOSTS, (str(last["wave"]), str(last["position"])))
        return answer

    async def ExplainHost(self, request: pb.ExplainHostRequest, context: Context) -> pb.ExplainHostResponse:  # noqa: ARG002
        """Say what is in a host's way."""
        name = requests.text("agent", request.agent, at_least=1, at_most=requests.MAX_NAME_CHARS)
        product = product_name(request.product or "agent")
        now = self._services.clock.now()
        async with self._services.store.read() as connection:
            fleets = await visible_fleets(connection, current_caller())
            host = await inventory.find_host(connection, fleets, name, now)
            agent = dict(host.row)
            found = await why.explain(connection, now, agent, product)
        return explanation_to_wire(agent, product, found)

    async def PauseRollout(self, request: pb.PauseRolloutRequest, context: Context) -> pb.PauseRolloutResponse:  # noqa: ARG002
        """Stop at once."""
        reason, actor = requests.reason(request.reason), actor_now()
        rollout = await self._decide(
            request.rollout_id,
            lambda tx, fleet: people.pause(tx, self._services, request.rollout_id, fleet, actor, reason),
            urgent=True,
        )
        return pb.PauseRolloutResponse(rollout=rollout)

    async def ResumeRollout(self, request: pb.ResumeRolloutRequest, context: Context) -> pb.ResumeRolloutResponse:  # noqa: ARG002
        """Continue a paused or halted rollout."""
        reason, actor, revision = requests.reason(request.reason), actor_now(), request.decision_revision
        rollout = await self._decide(
            request.rollout_id,
            lambda tx, fleet: people.resume(
                tx, self._services, request.rollout_id, fleet, actor, revision=revision, reason=reason
            ),
        )
        return pb.ResumeRolloutResponse(rollout=rollout)

    async def AdvanceRollout(self, request: pb.AdvanceRolloutRequest, context: Context) -> pb.AdvanceRolloutResponse:  # noqa: ARG002
        """Open the wave that waits for a person."""
        reason, actor, revision = requests.reason(request.reason), actor_now(), request.decision_revision
        rollout = await self._decide(
            request.rollout_id,
            lambda tx, fleet: people.advance(
                tx, self._services, request.rollout_id, fleet, actor, revision=revision, reason=reason
            ),
        )
        return pb.AdvanceRolloutResponse(rollout=rollout)

    async def CancelRollout(self, request: pb.CancelRolloutRequest, context: Context) -> pb.CancelRolloutResponse:  # noqa: ARG002
        """End a rollout."""
        reason, actor = requests.reason(request.reason), actor_now()
        rollout = await self._decide(
            request.rollout_id,
            lambda tx, fleet: people.cancel(
                tx,
                self._services,
                request.rollout_id,
                fleet,
                actor,
                reason=reason,
                let_finish=request.let_finish,
            ),
        )
        return pb.CancelRolloutResponse(rollout=rollout)

    async def PressKillSwitch(self, request: pb.PressKillSwitchRequest, context: Context) -> pb.PressKillSwitchResponse:  # noqa: ARG002
        """Suspend a scope at once."""
        reason, actor = requests.reason(request.reason), actor_now()
        await self._check_scope(request.fleet_id)
        scope = await self._services.store.writer.urgent(
            lambda tx: kill.press(tx, self._services, request.fleet_id, actor, reason)
        )
        return pb.PressKillSwitchResponse(kill_switch=await self._switch(scope))

    async def LiftKillSwitch(self, request: pb.LiftKillSwitchRequest, context: Context) -> pb.LiftKillSwitchResponse:  # noqa: ARG002
        """End a suspension, if it is still the one that the caller saw; starts nothing."""
        reason, actor = requests.reason(request.reason), actor_now()
        await self._check_scope(request.fleet_id)
        scope = await self._services.store.writer.command(
            lambda tx: kill.lift(tx, self._services, request.fleet_id, actor, reason, request.epoch)
        )
        return pb.LiftKillSwitchResponse(kill_switch=await self._switch(scope))

    async def GetKillSwitch(self, request: pb.GetKillSwitchRequest, context: Context) -> pb.GetKillSwitchResponse:  # noqa: ARG002
        """Show the suspensions."""
        async with self._services.store.read() as connection:
            rows = await reads.switches(connection, await visible_fleets(connection, current_caller()))
        return pb.GetKillSwitchResponse(kill_switches=[switch_to_wire(row) for row in rows])

    async def _order(self, request: pb.StartRolloutRequest) -> starting.Order:
        """Check the request field by field.

        Raises:
            RequestError: a field can't be used (caller's fault).
        """
        async with self._services.store.read() as connection:
            wanted = request.selection.fleet_id or DEFAULT_FLEET
            (fleet_id,) = await visible_fleets(connection, current_caller(), wanted)
        return order_from_wire(request, fleet_id, self._services.settings.gate_commands)

    async def _decide(
        self, rollout_id: str, job: Callable[[Tx, str], Awaitable[None]], *, urgent: bool = False
    ) -> pb.Rollout:
        """Run a person's decision in the rollout's fleet, before all others if ``urgent``; return the rollout then."""
        fleet_id = (await self._shown(rollout_id)).row["fleet_id"]
        writer = self._services.store.writer
        await (writer.urgent if urgent else writer.command)(lambda tx: job(tx, fleet_id))
        return await self._rollout(rollout_id)

    async def _rollout(self, rollout_id: str) -> pb.Rollout:
        """Return one rollout of the caller's."""
        return rollout_to_wire(await self._shown(rollout_id))

    async def _shown(self, rollout_id: str) -> reads.Shown:
        """Return one rollout of the caller's.

        Raises:
            RequestError: NOT_FOUND (caller's fault).
        """
        requests.text("rollout_id", rollout_id, at_least=1, at_most=MAX_ID_CHARS)
        async with self._services.store.read() as connection:
            fleets = await visible_fleets(connection, current_caller())
            found = await reads.one(connection, rollout_id, fleets, self._services.clock.now())
        if found is None:
            message = f"rollout_id: there is no rollout {rollout_id!r}"
            raise RequestError(message, code=Code.NOT_FOUND, remedy="list the rollouts", field="rollout_id")
        return found

    async def _check_scope(self, fleet_id: str) -> None:
        """Refuse a foreign fleet, and the global switch to who does not see every fleet.

        Raises:
            RequestError: NOT_FOUND or PERMISSION_DENIED (caller's fault).
        """
        if not fleet_id and not sees_all_fleets(current_caller()):
            message = "fleet_id: the global switch is for tokens that see every fleet"
            raise RequestError(message, code=Code.PERMISSION_DENIED, remedy="name your fleet", field="fleet_id")
        if fleet_id:
            async with self._services.store.read() as connection:
                await visible_fleets(connection, current_caller(), fleet_id)

    async def _switch(self, scope: str) -> pb.KillSwitch:
        """Return one suspension as it stands."""
        async with self._services.store.read() as connection:
            rows = await reads.switches(connection, await visible_fleets(connection, current_caller()))
        return next(switch_to_wire(row) for row in rows if row["scope"] == scope)
