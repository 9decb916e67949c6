"""What must hold of a host with a shop, whatever went wrong: judged from the page that the shop shows, from the disk,
and from what the server heard.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_agent.hooks.processes import read_process
from fleetroll_agent.slots import SlotStore
from tests.crash.real.host import FIRST, lives
from tests.crash.real.verdicts import (
    check_no_false_alarm,
    check_one_at_a_time,
    check_one_result,
    check_result,
    check_same_journal,
)
from tests.crash.shop.kills import legal
from tests.crash.shop.offers import AGENT, COURSE, INSTALLED, PRODUCT, SCHEMAS

if TYPE_CHECKING:
    from fleetroll.v1 import agent_stream_pb2 as stream_pb2
    from fleetroll_agent.jobs.work import Child
    from tests.crash.real.kill import Kill
    from tests.crash.shop.world import ShopHost

WHOLE_SECONDS = 20.0
"""After a kill, until the shop answers: the way back with its restore, on a busy machine."""
MARK = b"FLEETROLL_ATTEMPT="


async def check_come_up(host: ShopHost, hello: stream_pb2.HelloPayload) -> None:
    """Judge the agent that says hello after a kill: it is alone, what it had begun is gone, and the shop is whole."""
    versions = {shown.product: shown.version for shown in hello.products}
    assert versions["agent"] == AGENT
    assert versions[PRODUCT] in SCHEMAS
    assert len(host.living()) == 1
    check_one_at_a_time(host)
    check_same_journal(host)
    await _check_child_gone(host, host.kills()[-1])
    await check_whole(host)


async def check_whole(host: ShopHost, version: str = "") -> None:
    """The shop comes to answer with a version that the record knows, whose schema fits, and with its order.

    ``version`` = it has to be this one.
    """
    end = time.monotonic() + WHOLE_SECONDS
    while True:
        seen = await asyncio.to_thread(host.shop.seen)
        allowed = {version} if version else _versions(host)
        found = seen.get("version")
        if found in allowed and (seen["schema"], seen["orders"]) == (SCHEMAS[str(found)], 1):
            break
        assert time.monotonic() < end, f"the shop shows {seen}, and may be at {sorted(allowed)}"
        await asyncio.sleep(0.05)
    check_in_place(host)


def check_in_place(host: ShopHost) -> None:
    """What the supervisor would start now is a whole version."""
    shop = host.shop
    if shop.kind == "file":
        assert shop.file.read_text() in {offer.text for offer in (INSTALLED, *COURSE)}, "the file is not whole"
        return
    target = shop.link.readlink()
    if shop.kind == "slots":
        store = SlotStore(host.state, product=PRODUCT)
        assert store.is_complete(target), f"the link leads to {target}"
        drift = store.check(target)
        assert drift.is_clean, drift.summary
    else:
        assert (target / "shop.py").is_file()


def check_attempts(host: ShopHost) -> None:
    """Judge every attempt that has ended by the kills that struck it: without one it ends as its release does."""
    struck: dict[int, list[Kill]] = {}
    for kill in host.kills():
        struck.setdefault(kill.generation, []).append(kill)
    for generation, offer in host.offers.items():
        if host.ended(generation):
            kills = struck.get(generation, [])
            allowed = [legal(kill, host.shop.kind) for kill in kills]
            check_result(host.result_of(generation), kills, allowed, offer.undisturbed)
            _check_restored(host, generation)


async def check_end(host: ShopHost) -> None:
    """Judge the host at the end: it runs what succeeded last, and the server knows what happened."""
    version = host.offers[host.assigned].version
    record = host.product_record()
    assert record.attempt is None
    assert record.current is not None
    assert record.current.version == version
    await check_whole(host, version)
    assert (await asyncio.to_thread(host.shop.asked, "/"))["version"] == version
    assert len(host.living()) == 1
    assert not strays(host.state), "commands are left"
    check_one_at_a_time(host)
    check_same_journal(host)
    for generation in range(FIRST, host.assigned + 1):
        check_one_result(host, generation)
    check_no_false_alarm(host)


def strays(state: Path) -> list[int]:
    """Return every process of a command that the agent of this state folder started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environ = (folder / "environ").read_bytes()
        except OSError:
            continue
        if MARK in environ and str(state).encode() in environ:
            found.append(int(folder.name))
    return found


async def _check_child_gone(host: ShopHost, kill: Kill) -> None:
    """What the record named as running is ended before the attempt goes on."""
    attempt = kill.product.attempt
    child = None if attempt is None or attempt.work is None else attempt.work.child
    if child is None:
        return
    end = time.monotonic() + WHOLE_SECONDS
    while _named(host) == child:
        assert time.monotonic() < end, f"process {child.pid} is still named in the record"
        await asyncio.sleep(0.02)
    seen = read_process(child.pid)
    is_there = seen is not None and seen.start_ticks == child.start_ticks and lives(child.pid)
    assert not is_there, f"process {child.pid} of the step {attempt and attempt.step} runs on"


def _named(host: ShopHost) -> Child | None:
    attempt = host.product_record().attempt
    return None if attempt is None or attempt.work is None else attempt.work.child


def _versions(host: ShopHost) -> set[str]:
    """Return which versions may run now: the installed one, and the one that an attempt brings."""
    record = host.product_record()
    known = (record.current, record.attempt)
    return {one.version for one in known if one is not None}


def _check_restored(host: ShopHost, generation: int) -> None:
    """Who went back from a migration has restored the data."""
    states = host.server.states(generation, PRODUCT)
    if host.ended(generation) == "ROLLED_BACK" and "APPLYING migrate" in states:
        assert any(state.endswith(" restore") for state in states), states
