"""Random walks through a rollout; the same seed walks the same way. At last everybody is well, and it must end."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from fleetroll_server.domain.limits import OfflinePolicy, RolloutLimits
from fleetroll_server.domain.states import BEFORE_GO, ENDED_ROLLOUT, FINAL, AttemptState, RolloutState
from tests.faults.rollout_rows import SCOPES
from tests.faults.rollout_world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.rollout_world import Host

GOOD: dict[str, Callable[[World, Host], bool]] = {
    "connect": World.connect,
    "flush": World.flush,
    "read": World.read,
    "stage": World.stage,
    "apply": World.apply,
    "ask": World.ask_in_time,
    "stop before switch": World.stop_before_switch,
    "restart": World.restart,
    "commit": World.commit,
}
"""What a host does by itself when all is well; the order is the one in which it would."""
STRANGE: dict[str, Callable[[World, Host], bool]] = {
    "cut": World.cut,
    "notice": World.notice,
    "goodbye": World.goodbye,
    "die": World.die,
    "revive": World.revive,
    "lose the ack": lambda world, host: world.flush(host, ack=False),
    "ask": World.ask,
    "ask late": World.ask_late,
    "soak": World.soak,
    "fail": lambda world, host: world.go_bad(host, AttemptState.FAILED),
    "roll back": lambda world, host: world.go_bad(host, AttemptState.ROLLED_BACK),
    "fail to roll back": lambda world, host: world.go_bad(host, AttemptState.ROLLBACK_FAILED),
    "go back late": World.go_back_late,
    "start anew": World.start_anew,
    "quarantine": World.quarantine,
}
PEOPLE: dict[str, Callable[[World], bool]] = {
    "pause": World.pause,
    "resume": World.resume,
    "advance": World.advance,
    "cancel": lambda world: world.cancel(let_finish=False),
    "cancel, let finish": lambda world: world.cancel(let_finish=True),
    "kill": World.kill,
    "lift": World.lift,
}
SECONDS = (1.0, 5.0, 20.0, 61.0, 95.0, 400.0, 3600.0, 90_000.0)


def any_world(chance: random.Random) -> World:
    """Build a small fleet with limits of any kind."""
    count = chance.randint(1, 6)
    names = [f"host-{number}" for number in range(count)]
    cut = chance.randint(0, count - 1)
    waves = [
        {name: (f"arch={chance.choice('ab')}", "os=linux") for name in part}
        for part in (names[:cut], names[cut:])
        if part
    ]
    limits = RolloutLimits(
        max_concurrent=chance.randint(1, 3),
        max_failed=chance.randint(1, 3),
        failure_limit=chance.choice((0.02, 0.3, 1.0)),
        min_sample=chance.randint(1, 3),
        bake_seconds=chance.choice((0.0, 0.0, 15.0)),
        max_downloading=chance.choice((1, 2, 50)),
        offline_policy=chance.choice((OfflinePolicy.WAIT, OfflinePolicy.WAIT, *OfflinePolicy)),
    )
    offline = [name for name in names if chance.random() < 0.15]
    return World(waves, limits, manual=chance.random() < 0.2, offline=offline)


def late_world(chance: random.Random) -> World:
    """Build a fleet whose rollout completed while some of every wave slept; now they are awake, not connected yet."""
    count = chance.randint(2, 6)
    names = [f"host-{number}" for number in range(count)]
    cut = chance.choice((count, chance.randint(1, count - 1)))
    parts = [part for part in (names[:cut], names[cut:]) if part]
    waves = [{name: (f"arch={chance.choice('ab')}", "os=linux") for name in part} for part in parts]
    asleep = [name for part in parts for name in part[1:] if chance.random() < 0.8] or [names[1]] * (cut == count)
    limits = RolloutLimits(
        max_concurrent=chance.randint(1, 3),
        max_failed=chance.randint(1, 3),
        failure_limit=chance.choice((0.3, 1.0)),
        offline_policy=OfflinePolicy.WAIT,
    )
    world = World(waves, limits, offline=asleep)
    awake = [host for name, host in world.hosts.items() if name not in asleep]
    for _ in range(20 * count):
        for host in awake:
            well(world, host)
        world.judge()
        world.pass_time(1)
    assert world.server.state is RolloutState.COMPLETED, world.server.summary()
    assert world.server.late.left == len(asleep)
    return world


def walk(seed: int, steps: int, build: Callable[[random.Random], World] = any_world) -> World:
    """Walk, judge after every step, then settle; the seed stands in what is raised."""
    chance = random.Random(seed)
    world = build(chance)
    try:
        for _ in range(steps):
            if _stride(world, chance):
                world.judge()
        settle(world)
    except (AssertionError, ValueError) as error:
        error.add_note(f"walk {seed}")
        raise
    return world


def _stride(world: World, chance: random.Random) -> bool:
    """Do one thing: mostly what hosts do when all is well."""
    host = world.hosts[chance.choice(list(world.hosts))]
    kind = chance.random()
    if kind < 0.8:
        return well(world, host)
    if kind < 0.9:
        return STRANGE[chance.choice(list(STRANGE))](world, host)
    if kind < 0.925:
        return PEOPLE[chance.choice([name for name in PEOPLE if "cancel" not in name or chance.random() < 0.1])](world)
    if kind < 0.935:
        return world.outage(chance.choice(SECONDS[:6]), restart=chance.random() < 0.8)
    return world.pass_time(chance.choice(SECONDS[:6] if chance.random() < 0.95 else SECONDS))


def well(world: World, host: Host) -> bool:
    """Let a host do the first thing that is to be done; a new session forgets one that broke."""
    return any(act(world, host) for act in GOOD.values())


def settle(world: World) -> None:
    """Make everybody well, let people continue, and assert that the rollout comes to its end."""
    world.lift()
    for host in world.hosts.values():
        if host.name in world.server.quarantined:
            world.quarantine(host)
        world.revive(host)
    for _ in range(40 + 12 * len(world.hosts)):
        if world.server.state in ENDED_ROLLOUT and _is_quiet(world) and not _late_left(world):
            break
        _everybody_works(world)
        world.judge()
        _ = world.advance() or world.resume()
        world.pass_time(5)
    assert world.server.state in ENDED_ROLLOUT, f"it does not end: {world.server.summary()}"
    assert not _late_left(world), f"late hosts that are there are not offered it: {world.server.late}"
    _late_hosts_expire(world)
    world.judge()
    _check_end(world)


def _everybody_works(world: World) -> None:
    """Let every host do all that it can do now."""
    for host in world.hosts.values():
        if host.epoch and not world._talks(host):
            world.cut(host)
        for _ in range(40):
            if not well(world, host):
                break
            world.judge()


def _is_quiet(world: World) -> bool:
    """Tell whether no host has anything to do or to say."""
    working = [host for host in world.hosts.values() if host.journal or host.stage not in {None, AttemptState.STAGED}]
    return not working


def _late_left(world: World) -> bool:
    """Tell whether a completed rollout has late hosts to offer still."""
    server = world.server
    return server.state is RolloutState.COMPLETED and server.late.left > 0 and server.now < server.not_after


def _late_hosts_expire(world: World) -> None:
    """Hosts that were away when everything had passed are late: their time ends as well."""
    if world.server.state is RolloutState.COMPLETED:
        world.pass_time(world.server.limits.not_after_seconds + 3600)
    for _ in range(3):
        _everybody_works(world)


def _check_end(world: World) -> None:
    """Every host has exactly one result, and budgets hold nothing of a fleet in which nothing is broken."""
    server = world.server
    for host in server.hosts.values():
        assert host.state in FINAL, f"{host.name} ends {host.state}"
    staged = [host.name for host in world.hosts.values() if host.stage in BEFORE_GO]
    assert not staged, f"{staged} hold an attempt for ever"
    for scope in SCOPES:
        assert server.budgets[scope].in_use == 0, f"{scope}: {server.budgets[scope]}"
    for name, there in world.hosts.items():
        counts = sum(there.unproven.values())
        assert counts <= server.counted.count(name) + (name in server.owed), f"{name} counts what was excused: {there}"
        if server.hosts[name].state is not AttemptState.ROLLBACK_FAILED:
            assert not [key for key in server.charges if key[0] == name], f"{name} holds {server.charges}"
