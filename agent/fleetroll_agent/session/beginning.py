"""What the server names for a host that has no version yet: a name among signed releases, and nothing more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from fleetroll.v1 import enrolment_pb2, enrolment_pb2_grpc
from fleetroll_agent.convert import wire_platform
from fleetroll_agent.jobs.values import PRODUCT
from fleetroll_agent.session.faults import call_error
from fleetroll_agent.session.meaning import BROKEN_CALL, understood
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError, RequestError
from fleetroll_common.values.platform import Platform
from fleetroll_common.wire.handshake import SESSION_TOKEN_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fleetroll_common.values.version import Version

CALL_SECONDS = 30.0
_STATE = "this host is enrolled and keeps its identity, but nothing is installed"
_WORDS = {
    enrolment_pb2.FIRST_VERSION_GROUND_COMPLETED: "the newest that a rollout of this fleet completed",
    enrolment_pb2.FIRST_VERSION_GROUND_UNTRIED: "as no rollout of this fleet has completed a release yet",
}


class Naming:
    """Asks one server which release to begin with."""

    def __init__(self, channel: grpc.aio.Channel, token: Callable[[], bytes]) -> None:
        """Ask over the session's ``channel``; ``token`` gives the session's newest token."""
        self._stub = enrolment_pb2_grpc.EnrolmentServiceStub(channel)
        self._token = token

    async def name_first(self, channel: str, passed_over: Sequence[Version]) -> tuple[str, str]:
        """Return the version that the server names, unchecked, and in words what speaks for it.

        Args:
            channel: that the release must be in.
            passed_over: what does not work on this host.

        Raises:
            RequestError: the server names none and says why; UNIMPLEMENTED: it is older than this program;
                INVALID_ARGUMENT: what it sent is no answer.
            AgentError: UNAVAILABLE: no answer came.
        """
        request = enrolment_pb2.NameFirstVersionRequest(
            product=PRODUCT,
            channel=channel,
            platform=wire_platform(Platform.current()),
            passed_over=[str(version) for version in passed_over],
        )
        metadata = ((SESSION_TOKEN_KEY, self._token()),)
        try:
            answer = await self._stub.NameFirstVersion(request, metadata=metadata, timeout=CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise _refusal(error) from error
        except BROKEN_CALL as error:
            text = f"{_STATE}: the session ended"
            raise AgentError(text, code=Code.UNAVAILABLE, remedy="run enroll again") from error
        return understood(answer, lambda said: (said.version, _WORDS.get(said.ground, "as the server names it")))


def _refusal(error: grpc.aio.AioRpcError) -> FleetrollError:
    """Return what a failed call means. A server that can't name one is not guessed for: the newest may be a bad one."""
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        text = f"{_STATE}: the server did not answer: {error.details() or error.code().name}"
        return AgentError(text, code=Code.UNAVAILABLE, remedy="run enroll again")
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        text = f"{_STATE}: this server is too old to say which release a host should begin with"
        return RequestError(text, code=Code.UNIMPLEMENTED, remedy="update the server, then run enroll again")
    meant = call_error(error)
    return RequestError(f"{_STATE}: {meant.message}", code=meant.code, remedy=meant.remedy or "run enroll again")
