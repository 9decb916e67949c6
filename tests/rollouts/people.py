"""What people decide about rollouts, the kill switch, releases and hosts, through the engine's own calls.

Each returns whether it was possible: what the engine refuses by a :class:`RequestError` did not happen.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.errors import RequestError
from fleetroll_server.access.caller import Caller, Role
from fleetroll_server.domain.limits import OfflinePolicy, RolloutLimits
from fleetroll_server.domain.plan import Selection, WaveSpec
from fleetroll_server.engine import kill, people, starting, yanking
from fleetroll_server.engine.actor import Actor
from fleetroll_server.hosts.decisions import dismiss_host, revoke_host
from fleetroll_server.store.tables import AgentRow, ReleaseRow, table_of
from tests.rollouts.agents import AGENT
from tests.rollouts.first_rows import VERSIONS
from tests.rollouts.servers import FLEET

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx
    from tests.rollouts.agents import Host
    from tests.rollouts.fleets import Fleet

WHO, WHY = Actor("token", "ann"), "a person wants it"
CALLER = Caller("token", "ann", Role.ADMIN, frozenset(), ())
RELEASE, ROW = table_of(ReleaseRow), table_of(AgentRow)
MAX_ROLLOUTS = 8


async def _decide(
    fleet: Fleet, job: Callable[[Tx, Services], Awaitable[Any]], *, about: str = "something", going_on: str = ""
) -> bool:
    """Carry out a decision ``about`` something; ``going_on`` is the rollout that it may let run."""
    if not fleet.up or not about:
        return False
    server = fleet.server
    fleet.judge.allowed |= {going_on} - {""}
    try:
        await server.store.writer.urgent(lambda tx: job(tx, server.services))
    except RequestError:
        fleet.judge.allowed.discard(going_on)
        return False
    await server.carry_on()
    return True


def any_limits(chance: random.Random) -> RolloutLimits:
    """Return limits of any kind."""
    return RolloutLimits(
        max_concurrent=chance.randint(1, 3),
        max_failed=chance.choice((1, 1, 2, 3)),
        failure_limit=chance.choice((0.02, 0.3, 1.0)),
        min_sample=chance.randint(1, 3),
        bake_seconds=chance.choice((0.0, 0.0, 15.0)),
        not_after_seconds=chance.choice((600.0, 7200.0, 86_400.0, 604_800.0)),
        max_downloading=chance.choice((1, 2, 50)),
        offline_policy=chance.choice((OfflinePolicy.WAIT, OfflinePolicy.WAIT, *OfflinePolicy)),
    )


async def start(fleet: Fleet, product: str = "") -> bool:
    """Start a rollout of any shape."""
    now, chance = fleet.judge.last, fleet.chance
    if now is None or len(now.rollouts) >= MAX_ROLLOUTS:
        return False
    kept = sorted({name for host in fleet.hosts.values() for name in host.products})
    names = [name for name in fleet.hosts if chance.random() < 0.8] if chance.random() < 0.5 else []
    waves = [WaveSpec("count", chance.randint(1, 2)) for _ in range(chance.choice((0, 1, 1, 2)))]
    order = starting.Order(
        fleet_id=FLEET,
        product=product or chance.choice((AGENT, *kept)),
        version=chance.choice(VERSIONS),
        selection=Selection(hosts=tuple(names)),
        waves=(*waves, WaveSpec("rest")),
        limits=any_limits(chance).to_json(),
        manual_advance=chance.random() < 0.15,
        reason=WHY,
        acknowledge_breaking_changes=False,
        idempotency_key="",
        request_sha256="",
        retry_bad=False,
    )
    return await _decide(fleet, lambda tx, services: starting.start(tx, services, order, WHO))


def _one(fleet: Fleet, *states: str) -> str:
    """Choose a rollout in one of these states; now and then any, which is refused in vain."""
    known = list(fleet.judge.last.rollouts.values()) if fleet.judge.last is not None else []
    fit = [one.id for one in known if one.state in states or one.late_stop_code in {"PAUSED", "SUSPENDED"}]
    ids = [one.id for one in known] if fleet.chance.random() < 0.05 else fit
    return fleet.chance.choice(ids) if ids else ""


async def pause(fleet: Fleet, rollout: str = "") -> bool:
    """Pause a rollout."""
    one = rollout or _one(fleet, "running", "completed")
    done = await _decide(fleet, lambda tx, services: people.pause(tx, services, one, FLEET, WHO, WHY), about=one)
    if done:
        fleet.judge.counts["pauses"] += 1
        fleet.judge.stopped[one] = "a person paused it"
    return done


async def resume(fleet: Fleet, rollout: str = "") -> bool:
    """Resume a rollout."""
    one = rollout or _one(fleet, "paused", "halted")

    async def job(tx: Tx, services: Services) -> None:
        revision = (await people.require_book(tx, one, FLEET)).row["revision"]
        await people.resume(tx, services, one, FLEET, WHO, revision=revision, reason=WHY)

    return await _decide(fleet, job, about=one, going_on=one)


async def advance(fleet: Fleet, rollout: str = "") -> bool:
    """Open the wave that waits for a person."""
    one = rollout or _one(fleet, "paused", "running")

    async def job(tx: Tx, services: Services) -> None:
        revision = (await people.require_book(tx, one, FLEET)).row["revision"]
        await people.advance(tx, services, one, FLEET, WHO, revision=revision, reason=WHY)

    return await _decide(fleet, job, about=one, going_on=one)


async def cancel(fleet: Fleet, rollout: str = "", *, let_finish: bool = False) -> bool:
    """Cancel a rollout."""
    one = rollout or _one(fleet, "running", "paused", "halted")

    async def job(tx: Tx, services: Services) -> None:
        await people.cancel(tx, services, one, FLEET, WHO, reason=WHY, let_finish=let_finish)

    done = await _decide(fleet, job, about=one)
    if done:
        fleet.judge.stopped[one] = "a person cancelled it"
    return done


async def cancel_gently(fleet: Fleet) -> bool:
    """Cancel a rollout, and let its hosts finish."""
    return await cancel(fleet, let_finish=True)


async def press(fleet: Fleet) -> bool:
    """Press the kill switch, of the fleet or of all."""
    scope = fleet.chance.choice((FLEET, ""))
    done = await _decide(fleet, lambda tx, services: kill.press(tx, services, scope, WHO, WHY))
    fleet.judge.counts["kills"] += done
    return done


async def lift(fleet: Fleet) -> bool:
    """Lift every switch that is pressed."""
    pressed = sorted(fleet.judge.last.pressed) if fleet.judge.last is not None else []
    for scope in pressed:
        fleet_id = scope.partition("/")[2]
        await _decide(fleet, partial(_lift, fleet_id))
    return bool(pressed)


async def _lift(fleet_id: str, tx: Tx, services: Services) -> str:
    return await kill.lift(tx, services, fleet_id, WHO, WHY)


async def yank(fleet: Fleet) -> bool:
    """Take a release back."""
    now = fleet.judge.last
    listed = sorted(now.listed) if now is not None else []
    if len(listed) < 5:
        return False
    one = fleet.chance.choice(listed)

    async def job(tx: Tx, services: Services) -> None:
        async def mark() -> None:
            values = {"listed": False, "state": "yanked", "state_reason": WHY}
            await tx.execute(sa.update(RELEASE).where(RELEASE.c.id == one).values(**values))

        await yanking.end_rollouts(tx, services, one, WHO, WHY, mark)

    done = await _decide(fleet, job)
    fleet.judge.counts["yanks"] += done
    for rollout in fleet.judge.last.rollouts.values() if done and fleet.judge.last is not None else ():
        if rollout.release_id == one:
            fleet.judge.stopped[rollout.id] = "its release was yanked"
    return done


async def revoke(fleet: Fleet, host: Host) -> bool:
    """Refuse a host for good."""
    if host.revoked or len(fleet.hosts) < 3 or any(other.revoked for other in fleet.hosts.values()):
        return False
    fleet.judge.let_go.add(host.name)
    done = await _decide(fleet, lambda tx, services: revoke_host(tx, services, host.name, (FLEET,), CALLER, WHY))
    if done:
        host.revoked = True
        fleet.judge.counts["revoked"] += 1
        await fleet.cut(host)
        await fleet.notice(host)
    return done


async def dismiss(fleet: Fleet, host: Host) -> bool:
    """Take a broken host out of the budgets."""
    fleet.judge.let_go.add(host.name)
    return await _decide(fleet, lambda tx, _services: dismiss_host(tx, host.name, (FLEET,), CALLER, WHY))


async def readmit(fleet: Fleet, host: Host) -> bool:
    """Let a host whose identity was in doubt in again, as the right one: with a new key, and so a new session."""
    if not host.cloned or host.revoked:
        return False
    values: dict[str, Any] = {"quarantined": False, "epoch": ROW.c.epoch + 1}
    change = sa.update(ROW).where(ROW.c.id == host.name, ROW.c.fleet_id == FLEET).values(**values)
    done = await _decide(fleet, lambda tx, _services: tx.execute(change))
    if done:
        host.cloned = False
        await fleet.cut(host)
    return done
