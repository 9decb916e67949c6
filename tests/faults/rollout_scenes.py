"""Fleets for one situation: built in a line, led to a stage, left to work."""

from __future__ import annotations

from typing import Any

from fleetroll_server.domain.limits import RolloutLimits
from fleetroll_server.domain.states import AttemptState
from tests.faults.rollout_walk import well
from tests.faults.rollout_world import World

A = AttemptState


def fleet(*waves: int, offline: tuple[str, ...] = (), **limits: Any) -> World:
    """Build a fleet of hosts "h1", "h2" … in waves of these sizes; ``offline`` ones sleep."""
    names = iter(f"h{number}" for number in range(1, sum(waves) + 1))
    planned = [{next(names): ("os=linux",) for _ in range(size)} for size in waves]
    world = World(planned, RolloutLimits(**limits), offline=offline)
    for name in offline:
        world.die(world.hosts[name])
    return world


def states(world: World) -> dict[str, AttemptState]:
    """Return what the server believes of each host."""
    return {name: row.state for name, row in world.server.hosts.items()}


def work(world: World, *, bad: tuple[str, ...] = (), rounds: int = 60) -> None:
    """Let everybody work; hosts in ``bad`` go back as soon as they are on trial."""
    for _ in range(rounds):
        for host in world.hosts.values():
            while host.alive and not (host.name in bad and host.stage is A.TRIAL) and well(world, host):
                world.judge()
            if host.name in bad and host.stage is A.TRIAL:
                world.go_bad(host, A.ROLLED_BACK)
                world.judge()
        world.pass_time(1)
        world.judge()


def up_to(world: World, name: str, stage: AttemptState) -> None:
    """Let one host work until it stands there."""
    host = world.hosts[name]
    for _ in range(30):
        if host.stage is stage and not host.journal:
            return
        assert well(world, host)
    raise AssertionError(f"{name} never came to {stage}")
