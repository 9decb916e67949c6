"""A second administrator, and labels of hosts: what approvals, selections and previews are tried with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll.v1 import options_pb2, rollouts_pb2, tokens_pb2, tokens_pb2_grpc
from fleetroll_server.store.tables import AgentRow, table_of
from tests.faults.stocks import FLEET

if TYPE_CHECKING:
    from tests.faults.worlds import World


@dataclass
class Second:
    """Holds a token of their own."""

    world: World
    token_id: str
    secret: str

    async def call(self, method: Any, request: Any) -> Any:
        """Call a method of a stub with this token."""
        return await method(request, metadata=(("authorization", f"Bearer {self.secret}"),), timeout=20)

    async def approve(self, rollout_id: str, revision: int | None = None) -> rollouts_pb2.ApproveRolloutResponse:
        """Approve what waits, on what is shown now."""
        answer: rollouts_pb2.ApproveRolloutResponse = await self.call(
            self.world.rollouts.ApproveRollout, await approval(self.world, rollout_id, revision)
        )
        return answer


async def second(world: World, role: options_pb2.Role.ValueType = options_pb2.ROLE_ADMIN) -> Second:
    """Make a token for somebody else."""
    request = tokens_pb2.CreateApiTokenRequest(name="second", role=role)
    answer = await world.call(tokens_pb2_grpc.TokensServiceStub(world.channel).CreateApiToken, request)
    return Second(world, answer.token.id, answer.secret)


async def approval(world: World, rollout_id: str, revision: int | None = None) -> rollouts_pb2.ApproveRolloutRequest:
    """Build the request, on what is shown now."""
    shown = await world.show(rollout_id)
    given = shown.decision_revision if revision is None else revision
    return rollouts_pb2.ApproveRolloutRequest(rollout_id=rollout_id, decision_revision=given, reason="looked at it")


async def label(world: World, **labels: dict[str, str]) -> None:
    """Give hosts labels, by names with ``_`` for ``-``."""
    table = table_of(AgentRow)
    for name, each in labels.items():
        mine = (table.c.fleet_id == FLEET, table.c.name == name.replace("_", "-"))
        change = sa.update(table).where(*mine).values(labels=each)
        await world.services.store.writer.command(lambda tx, change=change: tx.execute(change))
