"""Whom a fake server's tokens are for: by the real rule, in the real form of a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grpc_status import rpc_status

from fleetroll_common.values.errors import RequestError
from fleetroll_server.identity.addressee import check_addressee
from fleetroll_server.rpc.errors import to_status

if TYPE_CHECKING:
    import grpc

    from fleetroll.v1 import enrolment_pb2

READMIT = "readmit:"
"""Before the agent's id: a readmission token."""


async def refuse_others(request: enrolment_pb2.EnrollRequest, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    """End the call when the token is for another host."""
    named = request.token.removeprefix(READMIT) if request.token.startswith(READMIT) else ""
    try:
        check_addressee(named, request.agent_id)
    except RequestError as error:
        await context.abort_with_status(rpc_status.to_status(to_status(error)))
