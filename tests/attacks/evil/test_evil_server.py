"""The server is in an attacker's hands: what it can bring about on a host, and what it cannot (the promise of trust).

One host, one long conversation: whatever was tried before must not help what is tried later.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import types_pb2
from fleetroll_publishing import repository
from fleetroll_publishing.roles import describe, read_repository, sign_role
from fleetroll_publishing.signers import RoleSigners
from tests.agent.fake_server.hosts import RealHost
from tests.agent.fake_server.releases import PRODUCTS
from tests.agent.fake_server.server import FakeServer
from tests.attacks.evil.villain import AGENT, INTERVAL_SECONDS, SHOP, Villain, settings_of, stocked
from tests.faults import rulings
from tests.faults.repositories import role_signers
from tests.faults.shop import Shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

BEYOND = (
    ("NOT_LISTED", "6.6.6"),
    ("BELOW_FLOOR", "0.9.0"),
    ("YANKED", "1.3.0"),
    ("DIGEST_REVOKED", "1.4.0"),
    ("CHANNEL_NOT_ALLOWED", "1.5.0"),
)
"""Of both products."""
BEYOND_OF_THE_SHOP = (("WRONG_PLATFORM", "1.6.0"), ("BELOW_SUPPORTED", "2.0.0"))
STORM = 200


@pytest.fixture
async def villain(tmp_path: Path) -> AsyncIterator[Villain]:
    """Give a fleet of one host: launcher, agent, a service at 1.0.0; then its server changes hands."""
    shop = Shop(tmp_path / "shop")
    shop.start()
    try:
        async with FakeServer(stocked(tmp_path)) as server:
            server.script.names = ["1.0.0"]
            host = RealHost(tmp_path / "state")
            code, _out, err = await host.enroll(server.join_string())
            assert code == 0, err
            await host.start(settings=settings_of(shop))
            try:
                await server.until(lambda: len(server.sessions) == 2)
                known = Villain(server, host, shop)
                server.assign("1.0.0", 1, product=SHOP)
                await known.ends(1, SHOP)
                await known.remember()
                known.orders = 0
                yield known
            finally:
                await host.stop()
    finally:
        shop.stop()


async def test_all_online_keys_install_nothing_beyond_the_promise_and_stop_nothing(villain: Villain) -> None:
    await ordered_beyond_the_promise(villain)
    await said_out_of_turn(villain)
    await lists_of_its_own(villain)
    await what_a_person_decided(villain)
    await what_the_promise_allows(villain)
    await ordered_beyond_the_promise(villain)
    text = f"{villain.installs} installs beyond the promise, {villain.stopped} stopped"
    print(f"evil server: {villain.orders} orders, {text}")
    assert (villain.installs, villain.stopped) == (0, 0)


async def ordered_beyond_the_promise(villain: Villain) -> None:
    """Order what publishers took back, never signed, or signed for others; with every flag that an order has."""
    for product in (SHOP, AGENT):
        for code, version in BEYOND:
            await villain.refused(code, version, product)
            await villain.refused(code, version, product, retry_bad=True, excused=True, override_local=True)
    for code, version in BEYOND_OF_THE_SHOP:
        await villain.refused(code, version)


async def said_out_of_turn(villain: Villain) -> None:
    """Say what nobody asked for, again and again."""
    session = villain.server.session
    for product in (SHOP, AGENT):
        for generation in (0, 1, villain.generation, villain.generation + 1, 2**62):
            villain.send(go=stream_pb2.Go(product=product, generation=generation, ask=1))
            villain.send(promote=stream_pb2.Promote(product=product, generation=generation, sha256=b"\x01" * 32))
            villain.send(ask_again=stream_pb2.AskAgain(product=product, generation=generation))
            villain.send(no_go=stream_pb2.NoGo(product=product, generation=generation, ask=1))
    for product in ("till", "nothing", "../../etc", ""):
        villain.send(assignment=villain.message(product=product, version="1.2.0", generation=5))
    for version in ("1.2", "../1.2.0", "1.2.0/../../x", "v" * 5000):
        villain.send(assignment=villain.message(product=SHOP, version=version, generation=villain.generation + 1))
    for generation in (2**62, 2**63 - 1):
        villain.send(assignment=villain.message(product=SHOP, version="1.2.0", generation=generation))
    villain.send(assignment=villain.message(product=SHOP, version="1.2.0", generation=1))
    for number in range(STORM):
        recall = bool(number % 2)
        villain.generation += 1
        none = villain.message(product=(SHOP, AGENT)[number % 2], generation=villain.generation, recall=recall)
        villain.send(assignment=none)
    for number in range(STORM):
        villain.send(metadata_notice=stream_pb2.MetadataNotice(timestamp_version=2**40 + number))
        villain.send(ack=stream_pb2.Ack(journal_id="another", sequence=2**40))
        switch = stream_pb2.Suspension(scope="global", epoch=number, active=not number % 2)
        villain.send(suspension=switch)
    villain.send(suspension=stream_pb2.Suspension(scope="global", epoch=STORM, active=False))
    await villain.see()
    assert villain.server.session is session, "nothing of it ended the stream"
    await villain.answers()
    await a_permit_that_nobody_asked_for(villain)


async def a_permit_that_nobody_asked_for(villain: Villain) -> None:
    """Give the permit for what is staged and may be asked for, under every number but the right one."""
    villain.server.script.grant = False
    generation = villain.assign("1.1.0")
    await villain.server.until(lambda: "STAGED" in villain.server.states(generation, SHOP))
    for ask in (0, 2**20, 2**62):
        villain.send(go=stream_pb2.Go(product=SHOP, generation=generation, ask=ask))
        villain.send(go=stream_pb2.Go(product=AGENT, generation=generation, ask=ask))
    villain.send(promote=stream_pb2.Promote(product=SHOP, generation=generation, sha256=b"\x01" * 32))
    await villain.see()
    villain.assign("")
    await villain.ends(generation, SHOP)
    villain.server.script.grant = True
    await villain.answers()


async def lists_of_its_own(villain: Villain) -> None:
    """Show old lists, new ones, mixed ones; run ahead; leave a product out; list what its publisher did not sign.

    What is ordered by these lists is what would be taken by honest ones, so only the lists can be the reason.
    """
    releases, wanted = villain.server.releases, "1.1.0"
    old = releases.files

    def evil(role: Any) -> None:
        path = next(path for path in role.targets if path.startswith(f"shop/{wanted}/"))
        role.targets[path].hashes["sha256"] = "e" * 64

    releases.files = rulings.resigned(releases.files, villain.keys, "products/shop", evil)
    await villain.refused("UNSIGNED", wanted)
    releases.files = rulings.rekeyed(releases.files, villain.keys, SHOP, villain.keys.of(f"products/{SHOP}"))[0]
    await villain.refused("UNSIGNED", wanted)
    releases.files = old
    await villain.refused("METADATA_ROLLBACK", wanted)
    releases.files = _without_the_product(releases.files, villain, ahead=1000)
    await villain.refused("METADATA_ROLLBACK", wanted)
    releases.files = _honest_roles(old, villain, ahead=10**9)
    mixed = read_repository(releases.files).snapshot.version
    whole = releases.files
    releases.files = {**whole, f"{mixed}.snapshot.json": old[f"{read_repository(old).snapshot.version}.snapshot.json"]}
    await villain.refused("METADATA_MIXED", wanted)
    releases.files = {**whole, "timestamp.json": b" " * 3_000_000}
    await villain.refused("METADATA_ENDLESS", wanted)
    await the_owner_exchanges_the_online_keys(villain, old)
    await villain.answers()


async def the_owner_exchanges_the_online_keys(villain: Villain, files: dict[str, bytes]) -> None:
    """Bring the host back from lists of that height by a new root; then the new keys are stolen as well."""
    releases = villain.server.releases
    owner, fresh = releases.signers, role_signers(PRODUCTS, "second ")
    releases.signers = RoleSigners(owner.root, owner.targets, owner.products, fresh.snapshot, fresh.timestamp)
    releases.files = {**files, **repository.rotate_online(files, releases.signers, datetime.now(UTC))}


def _honest_roles(files: dict[str, bytes], villain: Villain, ahead: int) -> dict[str, bytes]:
    """Return lists of astronomic height over the publishers' own roles: the thief's to sign."""
    return _relisted(files, villain, read_repository(files).snapshot, ahead)


def _without_the_product(files: dict[str, bytes], villain: Villain, ahead: int) -> dict[str, bytes]:
    """Return lists that name the shop's role no more."""
    snapshot = read_repository(files).snapshot
    del snapshot.meta["products/shop.json"]
    return _relisted(files, villain, snapshot, ahead)


