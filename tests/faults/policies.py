"""Policies in tests on worlds: what an administrator sets, and windows beside the world's clock."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from google.protobuf.duration_pb2 import Duration

from fleetroll.v1 import policy_pb2, policy_pb2_grpc, rollouts_pb2
from fleetroll_common.values.windows import DAYS
from tests.faults.stocks import FLEET

if TYPE_CHECKING:
    from tests.faults.worlds import World

LISTS = frozenset({"windows", "blackouts"})
TIMES = frozenset({"bake", "soak", "lease", "not_after"})
OWN = frozenset({"channel", "pin", "allow_major", "updates_off"})


def stub(world: World) -> Any:
    """Return the service's stub."""
    return policy_pb2_grpc.PolicyServiceStub(world.channel)


def values(**said: Any) -> policy_pb2.PolicyValues:
    """Return values by their names on the wire; lists as lists, times in seconds."""
    wire = policy_pb2.PolicyValues()
    for name, value in said.items():
        if name in LISTS:
            getattr(wire, name).CopyFrom(policy_pb2.PolicyTexts(texts=value))
        elif name in OWN:
            setattr(wire, name, value)
        elif name == "expected":
            wire.expected.CopyFrom(seconds(value))
        elif name in TIMES:
            getattr(wire.limits, name).CopyFrom(seconds(value))
        else:
            wire.limits.MergeFrom(rollouts_pb2.RolloutLimits(**{name: value}))
    return wire


def seconds(value: float) -> Duration:
    """Return a duration."""
    wire = Duration()
    wire.FromTimedelta(timedelta(seconds=value))
    return wire


async def rule(world: World, *unset: str, host: str = "", fleet: str = FLEET, **said: Any) -> Any:
    """Set and unset fields, for the fleet, or a host by its name; return the answer."""
    product = said.pop("product", "")
    agent_id = world.agent(host).disk.agent_id if host else ""
    level = policy_pb2.PolicyLevel(fleet_id=fleet, agent_id=agent_id, product=product)
    stands = await world.call(stub(world).GetPolicy, policy_pb2.GetPolicyRequest(level=level))
    request = policy_pb2.SetPolicyRequest(
        level=level, serial=stands.documents[0].serial, set=values(**said), unset=unset, reason="a test"
    )
    return await world.call(stub(world).SetPolicy, request)


def window(world: World, begins_minutes: int, length_minutes: int, zone: str = "UTC") -> str:
    """Return a window that opens so many minutes from now by the world's clock, on that day of the week alone."""
    begins = world.clock.now() + timedelta(minutes=begins_minutes)
    ends = begins + timedelta(minutes=length_minutes)
    return f"{DAYS[begins.weekday()]} {begins:%H:%M}-{ends:%H:%M} {zone}"
