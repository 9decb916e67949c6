"""Random walks of a fleet through rollouts; the same seed walks the same way. At last everybody is well, and all ends.

A walk that fails says its seed and how many steps lead there: :func:`walk` with both goes there again.
"""

from __future__ import annotations

import gc
from collections import Counter
from typing import TYPE_CHECKING, Any

from fleetroll_common.values.clock import FakeClock
from fleetroll_server.domain.decide import Moved, decide
from fleetroll_server.engine.book import open_book
from tests.rollouts import hands, people
from tests.rollouts.agents import ON_THE_WAY
from tests.rollouts.fleets import Fleet
from tests.rollouts.ground import Store, drive
from tests.rollouts.judge import ENDED, RESULTS
from tests.rollouts.servers import FLEET

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from fleetroll_server.store.tx import Tx
    from tests.rollouts.agents import Host, Product

HostAct = "Callable[[Fleet, Host], Awaitable[bool]]"
ProductAct = "Callable[[Fleet, Host, Product], Awaitable[bool]]"

LINES: dict[str, Callable[[Fleet, Host], Awaitable[bool]]] = {
    "connect": Fleet.come,
    "flush": Fleet.flush,
    "read": Fleet.read,
}
WORK: dict[str, Callable[[Fleet, Host, Product], Awaitable[bool]]] = {
    "stage": hands.stage,
    "apply": hands.apply,
    "ask": hands.ask_in_time,
    "stop before switch": hands.stop_before_switch,
    "switch": hands.switch,
    "commit": hands.commit,
}
"""What a host does by itself when all is well, in this order."""
STRANGE: dict[str, Callable[[Fleet, Host], Awaitable[bool]]] = {
    "cut": Fleet.cut,
    "notice": Fleet.notice,
    "goodbye": Fleet.goodbye,
    "die": Fleet.die,
    "revive": Fleet.revive,
    "lose the welcome": Fleet.connect_in_vain,
    "lose the ack": Fleet.lose_ack,
    "clone": Fleet.clone,
    "forget": Fleet.forget,
    "arrive late": lambda fleet, _host: fleet.arrive_late(),
    "readmit": people.readmit,
}
RARE = {"forget": 0.15, "clone": 0.25, "revoke": 0.4, "revive": 0.5}
TROUBLE: dict[str, Callable[[Fleet, Host, Product], Awaitable[bool]]] = {
    "ask anew": hands.ask,
    "ask twice": hands.ask_twice,
    "fail": hands.fail,
    "roll back": hands.roll_back,
    "roll back unproven": hands.roll_back_unproven,
    "fail to roll back": hands.fail_to_roll_back,
    "start anew": hands.start_anew,
    "go back late": hands.go_back_late,
    "heal": hands.heal,
    "hold": hands.hold,
    "unhold": hands.unhold,
    "start locally": hands.start_locally,
}
ENDS = ("fail", "roll back", "roll back", "roll back unproven", "fail to roll back", "start anew")
DECISIONS: dict[str, Callable[[Fleet], Awaitable[bool]]] = {
    "pause": people.pause,
    "resume": people.resume,
    "advance": people.advance,
    "cancel": people.cancel,
    "cancel gently": people.cancel_gently,
    "start": people.start,
    "press": people.press,
    "lift": people.lift,
    "yank": people.yank,
}
DECIDED = (3, 8, 4, 0.7, 0.7, 5, 1, 8, 0.2)
ONWARD = (0, 8, 4, 1, 1, 6, 0, 8, 0)
"""How often each is tried: at any time, and while nothing is rolled out."""
ABOUT_HOSTS: dict[str, Callable[[Fleet, Host], Awaitable[bool]]] = {
    "revoke": people.revoke,
    "dismiss": people.dismiss,
}
SECONDS = (1.0, 5.0, 20.0, 61.0, 95.0, 400.0, 3600.0, 90_000.0)
PASSED = (40, 25, 15, 6, 5, 5, 3, 1)
HASTE = 0.15
JUMPS = (-7200.0, -90.0, -5.0, 5.0, 90.0, 7200.0)


