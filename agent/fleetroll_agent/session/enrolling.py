"""The one call of a host that is no agent yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from fleetroll.v1 import enrolment_pb2, enrolment_pb2_grpc
from fleetroll_agent.convert import enrolment_of, wire_platform
from fleetroll_agent.identity.facts import Enrolment
from fleetroll_agent.session.channel import connected
from fleetroll_agent.session.faults import call_error, unreachable
from fleetroll_agent.session.meaning import BROKEN_CALL, understood
from fleetroll_common.values.platform import Platform
from fleetroll_common.wire import signing

if TYPE_CHECKING:
    from fleetroll_agent.identity.facts import Candidate
    from fleetroll_common.wire.joinstring import JoinString

CALL_SECONDS = 30.0


async def ask_to_enrol(
    join: JoinString, candidate: Candidate, host_name: str, labels: dict[str, str], agent_id: str = ""
) -> Enrolment:
    """Prove the key and spend the token at the first address that answers; asking again spends nothing more.

    ``agent_id`` is the agent that this host is and would be again; empty: it is new.

    Raises:
        AgentError: UNAVAILABLE: no server answered; ask again, with the same key.
        RequestError: the server refused, with its reason and the field at fault; INVALID_ARGUMENT without a field: what
            it sent is no answer.
    """
    key = signing.public_key(candidate.private_key)
    request = enrolment_pb2.EnrollRequest(
        token=join.token,
        public_key=key,
        signature=signing.sign(candidate.private_key, signing.enroll_bytes(join.token, key)),
        host_name=host_name,
        platform=wire_platform(Platform.current()),
        labels=labels,
        root_sha256=join.root_sha256,
        ratchet=candidate.ratchet.current,
        agent_id=agent_id,
    )
    last: Exception | None = None
    for address in join.addresses:
        answer = await _ask(address, join.ca_pem, request)
        if isinstance(answer, Enrolment):
            return answer
        last = answer
    raise unreachable(join.addresses, last) from last


async def _ask(address: str, ca_pem: bytes, request: enrolment_pb2.EnrollRequest) -> Enrolment | Exception:
    """Return the answer at ``address``, or why another address may be worth a try."""
    try:
        async with connected(address, ca_pem) as channel:
            stub = enrolment_pb2_grpc.EnrolmentServiceStub(channel)
            return understood(await stub.Enroll(request, timeout=CALL_SECONDS), enrolment_of)
    except grpc.aio.AioRpcError as error:
        if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            raise call_error(error) from error
        return error
    except (OSError, *BROKEN_CALL) as error:
        return error
