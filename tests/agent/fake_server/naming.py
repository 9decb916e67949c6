"""What a fake server tells hosts to begin with: by the real rule for a fleet that has tried nothing, or as scripted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from grpc_status import rpc_status

from fleetroll.v1 import enrolment_pb2
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.version import Version
from fleetroll_server.domain.first_version import Candidate, first_version
from fleetroll_server.rpc.errors import to_status

if TYPE_CHECKING:
    from tests.agent.fake_server.releases import Releases

    Names = list[str | None]


async def name_first(
    request: enrolment_pb2.NameFirstVersionRequest,
    context: grpc.aio.ServicerContext[Any, Any],
    names: Names,
    releases: Releases,
) -> enrolment_pb2.NameFirstVersionResponse:
    """Take the next of ``names`` (None: this server knows no such call); without any, go by the rule."""
    try:
        named = names.pop(0) if names else _newest(request, releases)
    except RequestError as error:
        await context.abort_with_status(rpc_status.to_status(to_status(error)))
    if named is None:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
    ground = enrolment_pb2.FIRST_VERSION_GROUND_UNTRIED
    return enrolment_pb2.NameFirstVersionResponse(version=named, ground=ground)


def _newest(request: enrolment_pb2.NameFirstVersionRequest, releases: Releases) -> str:
    """Return what the rule names."""
    listed = [version for version, channels in releases.channels.items() if request.channel in channels]
    if not listed:
        raise RequestError("nothing is listed", code=Code.NO_ARTIFACT, remedy="publish one")
    passed_over = [Version.parse(version) for version in request.passed_over]
    return str(first_version([Candidate(Version.parse(version)) for version in listed], passed_over).version)
