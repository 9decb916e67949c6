"""What an administrator decides in the middle of things: back, once more, one host less, one host now."""

from __future__ import annotations

from typing import Any

from fleetroll.v1 import agents_pb2, rollouts_pb2
from tests.faults.stocks import NEW
from tests.faults.virtual_disk import PRODUCT


class Steered:
    """Calls of a world, whose connection they use."""

    call: Any
    rollouts: Any
    hosts_stub: Any
    show: Any

    async def roll_back(
        self, rollout_id: str, mode: str = "all", **values: Any
    ) -> rollouts_pb2.RollBackRolloutResponse:
        """Take it back, on what is shown now; return the answer."""
        shown = await self.show(rollout_id)
        request = rollouts_pb2.RollBackRolloutRequest(
            rollout_id=rollout_id,
            mode=rollouts_pb2.RollBackMode.Value(f"ROLL_BACK_MODE_{mode.upper()}"),
            **{"decision_revision": shown.decision_revision, "reason": "it eats the disk", **values},
        )
        answer: rollouts_pb2.RollBackRolloutResponse = await self.call(self.rollouts.RollBackRollout, request)
        return answer

    async def retry(self, rollout_id: str, **values: Any) -> None:
        """Let its failed hosts try again, on what is shown now."""
        seen = (await self.show(rollout_id)).decision_revision
        said: dict[str, Any] = {"decision_revision": seen, "reason": "again"} | values
        await self.call(self.rollouts.RetryRollout, rollouts_pb2.RetryRolloutRequest(rollout_id=rollout_id, **said))

    async def skip(self, rollout_id: str, name: str) -> None:
        """Leave a host out."""
        request = rollouts_pb2.SkipHostRequest(rollout_id=rollout_id, agent=name, reason="not this one")
        await self.call(self.rollouts.SkipHost, request)

    async def direct(self, name: str, **values: Any) -> agents_pb2.DirectAttempt:
        """Update one host now."""
        request = agents_pb2.UpdateAgentRequest(agent=name, **{"product": PRODUCT, "version": NEW, **values})
        begun: agents_pb2.DirectAttempt = (await self.call(self.hosts_stub.UpdateAgent, request)).attempt
        return begun

    async def direct_back(self, name: str, **values: Any) -> agents_pb2.DirectAttempt:
        """Take one host back now."""
        request = agents_pb2.RollBackAgentRequest(agent=name, **{"product": PRODUCT, **values})
        begun: agents_pb2.DirectAttempt = (await self.call(self.hosts_stub.RollBackAgent, request)).attempt
        return begun
