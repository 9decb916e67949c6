"""Why a host is not updating, from the domain to the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll.v1 import rollouts_pb2 as pb
from fleetroll_server.rpc.convert import attempt_state, reason_code, set_instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fleetroll_server.domain.why import Standing


def explanation_to_wire(agent: Mapping[str, Any], product: str, found: Iterable[Standing]) -> pb.ExplainHostResponse:
    """Return how a host stands."""
    standings = [_standing(one) for one in found]
    return pb.ExplainHostResponse(agent_id=agent["id"], name=agent["name"], product=product, standings=standings)


def _standing(one: Standing) -> pb.HostStanding:
    wire = pb.HostStanding(
        rollout_id=one.rollout_id,
        version=one.version,
        state=attempt_state(one.state.value),
        wave=one.wave,
        next=pb.NextStep.Value(f"NEXT_STEP_{one.next.upper()}"),
    )
    for finding in one.findings:
        said = wire.findings.add(code=reason_code(finding.code.value), message=finding.message[:500])
        set_instant(said.clears_at, finding.clears_at)
    return wire
