"""What hosts do with their attempts, by themselves or by root's hand. Each act returns whether it was possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.states import BEFORE_GO, AttemptState
from tests.rollouts.agents import AGENT, LEASE_SECONDS, ON_THE_WAY, Ask, Host, Job, Product, asked, job_may_begin

if TYPE_CHECKING:
    from fleetroll_server.domain.heard import Ask as Asked
    from tests.rollouts.fleets import Fleet
    from tests.rollouts.servers import Line

A = AttemptState


async def stage(fleet: Fleet, host: Host, product: Product) -> bool:
    """Have it downloaded."""
    job = product.job
    if not host.alive or job is None or job.stage is not A.DOWNLOADING or job.local:
        return False
    job.stage, job.note = A.STAGED, Code.HELD_LOCALLY if product.held else None
    host.say(product, job, A.STAGED, job.note)
    return True


async def ask(fleet: Fleet, host: Host, product: Product) -> bool:
    """Ask for Go; a new ask voids what an older one brought."""
    line, job = fleet.talks(host), product.job
    busy = any(j.stage in ON_THE_WAY for p in host.products.values() if (j := p.job) is not None)
    free = host.ask is None or host.ask.product == product.name
    if line is None or job is None or job.stage is not A.STAGED or job.local or product.held:
        return False
    if busy or not free or host.suspended:
        return False
    host.asks += 1
    host.ask = Ask(product.name, host.asks, fleet.now)
    await _send_ask(line, asked(host, product, job, host.ask))
    return True


async def ask_in_time(fleet: Fleet, host: Host, product: Product) -> bool:
    """Ask as a host does by itself: once, and later again where nothing came of it."""
    stands = host.ask is not None and host.ask.product == product.name
    if fleet.now < product.ask_at or (stands and host.ask is not None and fleet.now - host.ask.sent_at < 60.0):
        return False
    return await ask(fleet, host, product)


async def ask_twice(fleet: Fleet, host: Host, product: Product) -> bool:
    """Let the last ask of this session arrive once more."""
    line, job, ask = fleet.talks(host), product.job, host.ask
    if line is None or job is None or ask is None or ask.product != product.name or job.stage is not A.STAGED:
        return False
    await _send_ask(line, asked(host, product, job, ask))
    return True


async def _send_ask(line: Line, wish: Asked) -> None:
    await line.server.ask(line, wish)
    await line.server.carry_on()


async def apply(fleet: Fleet, host: Host, product: Product) -> bool:
    """Use the Go while it is good."""
    job, ask = product.job, host.ask
    if not host.alive or job is None or ask is None or not ask.go or ask.product != product.name:
        return False
    if not job_may_begin(product, job, ask, fleet.now):
        host.ask = None
        return False
    host.apply(product, job, fleet.now)
    return True


async def stop_before_switch(fleet: Fleet, host: Host, product: Product) -> bool:
    """Go back as was asked, while nothing is switched."""
    job = product.job
    if not host.alive or job is None or job.stage is not A.APPLYING or job.stop is None:
        return False
    host.end(product, A.CANCELLED, job.stop)
    return True


async def switch(fleet: Fleet, host: Host, product: Product) -> bool:
    """Start the new version: an agent's as a process on trial with a session of its own, another one to soak."""
    job = product.job
    if not host.alive or job is None or job.stage is not A.APPLYING or job.local:
        return False
    if product.name != AGENT:
        job.stage = A.SOAKING
        host.say(product, job, A.SOAKING)
        return True
    if not await fleet.goodbye(host):
        await fleet.cut(host)
    job.stage, job.promoted, job.lease_until = A.TRIAL, False, fleet.now + LEASE_SECONDS
    product.previous, product.version = product.version, job.version
    host.ask = None
    host.say(product, job, A.TRIAL)
    return True


async def commit(fleet: Fleet, host: Host, product: Product) -> bool:
    """Keep the new version."""
    job = product.job
    kept = job is not None and (job.promoted or job.stage is A.SOAKING or job.local > 0)
    if not host.alive or not kept:
        return False
    host.end(product, A.SUCCEEDED)
    return True


