"""AgentsService: the inventory, and decisions about single hosts: one host now among them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import agents_pb2 as pb
from fleetroll.v1 import agents_pb2_grpc, reasons_pb2
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.version import Version
from fleetroll_server.access.caller import current_caller
from fleetroll_server.access.fleets import visible_fleets
from fleetroll_server.access.secretwords import new_secret
from fleetroll_server.engine import direct
from fleetroll_server.hosts import decisions, inventory
from fleetroll_server.identity import jointokens
from fleetroll_server.identity.joinstrings import make_join_string
from fleetroll_server.rpc import requests
from fleetroll_server.rpc.agents_convert import agent_to_wire, attempt_to_wire, begun_to_wire
from fleetroll_server.rpc.releases_convert import product_name
from fleetroll_server.rpc.steering import actor_now

if TYPE_CHECKING:
    import grpc

    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

    Context = grpc.aio.ServicerContext[Any, Any]

READMIT_LIFE = timedelta(hours=24)
_CURSOR = "agents"


class AgentsServicer(agents_pb2_grpc.AgentsServiceServicer):
    """Lists hosts; revokes, readmits, dismisses; updates one, or takes it back."""

    def __init__(self, services: Services) -> None:
        """Work on ``services``."""
        self._services = services

    async def ListAgents(self, request: pb.ListAgentsRequest, context: Context) -> pb.ListAgentsResponse:  # noqa: ARG002
        """List hosts by name."""
        size = requests.page_size(request.page)
        cursor = requests.read_cursor(request.page, _CURSOR, 2)
        part = requests.text("name_contains", request.name_contains, at_most=requests.MAX_NAME_CHARS)
        now = self._services.clock.now()
        async with self._services.store.read() as connection:
            fleets = await visible_fleets(connection, current_caller(), request.fleet_id)
            selection = inventory.Selection(
                fleets=fleets,
                name_contains=part,
                include_revoked=request.include_revoked,
                after=None if cursor is None else (cursor[0], cursor[1]),
                limit=size + 1,
            )
            hosts = await inventory.list_hosts(connection, selection, now)
        answer = pb.ListAgentsResponse(agents=[agent_to_wire(host) for host in hosts[:size]])
        if len(hosts) > size:
            last = hosts[size - 1].row
            answer.next_cursor = requests.make_cursor(_CURSOR, (last["name"], last["id"]))
        return answer

    async def GetAgent(self, request: pb.GetAgentRequest, context: Context) -> pb.GetAgentResponse:  # noqa: ARG002
        """Show one host with its newest attempts."""
        host = await self._host(requests.text("agent", request.agent, at_least=1, at_most=requests.MAX_NAME_CHARS))
        return pb.GetAgentResponse(
            agent=agent_to_wire(host), attempts=[attempt_to_wire(attempt) for attempt in host.attempts]
        )

    async def RevokeAgent(self, request: pb.RevokeAgentRequest, context: Context) -> pb.RevokeAgentResponse:  # noqa: ARG002
        """Cut an agent off for good: its stream ends with the commit."""
        services, caller = self._services, current_caller()
        reason, fleets = requests.reason(request.reason, required=True), await self._fleets()
        refusal = stream_pb2.Refusal(code=reasons_pb2.REASON_CODE_IDENTITY_REVOKED, message="this agent was revoked")

        async def job(tx: Tx) -> None:
            await decisions.revoke_host(tx, services, request.agent_id, fleets, caller, reason)
            last = stream_pb2.ConnectResponse(refusal=refusal)
            tx.after_commit(lambda: services.sessions.close(request.agent_id, last))

        await services.store.writer.command(job)
        return pb.RevokeAgentResponse(agent=agent_to_wire(await self._host(request.agent_id)))

    async def ReadmitAgent(self, request: pb.ReadmitAgentRequest, context: Context) -> pb.ReadmitAgentResponse:  # noqa: ARG002
        """Give a one-use join string for this agent id."""
        services, caller = self._services, current_caller()
        reason, fleets = requests.reason(request.reason, required=True), await self._fleets()
        secret = new_secret(services.ids)
        async with services.store.read() as connection:
            join_string = await make_join_string(connection, services, secret)
        expires_at = services.clock.now() + READMIT_LIFE

        async def job(tx: Tx) -> None:
            row = await decisions.locked_host(tx, request.agent_id, fleets)
            if row["revoked"]:
                message = "agent_id: it is revoked, which is for good"
                remedy = "enroll the host as a new agent"
                raise RequestError(message, code=Code.IDENTITY_REVOKED, remedy=remedy, field="agent_id")
            new = jointokens.NewToken(
                id=services.ids.new("join"),
                kind=jointokens.TokenKind.READMIT,
                secret=secret,
                fleet_id=row["fleet_id"],
                expires_at=expires_at,
                agent_id=row["id"],
                reason=reason,
            )
            await jointokens.make_token(tx, new, caller)

        await services.store.writer.command(job)
        answer = pb.ReadmitAgentResponse(join_string=join_string)
        answer.expires_at.FromDatetime(expires_at)
        return answer

    async def DismissAgent(self, request: pb.DismissAgentRequest, context: Context) -> pb.DismissAgentResponse:  # noqa: ARG002
        """Take a broken host out of the budgets that it holds."""
        caller = current_caller()
        reason, fleets = requests.reason(request.reason, required=True), await self._fleets()
        scopes = await self._services.store.writer.command(
            lambda tx: decisions.dismiss_host(tx, request.agent_id, fleets, caller, reason)
        )
        return pb.DismissAgentResponse(scopes=scopes)

    async def UpdateAgent(self, request: pb.UpdateAgentRequest, context: Context) -> pb.UpdateAgentResponse:  # noqa: ARG002
        """Bring one host to a release now."""
        wish = direct.Wish(
            agent=requests.text("agent", request.agent, at_least=1, at_most=requests.MAX_NAME_CHARS),
            fleets=await self._fleets(),
            product=product_name(request.product),
            reason=requests.reason(request.reason, required=request.retry_bad),
            version=str(Version.parse(request.version)) if request.version else "",
            retry_bad=request.retry_bad,
            acknowledge_breaking_changes=request.acknowledge_breaking_changes,
        )
        actor = actor_now()
        begun = await self._services.store.writer.command(lambda tx: direct.update(tx, self._services, wish, actor))
        return pb.UpdateAgentResponse(attempt=begun_to_wire(begun))

    async def RollBackAgent(self, request: pb.RollBackAgentRequest, context: Context) -> pb.RollBackAgentResponse:  # noqa: ARG002
        """Bring one host back to the version that it had before."""
        wish = direct.Wish(
            agent=requests.text("agent", request.agent, at_least=1, at_most=requests.MAX_NAME_CHARS),
            fleets=await self._fleets(),
            product=product_name(request.product),
            reason=requests.reason(request.reason),
        )
        actor = actor_now()
        begun = await self._services.store.writer.command(lambda tx: direct.roll_back(tx, self._services, wish, actor))
        return pb.RollBackAgentResponse(attempt=begun_to_wire(begun))

    async def _fleets(self) -> tuple[str, ...]:
        """Return the caller's fleets."""
        async with self._services.store.read() as connection:
            return await visible_fleets(connection, current_caller())

    async def _host(self, id_or_name: str) -> inventory.Host:
        """Return one host of the caller's."""
        async with self._services.store.read() as connection:
            fleets = await visible_fleets(connection, current_caller())
            return await inventory.find_host(connection, fleets, id_or_name, self._services.clock.now())