class Walk:
    """One walk: the fleet, and what was done, by name."""

    def __init__(self, seed: int, clock: FakeClock, *stores: Any) -> None:
        """Prepare, with a server for each store."""
        self.seed, self.steps, self.settled_after = seed, 0, 0
        self.fleet = Fleet(seed, clock, *stores)
        self.done: Counter[str] = Counter()
        self.trail: list[str] = []

    async def go(self, steps: int, *, settling: bool = True) -> None:
        """Walk so many steps, judge each, then let everything come to its end."""
        fleet = self.fleet
        try:
            await fleet.begin()
            await people.start(fleet)
            while self.steps < steps:
                await self.stride()
            self.settled_after = self.steps
            if settling:
                await settle(self)
        except Exception as raised:  # noqa: BLE001 (it is raised again, or what led to it)
            error = fleet.wrong or raised
            prefix = self.settled_after or self.steps + 1
            error.add_note(f"walk {self.seed}, {prefix} steps: {', '.join(self.trail[-25:])}")
            raise error from None
        finally:
            self.done.update(fleet.judge.counts)

    async def stride(self) -> None:
        """Do one thing: mostly what hosts do when all is well."""
        fleet, chance = self.fleet, self.fleet.chance
        host = fleet.hosts[chance.choice(list(fleet.hosts))]
        kind = chance.random()
        if kind < 0.82:
            for other in chance.sample(list(fleet.hosts.values()), len(fleet.hosts)):
                if await self.well(other):
                    return
            kind = chance.uniform(0.82, 1.0)  # nobody has anything to do
        if kind < 0.87:
            await self._strange(STRANGE, host)
        elif kind < 0.90:
            await self._trouble(host)
        elif kind < 0.93 or (kind < 0.98 and not self._is_busy()):
            name = chance.choices(list(DECISIONS), DECIDED if kind < 0.93 else ONWARD)[0]
            await self.act(name, DECISIONS[name](fleet))
        elif kind < 0.933:
            await self._strange(ABOUT_HOSTS, host)
        elif kind < 0.938:
            seconds, clean = chance.choice(SECONDS[:6]), chance.random() < 0.5
            await self.act("restart", fleet.outage(seconds, clean=clean))
        elif kind < 0.94:
            await self.act("jump", fleet.jump(chance.choice(JUMPS)))
        else:
            seconds = chance.choices(SECONDS, PASSED)[0]
            await self.act(f"time {seconds:g}", fleet.pass_time(seconds))

    async def _trouble(self, host: Host) -> None:
        """Let something go wrong, mostly where something is going on."""
        fleet, chance = self.fleet, self.fleet.chance
        product, names = chance.choice(list(host.products.values())), list(TROUBLE)
        way = [(h, p) for h in fleet.hosts.values() for p in h.products.values() if p.job and p.job.stage in ON_THE_WAY]
        if way and chance.random() < 0.7:
            (host, product), names = chance.choice(way), list(ENDS)
        name = chance.choice(names)
        await self.act(name, TROUBLE[name](fleet, host, product), host)

    def _is_busy(self) -> bool:
        """Tell whether anything is rolled out."""
        now = self.fleet.judge.last
        return now is not None and any(rollout.state == "running" for rollout in now.rollouts.values())

    async def _strange(self, acts: dict[str, Callable[[Fleet, Host], Awaitable[bool]]], host: Host) -> None:
        """Do something that hosts do rarely."""
        name, often = self.fleet.chance.choice(list(acts)), self.fleet.chance.random()
        if often < RARE.get(name, 1.0):
            await self.act(name, acts[name](self.fleet, host), host)

    async def act(self, name: str, doing: Awaitable[bool], host: Host | None = None) -> bool:
        """Do it; count and judge it where it was possible."""
        self.trail.append(f"{name} {host.name}" if host is not None else name)
        possible = await doing
        if not possible:
            self.trail.pop()
            return False
        self.steps += 1
        self.done["steps"] += 1
        self.done[name.partition(" ")[0] if name.startswith("time") else name] += 1
        await self.fleet.observe()
        return True

    async def well(self, host: Host) -> bool:
        """Let a host do the first thing that is to be done."""
        fleet = self.fleet
        line = fleet.lines.get(host.name)
        if line is not None and fleet.talks(host) is None:
            await fleet.cut(host)
        for name, doing in LINES.items():
            if name == "flush" and fleet.chance.random() < HASTE:
                continue  # what follows overtakes its reports
            if await self.act(name, doing(fleet, host), host):
                return True
        for product in host.products.values():
            for name, working in WORK.items():
                if await self.act(name, working(fleet, host, product), host):
                    return True
        if host.check_in and not any(host.jobs()) and host.name in fleet.lines:
            return await self.act("goodbye", fleet.goodbye(host), host)
        return False


