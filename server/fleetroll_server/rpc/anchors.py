"""AnchorsService: where hosts find this fleet's servers, whom they trust there, and the CA behind it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fleetroll.v1 import anchors_pb2 as pb
from fleetroll.v1 import anchors_pb2_grpc
from fleetroll_common.values.anchors import MAX_ANCHORS, address_fault, certificate_fault
from fleetroll_server.access.caller import current_caller
from fleetroll_server.access.fleets import require_all_fleets
from fleetroll_server.anchoring.changing import Changing, Wanted
from fleetroll_server.anchoring.reported import count_serials
from fleetroll_server.anchoring.standing import standing
from fleetroll_server.certificates import ends_at, fingerprint
from fleetroll_server.rpc import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import grpc

    from fleetroll_server.access.caller import Caller
    from fleetroll_server.anchoring.standing import Standing
    from fleetroll_server.authority import Authority
    from fleetroll_server.services import Services

    Context = grpc.aio.ServicerContext[Any, Any]


class AnchorsServicer(anchors_pb2_grpc.AnchorsServiceServicer):
    """Shows and changes anchors."""

    def __init__(self, services: Services) -> None:
        """Work on ``services``."""
        self._services = services
        self._changing = Changing(services)

    async def GetAnchors(self, request: pb.GetAnchorsRequest, context: Context) -> pb.GetAnchorsResponse:  # noqa: ARG002
        """Show everything."""
        _caller()
        return pb.GetAnchorsResponse(state=await self._state())

    async def SetAnchors(self, request: pb.SetAnchorsRequest, context: Context) -> pb.SetAnchorsResponse:  # noqa: ARG002
        """Sign other addresses or CAs."""
        caller = _caller()
        wanted = Wanted(
            addresses=_listed("addresses", request.addresses, address_fault),
            certificates=_listed("certificates", request.certificates, certificate_fault),
            expected_serial=request.expected_serial if request.HasField("expected_serial") else None,
            force=request.force,
            reason=requests.reason(request.reason, required=request.force),
        )
        await self._changing.set(wanted, caller)
        return pb.SetAnchorsResponse(state=await self._state())

    async def PrepareAuthority(
        self,
        request: pb.PrepareAuthorityRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.PrepareAuthorityResponse:
        """Make the CA's successor and list both."""
        await self._changing.prepare(_caller(), requests.reason(request.reason))
        return pb.PrepareAuthorityResponse(state=await self._state())

    async def SwitchAuthority(
        self,
        request: pb.SwitchAuthorityRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.SwitchAuthorityResponse:
        """Let the successor sign."""
        caller = _caller()
        reason = requests.reason(request.reason, required=request.force)
        await self._changing.switch(caller, reason, force=request.force)
        return pb.SwitchAuthorityResponse(state=await self._state())

    async def DropAuthority(self, request: pb.DropAuthorityRequest, context: Context) -> pb.DropAuthorityResponse:  # noqa: ARG002
        """List no other CA than this server's own."""
        await self._changing.drop(_caller(), requests.reason(request.reason))
        return pb.DropAuthorityResponse(state=await self._state())

    async def _state(self) -> pb.AnchorsState:
        """Return how things stand."""
        services = self._services
        authority = await asyncio.to_thread(services.leaf.authority)
        async with services.store.read() as connection:
            held = await standing(connection, services)
            counts = await count_serials(connection)
        state = pb.AnchorsState(
            serial=held.serial,
            addresses=held.addresses,
            authorities=_authorities(held, authority),
            leaf_fingerprint=fingerprint(services.leaf.chain[0]),
            reported=[pb.ReportedSerial(serial=serial, hosts=hosts) for serial, hosts in counts.items()],
            signs_here=await self._changing.signs_here(),
        )
        state.leaf_expires_at.FromDatetime(services.leaf.ends_at)
        return state


def _caller() -> Caller:
    """Return who asks: anchors and the CA are those of every fleet.

    Raises:
        RequestError: PERMISSION_DENIED (caller's fault).
    """
    caller = current_caller()
    require_all_fleets(caller)
    return caller


def _listed(field: str, values: Sequence[str], fault_of: Callable[[str], str]) -> tuple[str, ...]:
    """Return a list of the request as it may be signed; empty stays empty.

    Raises:
        RequestError: INVALID_ARGUMENT (caller's fault).
    """
    if len(values) > MAX_ANCHORS or len(set(values)) != len(values):
        raise requests.invalid(field, f"{len(values)} of them; at most {MAX_ANCHORS} are allowed, each once")
    for value in values:
        if fault := fault_of(value):
            raise requests.invalid(field, fault)
    return tuple(values)


def _authorities(held: Standing, authority: Authority) -> list[pb.Authority]:
    """Return every CA, the listed ones first."""
    own = [one.decode("ascii") for one in (authority.certificate, authority.successor) if one is not None]
    roles = dict(zip(own, (pb.AUTHORITY_ROLE_CURRENT, pb.AUTHORITY_ROLE_NEXT), strict=False))
    return [
        _authority(certificate, roles.get(certificate, pb.AUTHORITY_ROLE_OLD), listed=certificate in held.certificates)
        for certificate in dict.fromkeys((*held.certificates, *own))
    ]


def _authority(certificate: str, role: pb.AuthorityRole.ValueType, *, listed: bool) -> pb.Authority:
    """Return one CA."""
    data = certificate.encode("ascii")
    one = pb.Authority(fingerprint=fingerprint(data), role=role, certificate=certificate, listed=listed)
    one.expires_at.FromDatetime(ends_at(data))
    return one
