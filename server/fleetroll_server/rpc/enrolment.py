"""EnrolmentService: how a host becomes an agent, and what it begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import enrolment_pb2 as pb
from fleetroll.v1 import enrolment_pb2_grpc, reasons_pb2
from fleetroll_common.wire.macs import enrolment_mac
from fleetroll_server.access.caller import current_agent
from fleetroll_server.anchoring.standing import standing_in
from fleetroll_server.catalogue.first import name_first
from fleetroll_server.catalogue.metadata import current_files
from fleetroll_server.identity.addressee import MAX_AGENT_ID_CHARS
from fleetroll_server.identity.enrolment import Claim, check_claim, enroll
from fleetroll_server.identity.joinstrings import root_of
from fleetroll_server.rpc import requests
from fleetroll_server.rpc.convert_first import first_version_to_wire, wanted_of

if TYPE_CHECKING:
    import grpc

    from fleetroll_server.anchoring.standing import Standing
    from fleetroll_server.identity.enrolment import Identity
    from fleetroll_server.services import Services

MAX_HOST_NAME_CHARS = 253


class EnrolmentServicer(enrolment_pb2_grpc.EnrolmentServiceServicer):
    """Lets hosts in."""

    def __init__(self, services: Services) -> None:
        """Work on ``services``."""
        self._services = services

    async def Enroll(
        self,
        request: pb.EnrollRequest,
        context: grpc.aio.ServicerContext[Any, Any],  # noqa: ARG002
    ) -> pb.EnrollResponse:
        """Check the claim, commit the identity, answer with all that the first hello needs."""
        claim = Claim(
            token=request.token,
            public_key=request.public_key,
            signature=request.signature,
            host_name=requests.text("host_name", request.host_name, at_least=1, at_most=MAX_HOST_NAME_CHARS),
            platform=requests.platform(request.platform),
            labels=requests.labels(request.labels),
            ratchet=request.ratchet,
            agent_id=requests.text("agent_id", request.agent_id, at_most=MAX_AGENT_ID_CHARS),
        )
        check_claim(claim)
        services = self._services
        async with services.store.read() as connection:
            files = await current_files(connection)
        root, held = root_of(files, request.root_sha256), standing_in(services, files)
        if root is None:
            raise requests.invalid("root_sha256", "this server has no such trust root: is the join string its own?")
        fresh_id = services.ids.new("agent")
        identity = await services.store.writer.command(lambda tx: enroll(tx, claim, fresh_id, self._end_session))
        return self._answer(identity, claim, root, held)

    async def NameFirstVersion(
        self,
        request: pb.NameFirstVersionRequest,
        context: grpc.aio.ServicerContext[Any, Any],  # noqa: ARG002
    ) -> pb.NameFirstVersionResponse:
        """Name what the calling host begins with. Nothing is stored: who asks again gets what holds by then."""
        wanted = wanted_of(request)
        async with self._services.store.read() as connection:
            found = await name_first(connection, current_agent().fleet_id, wanted)
        return first_version_to_wire(found)

    def _answer(self, identity: Identity, claim: Claim, root: bytes, held: Standing) -> pb.EnrollResponse:
        """Return the answer; for the same pair it is the same again, byte for byte, while the anchors are the same."""
        services = self._services
        receipt = pb.EnrolmentReceipt(
            agent_id=identity.agent_id,
            public_key=claim.public_key,
            fleet_id=identity.fleet_id,
            labels=identity.labels,
        ).SerializeToString(deterministic=True)
        return pb.EnrollResponse(
            agent_id=identity.agent_id,
            fleet_id=identity.fleet_id,
            receipt=receipt,
            receipt_mac=enrolment_mac(services.server_key, receipt),
            root=root,
            ca_pem=held.ca_pem,
            addresses=held.addresses,
            incarnation=services.incarnation,
            labels=identity.labels,
        )

    def _end_session(self, agent_id: str) -> None:
        """Cut off whoever holds the replaced key."""
        refusal = stream_pb2.Refusal(
            code=reasons_pb2.REASON_CODE_IDENTITY_FORKED, message="this identity was readmitted with another key"
        )
        self._services.sessions.close(agent_id, stream_pb2.ConnectResponse(refusal=refusal))