async def settle(walk: Walk) -> None:
    """Let all silence and all time end, then let people continue, and assert that everything comes to its end."""
    fleet = walk.fleet
    await _everybody_well(walk)
    for _ in range(30):
        await _all_work(walk)
        await fleet.pass_time(61.0)
    for _ in range(4):
        await fleet.pass_time(700_000.0)
        await _all_work(walk)
        await fleet.pass_time(5.0)
        await _all_work(walk)
    for rollout, said in (await _wait_for(fleet)).items():
        assert "person" in said, f"{rollout} waits for {said!r} when all time is over"
    for _ in range(60):
        open_now = [key for key, said in (await _wait_for(fleet)).items() if said]
        if not open_now:
            break
        await walk.act("lift", people.lift(fleet))
        for rollout in open_now:
            if await walk.act("advance", people.advance(fleet, rollout)):
                continue
            if not await walk.act("resume", people.resume(fleet, rollout)):
                await walk.act("cancel", people.cancel(fleet, rollout))
        await _all_work(walk)
        await fleet.pass_time(61.0)
        await fleet.pass_time(700_000.0)
        await _all_work(walk)
    for host in fleet.hosts.values():  # what a journal brought after the hello that called a host well, the next undoes
        await fleet.cut(host)
    await _all_work(walk)
    await _check_end(walk)


async def _everybody_well(walk: Walk) -> None:
    """Bring every host back that can come back."""
    fleet = walk.fleet
    fleet.strays.clear()
    for host in fleet.hosts.values():
        await people.readmit(fleet, host)
        await fleet.revive(host, at_last=True)
        host.check_in = 0.0
        for product in host.products.values():
            if product.job is not None and product.job.local:
                await hands.commit(fleet, host, product)
            await hands.heal(fleet, host, product)
            await hands.unhold(fleet, host, product)


async def _all_work(walk: Walk) -> None:
    """Let every host do all that it can do now."""
    for host in walk.fleet.hosts.values():
        for _ in range(60):
            if not await walk.well(host):
                break


async def _wait_for(fleet: Fleet) -> dict[str, str]:
    """Return what each rollout says that it waits for, unless it has ended without any late host."""
    found: dict[str, str] = {}

    async def job(tx: Tx) -> None:
        for key in fleet.judge.last.rollouts if fleet.judge.last is not None else ():
            book = await open_book(tx, key, FLEET)
            assert book is not None
            said = decide(book.summary(), Moved(), tx.now).waits_for
            if said or book.is_open:
                found[key] = said

    await fleet.stores[0].writer.command(job)
    return found


async def _check_end(walk: Walk) -> None:
    """Every host has one result, and nothing is held of a fleet in which nothing is broken."""
    fleet, now = walk.fleet, walk.fleet.judge.last
    assert now is not None
    still = {key: row.state for key, row in now.rollouts.items() if row.state not in ENDED}
    gone = {host.name for host in fleet.hosts.values() if host.revoked}
    yanked = {key for key, row in now.rollouts.items() if row.state_code == "YANKED"}
    assert set(still) <= yanked, f"they do not end: {still}"
    for key, place in now.places.items():
        assert place.state in RESULTS or key[1] in gone, f"{key} ends {place.state}"
    for host in fleet.hosts.values():
        for product, job in host.jobs():
            assert host.revoked, f"{host.name} holds {product.name} {job} for ever"
    assert not now.claims or {agent for agent, _ in now.claims} <= gone, f"claims are left: {now.claims}"
    left = {key: kind for key, kind in now.charges.items() if key[0] not in gone}
    assert not left, f"charges are left: {left}"


def run(seed: int, steps: int) -> Walk:
    """Walk on rows in memory."""
    clock = FakeClock()
    store = Store(clock)
    walk = Walk(seed, clock, store)
    gc.disable()
    try:
        drive(walk.go(steps))
    finally:
        gc.enable()
        walk.done["transactions"] = store.jobs
        drive(store.close())
    return walk


def shortest(seed: int, steps: int) -> int:
    """Return how few steps of a walk that fails lead to a failure, as far as a few tries tell."""
    tries = [few for few in (15, 30, 60, 90, 130, 180, 250) if few < steps]
    return next((few for few in tries if _fails(seed, few)), steps)


def _fails(seed: int, steps: int) -> bool:
    try:
        run(seed, steps)
    except Exception:  # noqa: BLE001 (whatever it says: it is shown by who asks)
        return True
    return False


def run_all(seeds: Iterable[int], steps: int) -> Counter[str]:
    """Walk with each seed; return what was done. One that fails is made as short as it gets."""
    done: Counter[str] = Counter()
    for seed in seeds:
        try:
            done.update(run(seed, steps).done)
        except Exception as error:
            error.add_note(f"to go there again: tests.rollouts.walks.run({seed}, {shortest(seed, steps)})")
            raise
        done["walks"] += 1
    return done


def told(done: Counter[str]) -> str:
    """Return the counts in words, steps first."""
    first = ("steps", "walks", "transactions", "Gos", "late Gos", "rollouts running", "later waves", "gates failed")
    rest = sorted(name for name in done if name not in first)
    return ", ".join(f"{done[name]} {name}" for name in (*first, *rest))