def _relisted(files: dict[str, bytes], villain: Villain, snapshot: Any, ahead: int) -> dict[str, bytes]:
    timestamp = read_repository(files).timestamp
    snapshot.version += ahead
    data = sign_role(snapshot, [villain.keys.of("snapshot")])
    timestamp.version += ahead
    timestamp.snapshot_meta = describe(snapshot.version, data)
    signed = sign_role(timestamp, [villain.keys.of("timestamp")])
    return {**files, f"{snapshot.version}.snapshot.json": data, "timestamp.json": signed}


async def what_a_person_decided(villain: Villain) -> None:
    """End a person's hold, and repeat what failed here, where agent.toml forbids both."""
    state = ("--state", str(villain.host.state))
    code, _out, err = await villain.host.call("hold", SHOP, *state)
    assert code == 0, err
    await villain.refused("OVERRIDE_NOT_ALLOWED", "1.1.0", override_local=True)
    code, _out, err = await villain.host.call("unhold", SHOP, *state)
    assert code == 0, err
    await asyncio.sleep(INTERVAL_SECONDS)
    bad = villain.assign("1.2.1")
    await villain.ends(bad, SHOP)
    await villain.see()
    for _ in range(3):
        await villain.refused("BAD_DIGEST", "1.2.1", retry_bad=True)