async def _end(
    fleet: Fleet, host: Host, product: Product, state: AttemptState, code: Code, *, unproven: bool = False
) -> bool:
    """End what goes on badly, as its stage allows."""
    job = product.job
    if not host.alive or job is None:
        return False
    possible = {A.FAILED: BEFORE_GO | {A.APPLYING}, A.ROLLBACK_FAILED: ON_THE_WAY}.get(state, ON_THE_WAY)
    if job.stage not in possible or (unproven and job.stage in BEFORE_GO):
        return False
    host.end(product, state, code, unproven=unproven)
    return True


async def fail(fleet: Fleet, host: Host, product: Product) -> bool:
    """Fail, before Go or at the first step."""
    return await _end(fleet, host, product, A.FAILED, Code.STEP_FAILED)


async def roll_back(fleet: Fleet, host: Host, product: Product) -> bool:
    """Go back: the new version is bad."""
    return await _end(fleet, host, product, A.ROLLED_BACK, Code.HEALTH_FAILED)


async def roll_back_unproven(fleet: Fleet, host: Host, product: Product) -> bool:
    """Go back for want of contact."""
    on_trial = product.job is not None and product.job.stage is A.TRIAL
    return on_trial and await _end(fleet, host, product, A.ROLLED_BACK, Code.LOST_CONTACT, unproven=True)


async def fail_to_roll_back(fleet: Fleet, host: Host, product: Product) -> bool:
    """Neither version runs as it should."""
    return await _end(fleet, host, product, A.ROLLBACK_FAILED, Code.STEP_FAILED)


async def start_anew(fleet: Fleet, host: Host, product: Product) -> bool:
    """The host is started anew between its permit and the switch."""
    applying = product.job is not None and product.job.stage is A.APPLYING
    return applying and await _end(fleet, host, product, A.FAILED, Code.STEP_FAILED, unproven=True)


async def go_back_late(fleet: Fleet, host: Host, product: Product) -> bool:
    """A version that was kept crashes again and again."""
    if not host.alive or product.job is not None or not product.kept:
        return False
    said = Job(product.kept, product.version)
    product.version, product.kept = product.previous, 0
    host.say(product, said, A.ROLLED_BACK, Code.HEALTH_FAILED, running_version=product.version)
    return True


async def heal(fleet: Fleet, host: Host, product: Product) -> bool:
    """Somebody repairs what neither went on nor back, and starts the host again: its next hello says so."""
    if product.healthy or not host.alive:
        return False
    product.healthy = True
    await fleet.cut(host)
    return True


async def hold(fleet: Fleet, host: Host, product: Product) -> bool:
    """Let the server's assignments wait."""
    if product.held or not host.alive:
        return False
    product.held = True
    _says_why(host, product)
    return True


async def unhold(fleet: Fleet, host: Host, product: Product) -> bool:
    """Let them come again."""
    job = product.job
    if not product.held or not host.alive or (job is not None and job.local):
        return False
    product.held, product.ask_at = False, 0.0
    _says_why(host, product)
    return True


def _says_why(host: Host, product: Product) -> None:
    """Say why the staged attempt waits now; a Go that is on its way answers an ask that stands no more."""
    job = product.job
    if job is None or job.stage is not A.STAGED or job.local:
        return
    if host.ask is not None and host.ask.product == product.name:
        host.ask = None
    job.note = Code.HELD_LOCALLY if product.held else None
    host.say(product, job, A.STAGED, job.note)


async def start_locally(fleet: Fleet, host: Host, product: Product) -> bool:
    """Root begins an update; what the server has assigned goes on behind it, and is held then."""
    job = product.job
    busy = any(j.stage in ON_THE_WAY for p in host.products.values() if (j := p.job) is not None)
    if not host.alive or busy or product.behind is not None:
        return False
    host.ask, product.locals, product.held = None, product.locals + 1, True
    if job is not None:
        product.behind = Job(job.generation, job.version)
        host.say(product, product.behind, A.DOWNLOADING, Code.LOCKED)
    version = fleet.chance.choice(("1.1.0", "1.2.0", "9.0.0"))
    if version == product.version:
        version = "9.1.0"
    product.job = Job(0, version, A.APPLYING, local=product.locals)
    host.say(product, product.job, A.APPLYING, step="switch")
    return True
