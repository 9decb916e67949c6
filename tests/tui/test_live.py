"""The console on a real server: a halting canary is seen as it halts, and a pause and its end are brought by keys."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

from fleetroll_client import Endpoint
from fleetroll_tui.feed.journal import Journal
from fleetroll_tui.feed.live import LiveServer
from fleetroll_tui.feed.replay import Replay
from fleetroll_tui.widgets.lines import Lines
from tests.faults.proxy import Proxy
from tests.faults.stocks import NEW
from tests.tui.driving import console, driven, press, seen, settle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from textual.pilot import Pilot

    from fleetroll_tui.app import ConsoleApp
    from tests.faults.worlds import World

PATIENCE = 20.0


async def until(pilot: Pilot[int], wanted: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not wanted():
            await asyncio.sleep(0.05)
            await settle(pilot)


def on(world: World, record: Path | None = None, address: str = "") -> ConsoleApp:
    endpoint = Endpoint(address or world.server.address, world.services.ca_pem, world.stock.token)
    server = LiveServer(endpoint, Journal(record) if record is not None else None)
    return console(server, time.monotonic, environment="staging-1")  # type: ignore[arg-type]


async def test_a_canary_that_halts_is_seen_live_and_goes_on_by_keys(world: World, tmp_path: Path) -> None:
    record = tmp_path / "seen.jsonl"
    await world.online("host-1", "host-2", "host-3")
    app = on(world, record)
    async with driven(app) as pilot:
        await until(pilot, lambda: "● live" in seen(app))
        rollout = await world.roll("host-1", "host-2", "host-3", waves=(1, 0), limits={"soak": 1})
        await press(pilot, "2")
        await until(pilot, lambda: "running" in seen(app))
        await press(pilot, "enter")
        await until(pilot, lambda: "host-1" in seen(app))

        await press(pilot, "p")
        await until(pilot, lambda: "‖ PAUSED" in seen(app))
        assert await world.state(rollout) == "PAUSED"
        await press(pilot, "c")
        await settle(pilot)
        assert "1 host starts now" in seen(app)
        await press(pilot, "y")
        await until(pilot, lambda: "◐ RUNNING" in seen(app))
        assert await world.state(rollout) == "RUNNING"

        await world.fail("host-1")
        await until(pilot, lambda: "✖ HALTED" in seen(app))
        await until(pilot, lambda: "rolled back" in seen(app))
        assert "1 bad of 1 tried" in seen(app)

        await press(pilot, "H", "H")
        await until(pilot, lambda: "KILL SWITCH" in seen(app))
        await press(pilot, "L", "tab", *"all is well", "enter", *"staging-1", "enter")
        await until(pilot, lambda: "KILL SWITCH" not in seen(app))
        assert await world.pressed() == set()
    await app.server.close()
    world.left_over = {"rollout": (0, 1)}  # the canary that went back, until a person goes on

    again = console(Replay(record, 0))
    async with driven(again) as pilot:
        await press(pilot, "2", "enter")
        await until(pilot, lambda: "✖ HALTED" in seen(again))
        await until(pilot, lambda: "host-1" in seen(again))


async def test_what_happened_to_a_host_before_the_console_began_is_read_from_the_server(world: World) -> None:
    await world.online("host-1", "host-2")
    await world.roll("host-1", "host-2", waves=(1, 0), limits={"soak": 1})
    await world.fail("host-1")
    app = on(world)
    async with driven(app) as pilot:
        await until(pilot, lambda: "2 up" in seen(app))
        assert "Halted" not in seen(app)
        await press(pilot, "3", "slash", *"host-1", "enter", "enter")
        told = app.screen.query_one("#attempt", Lines)
        await until(pilot, lambda: "Lasted    offered " in str(told.content))
        for state in ("staged", "go", "applying"):
            assert re.search(rf"\b{state} \d+ s", str(told.content))
        assert sum(app.session.fleet.rates.bad(app.session.now)) == 1
    await app.server.close()
    world.left_over = {"rollout": (0, 1)}


async def test_a_server_that_goes_away_is_told_and_what_happened_meanwhile_is_shown_when_it_is_back(
    world: World,
) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", waves=(1, 0), limits={"soak": 1})
    host, _, port = world.server.address.rpartition(":")
    async with Proxy.to(host, int(port)) as proxy:
        app = on(world, address=proxy.address)
        async with driven(app) as pilot:
            await press(pilot, "2")
            await until(pilot, lambda: "running" in seen(app))
            await press(pilot, "enter")
            await until(pilot, lambda: "◐ RUNNING" in seen(app))
            await world.stop()
            await until(pilot, lambda: "◌ stale" in seen(app))
            await until(pilot, lambda: "reconnecting (" in seen(app))
            assert app.screen.query_one("#body").has_class("-stale")

            await world.start()
            world.readdress()
            await world.pause(rollout)
            assert "◐ RUNNING" in seen(app), "nobody has told it"
            proxy.target = (host, int(world.server.address.rpartition(":")[2]))
            await until(pilot, lambda: "‖ PAUSED" in seen(app))
            await until(pilot, lambda: "● live" in seen(app))
            assert not app.screen.query_one("#body").has_class("-stale")
            await until(pilot, lambda: re.search(r"rollout state +paused", seen(app)) is not None)
            events = app.session.events_now()
            shown = [events.id_at(place) for place in range(len(events))]
            assert shown == [each.id for each in (await app.server.older()).happenings], "each once, in their order"
        await app.server.close()


async def test_a_token_that_is_refused_is_said_with_the_remedy(world: World) -> None:
    app = console(LiveServer(Endpoint(world.server.address, world.services.ca_pem, "wrong")), time.monotonic)  # type: ignore[arg-type]
    async with driven(app) as pilot:
        await until(pilot, lambda: "refused: UNAUTHENTICATED" in seen(app))
        words = " ".join(seen(app).split())
        assert "API token: it is unknown or revoked (UNAUTHENTICATED)" in words
        assert "ask an admin for a new one" in words
    await app.server.close()


async def test_a_release_is_yanked_by_keys_and_the_server_says_so(world: World) -> None:
    """The managed repository of the world's stock: its server signs."""
    await world.online("host-1")
    app = on(world)
    async with driven(app) as pilot:
        await until(pilot, lambda: "1 up" in seen(app))
        await press(pilot, "4")
        await until(pilot, lambda: NEW in seen(app))
        newest = next(release for release in app.session.papers.releases if release.version == NEW)
        assert newest.state == "listed"
        await press(pilot, "slash", *f"version:{NEW}", "enter", "enter")
        await until(pilot, lambda: newest.artefacts[0].sha256 in seen(app))
        await press(pilot, "Y", "r", *"it leaks", "enter", "y")
        await until(pilot, lambda: "YANKED  it leaks" in seen(app))
        assert len(await world.events("release.yanked")) == 1
        await press(pilot, "0")
        await until(pilot, lambda: "this server holds the keys" in seen(app))
        await until(pilot, lambda: "timestamp" in seen(app))
        await until(pilot, lambda: "the server is not in RECOVERY" in seen(app) or "UNIMPLEMENTED" in seen(app))
    await app.server.close()
