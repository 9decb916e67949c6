"""RecoveryService: a restored server takes its fleet back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll.v1 import recovery_pb2 as pb
from fleetroll.v1 import recovery_pb2_grpc
from fleetroll_publishing.roles import read_repository
from fleetroll_server.access.caller import current_caller
from fleetroll_server.access.fleets import require_all_fleets, visible_fleets
from fleetroll_server.catalogue.keys import load_signers
from fleetroll_server.catalogue.metadata import current_files
from fleetroll_server.recovery import people
from fleetroll_server.recovery.bringing import bring
from fleetroll_server.recovery.missing import still_missing
from fleetroll_server.recovery.reads import standing
from fleetroll_server.recovery.roots import unheld_roles
from fleetroll_server.recovery.signing_above import sign_above
from fleetroll_server.recovery.state import Cause
from fleetroll_server.rpc import requests

if TYPE_CHECKING:
    import grpc

    from fleetroll_server.recovery.reads import Standing
    from fleetroll_server.services import Services

    Context = grpc.aio.ServicerContext[Any, Any]

MAX_IDS = 1000
MAX_REASON = 500
_CAUSES = {
    Cause.RESTORED: pb.RECOVERY_CAUSE_RESTORED,
    Cause.WENT_BACK: pb.RECOVERY_CAUSE_WENT_BACK,
}


class RecoveryServicer(recovery_pb2_grpc.RecoveryServiceServicer):
    """Shows, approves, takes, ends."""

    def __init__(self, services: Services) -> None:
        """Work on ``services``."""
        self._services = services

    async def GetRecovery(self, request: pb.GetRecoveryRequest, context: Context) -> pb.GetRecoveryResponse:  # noqa: ARG002
        """Show where it stands."""
        return pb.GetRecoveryResponse(recovery=await self._recovery())

    async def ApproveHosts(self, request: pb.ApproveHostsRequest, context: Context) -> pb.ApproveHostsResponse:  # noqa: ARG002
        """Let younger hosts have updates."""
        services, caller = self._services, current_caller()
        reason, ids = requests.reason(request.reason, required=True), tuple(request.agent_ids)
        if len(ids) > MAX_IDS:
            raise requests.invalid("agent_ids", f"{len(ids)} hosts, at most {MAX_IDS} at a time")
        async with services.store.read() as connection:
            fleets = await visible_fleets(connection, caller)
        done = await services.store.writer.command(
            lambda tx: people.approve(tx, ids, request.hosts_listed, fleets, caller, reason)
        )
        return pb.ApproveHostsResponse(agent_ids=done)

    async def BringMetadata(self, request: pb.BringMetadataRequest, context: Context) -> pb.BringMetadataResponse:  # noqa: ARG002
        """Take what was signed in the time that the database has lost."""
        caller = current_caller()
        require_all_fleets(caller)
        files = {file.name: file.payload for file in request.files}
        if len(files) != len(request.files):
            raise requests.invalid("files", "a name is there twice")
        taken = await bring(self._services, files, caller, requests.reason(request.reason))
        return pb.BringMetadataResponse(taken=taken, recovery=await self._recovery())

    async def EndRecovery(self, request: pb.EndRecoveryRequest, context: Context) -> pb.EndRecoveryResponse:  # noqa: ARG002
        """Let the server offer again."""
        services, caller = self._services, current_caller()
        require_all_fleets(caller)
        reason, not_seen = requests.reason(request.reason, required=True), request.hosts_not_seen
        await services.store.writer.command(lambda tx: people.end(tx, not_seen, caller, reason))
        await sign_above(services)
        return pb.EndRecoveryResponse(recovery=await self._recovery())

    async def _recovery(self) -> pb.Recovery:
        async with self._services.store.read() as connection:
            fleets = await visible_fleets(connection, current_caller())
            stands = await standing(connection, fleets)
            repository = read_repository(await current_files(connection))
            signers = await load_signers(connection, self._services.secrets)
        answer = _to_wire(stands)
        answer.keys_missing.extend(unheld_roles(repository.root, signers))
        if stands.recovery is not None:
            for role, version in still_missing(stands.recovery, repository).items():
                answer.missing.add(
                    role=role, version=version, reason=stands.recovery.refused.get(role, "")[:MAX_REASON]
                )
        return answer


def _to_wire(stands: Standing) -> pb.Recovery:
    """Return it as the contract has it."""
    answer = pb.Recovery(
        incarnation=stands.incarnation,
        hosts_known=stands.known,
        hosts_seen=stands.seen,
        hosts_not_seen=stands.not_seen,
        unconfirmed=stands.unconfirmed,
    )
    for row in stands.younger:
        host = answer.younger.add(agent_id=row["id"], name=row["name"], fleet_id=row["fleet_id"])
        host.came_at.FromDatetime(row["enrolled_at"])
    recovery = stands.recovery
    if recovery is None:
        return answer
    answer.active, answer.cause = recovery.active, _CAUSES[recovery.cause]
    answer.stops_read, answer.suspended_tokens = recovery.stops_read, recovery.suspended_tokens
    answer.since.FromDatetime(recovery.since)
    if recovery.taken_at is not None:
        answer.taken_at.FromDatetime(recovery.taken_at)
    if recovery.blind_from is not None:
        answer.blind_from.FromDatetime(recovery.blind_from)
    return answer
