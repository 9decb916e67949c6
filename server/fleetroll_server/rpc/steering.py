"""RolloutsService: the way back, another try, and one host less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll.v1 import rollouts_pb2 as pb
from fleetroll_server.access.caller import current_caller
from fleetroll_server.engine import retrying, reverting, skipping
from fleetroll_server.engine.actor import Actor
from fleetroll_server.rpc import requests
from fleetroll_server.rpc.convert_rollouts import exclusion_to_wire, limits_from_wire, mode_from_wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import grpc

    from fleetroll_server.engine.repeated import LeftOut
    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

    Context = grpc.aio.ServicerContext[Any, Any]


class Steering:
    """Calls for the servicer of rollouts to take up."""

    _services: Services

    async def RollBackRollout(self, request: pb.RollBackRolloutRequest, context: Context) -> pb.RollBackRolloutResponse:  # noqa: ARG002
        """Start the rollout that takes this one back."""
        reason, actor, mode = requests.reason(request.reason), actor_now(), mode_from_wire(request)
        said, services = limits_from_wire(request.limits), self._services
        started: list[tuple[str, tuple[LeftOut, ...]]] = []

        async def decide(tx: Tx, fleet: str) -> None:
            order = reverting.BackOrder(request.rollout_id, fleet, mode, request.wave, reason, said)
            started[:] = [await reverting.roll_back(tx, services, order, actor, request.decision_revision)]

        rollout = await self._decide(request.rollout_id, decide)
        revert_id, left_out = started[0]
        return pb.RollBackRolloutResponse(
            rollout=rollout,
            revert=await self._rollout(revert_id),
            exclusions=[exclusion_to_wire(found) for found in left_out],
        )

    async def RetryRollout(self, request: pb.RetryRolloutRequest, context: Context) -> pb.RetryRolloutResponse:  # noqa: ARG002
        """Let hosts that went bad try again."""
        reason, actor = requests.reason(request.reason, required=request.retry_bad), actor_now()
        wish = retrying.Retry(request.decision_revision, reason, request.retry_bad)
        rollout = await self._decide(
            request.rollout_id,
            lambda tx, fleet: retrying.retry(tx, self._services, request.rollout_id, fleet, actor, wish),
        )
        return pb.RetryRolloutResponse(rollout=rollout)

    async def SkipHost(self, request: pb.SkipHostRequest, context: Context) -> pb.SkipHostResponse:  # noqa: ARG002
        """Leave one host out."""
        reason, actor = requests.reason(request.reason), actor_now()
        name = requests.text("agent", request.agent, at_least=1, at_most=requests.MAX_NAME_CHARS)
        rollout = await self._decide(
            request.rollout_id,
            lambda tx, fleet: skipping.skip(tx, self._services, request.rollout_id, fleet, name, actor, reason),
        )
        return pb.SkipHostResponse(rollout=rollout)

    async def _decide(
        self, rollout_id: str, job: Callable[[Tx, str], Awaitable[None]], *, urgent: bool = False
    ) -> pb.Rollout:
        raise NotImplementedError

    async def _rollout(self, rollout_id: str) -> pb.Rollout:
        raise NotImplementedError


def actor_now() -> Actor:
    """Return who calls."""
    caller = current_caller()
    return Actor(caller.actor_kind, caller.actor_id)