async def what_the_promise_allows(villain: Villain) -> None:
    """Listed, unrevoked, allowed, above what was kept: once per interval; and back to the version before."""
    await asyncio.sleep(INTERVAL_SECONDS)
    begun = time.monotonic()
    await villain.allowed("1.1.0")
    generation = villain.assign("1.2.0")
    states = villain.server.states
    await villain.server.until(lambda: "STAGED" in states(generation, SHOP))
    for _ in range(5):
        villain.send(ask_again=stream_pb2.AskAgain(product=SHOP, generation=generation))
        villain.send(go=stream_pb2.Go(product=SHOP, generation=generation, ask=1))
    assert time.monotonic() - begun < INTERVAL_SECONDS, "a machine that is this slow shows nothing"
    await villain.see()
    await villain.ends(generation, SHOP)
    assert time.monotonic() - begun >= INTERVAL_SECONDS - 1
    await villain.remember()
    assert villain.installed[SHOP] == "1.2.0"
    await villain.allowed("1.1.0")
    await villain.refused("NOT_ALLOWED", "1.0.0")
    generation = villain.assign("1.2.0")
    await villain.server.until(lambda: "STAGED" in states(generation, SHOP))
    await villain.see()
    villain.assign("")
    await villain.ends(generation, SHOP)
    await villain.allowed("1.1.0", AGENT)
    await villain.refused("NOT_LISTED", "6.6.6", AGENT)
    told = villain.server.result(villain.generation, AGENT)
    assert told is not None
    assert told.state == types_pb2.ATTEMPT_STATE_FAILED
