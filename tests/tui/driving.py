"""A console without a terminal: on a recording, or on a server that a test plays."""

from __future__ import annotations

import asyncio
import unicodedata
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from textual import events
from textual.keys import REPLACED_KEYS, _character_to_key, _get_unicode_name_from_key

from fleetroll_tui import convert
from fleetroll_tui.app import ConsoleApp
from fleetroll_tui.feed.base import any_turn
from fleetroll_tui.feed.replay import Replay
from fleetroll_tui.model.recovery import Recovery
from fleetroll_tui.model.updates import Older
from fleetroll_tui.model.values import Host, Product
from fleetroll_tui.screens.base import ConsoleScreen
from tests.tui import papers, scenes
from tests.tui.scenes import FILE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from textual.pilot import Pilot

    from fleetroll_common.values.errors import FleetrollError
    from fleetroll_tui.feed.base import Server, Turn
    from fleetroll_tui.model.anchors import Anchors
    from fleetroll_tui.model.releases import Catalogue, FloorPreview, InUse
    from fleetroll_tui.model.signing import ServerInfo, Signing
    from fleetroll_tui.model.updates import Update
    from fleetroll_tui.model.values import Attempt

WIDE, MIDDLE, NARROW = (160, 45), (120, 36), (80, 24)


class Ticks:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


class PlayedServer:
    """A server that says what a test lets it say, and remembers what it was asked."""

    recording = False
    fault = ""

    turn: Turn = staticmethod(any_turn)

    def __init__(self) -> None:
        self.said: dict[str, asyncio.Queue[Update]] = {}
        self.asked: list[tuple[Any, ...]] = []
        self.reasons: list[str] = []
        self.refusal: FleetrollError | None = None
        self.before: Older = Older(())
        self.papers: dict[str, Any] = {
            "catalogue": papers.catalogue(),
            "anchors": papers.anchors(),
            "recovery": Recovery(),
            "in_use": papers.in_use(),
            "floor": papers.floor(),
            "signing": papers.signing(),
            "server_info": papers.info(),
        }
        """What it answers beside the watch; an error is raised."""
        self.asked_about: list[str] = []
        self.read: list[str] = []
        """Which of these it was asked for."""

    def say(self, update: Update, stream: str = "") -> None:
        self.said.setdefault(stream, asyncio.Queue()).put_nowait(update)

    async def watch(self, rollout_id: str = "") -> AsyncIterator[Update]:
        queue = self.said.setdefault(rollout_id, asyncio.Queue())
        while True:
            yield await queue.get()

    async def older(self, *, rollout_id: str = "", host_id: str = "") -> Older:
        return self.before

    async def attempts(self, host_id: str) -> tuple[Attempt, ...]:
        return ()

    async def _paper(self, name: str) -> Any:
        self.read.append(name)
        answer = self.papers[name]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def catalogue(self) -> Catalogue:
        found: Catalogue = await self._paper("catalogue")
        return found

    async def in_use(self, product: str) -> dict[str, InUse]:
        self.asked_about.append(product)
        found: dict[str, InUse] = await self._paper("in_use")
        return found

    async def preview_floor(self, product: str, version: str) -> FloorPreview:
        self.asked_about.append(f"{product} {version}")
        found: FloorPreview = await self._paper("floor")
        return found

    async def set_floor(self, product: str, role_version: int, version: str, stranded: int, reason: str) -> None:
        self.reasons.append(reason)
        await self._decided("floor", product, role_version, version, stranded)

    async def signing(self) -> Signing:
        found: Signing = await self._paper("signing")
        return found

    async def server_info(self) -> ServerInfo:
        found: ServerInfo = await self._paper("server_info")
        return found

    async def anchors(self) -> Anchors:
        found: Anchors = await self._paper("anchors")
        return found

    async def recovery(self) -> Recovery:
        found: Recovery = await self._paper("recovery")
        return found

    async def admit(self, hosts: tuple[str, ...], reason: str) -> None:
        self.reasons.append(reason)
        await self._decided("admit", hosts)

    async def end_recovery(self, not_seen: int, reason: str) -> None:
        self.reasons.append(reason)
        await self._decided("end_recovery", not_seen)

    async def withdraw(self, product: str, role_version: int, verb: str, version: str, reason: str) -> None:
        self.reasons.append(reason)
        await self._decided(verb, product, role_version, version)

    async def promote(
        self, product: str, role_version: int, version: str, channels: tuple[str, ...], reason: str
    ) -> None:
        self.reasons.append(reason)
        await self._decided("promote", product, role_version, version, channels)

    async def _decided(self, *what: Any) -> None:
        self.asked.append(what)
        if self.refusal is not None:
            raise self.refusal

    async def pause(self, rollout_id: str, reason: str) -> None:
        self.reasons.append(reason)
        await self._decided("pause", rollout_id)

    async def resume(self, rollout_id: str, revision: int, reason: str) -> None:
        self.reasons.append(reason)
        await self._decided("resume", rollout_id, revision)

    async def advance(self, rollout_id: str, revision: int, reason: str) -> None:
        self.reasons.append(reason)
        await self._decided("advance", rollout_id, revision)

    async def cancel(self, rollout_id: str, reason: str) -> None:
        self.reasons.append(reason)
        await self._decided("cancel", rollout_id)

    async def press(self, fleet_id: str, reason: str) -> None:
        self.reasons.append(reason)
        await self._decided("press", fleet_id)

    async def lift(self, fleet_id: str, epoch: int, reason: str) -> None:
        self.reasons.append(reason)
        await self._decided("lift", fleet_id, epoch)

    async def close(self) -> None:
        """Have nothing to let go of."""


def server_of(app: ConsoleApp) -> PlayedServer:
    """The played server behind a console."""
    assert isinstance(app.server, PlayedServer)
    return app.server


def played() -> PlayedServer:
    server = PlayedServer()
    server.say(convert.update(scenes.snapshot()))
    server.say(convert.update(scenes.recording()[2].message), scenes.ROLLOUT)
    return server


def host(number: int, **values: object) -> Host:
    facts = {"online": True, "products": (Product("web", "1.0.0"),)} | values
    facts = {"fleet_id": "eu"} | facts
    return Host(f"ag-{number:05}", name=f"edge-{number:05}", **facts)  # type: ignore[arg-type]


def console(server: Server | None = None, ticks: Ticks | None = None, **options: Any) -> ConsoleApp:
    """A console on a server; without one, on the recording, all of it at once."""
    environment = options.pop("environment", "prod-eu")
    return ConsoleApp(server or Replay(FILE, 0), environment=environment, ticks=ticks or Ticks(), **options)


@asynccontextmanager
async def driven(app: ConsoleApp, size: tuple[int, int] = WIDE) -> AsyncIterator[Pilot[int]]:
    """Run it, and give the pilot once the fleet is on the screen, if it is there."""
    async with app.run_test(size=size, notifications=True) as pilot:
        await settle(pilot)
        yield pilot


async def settle(pilot: Pilot[int]) -> None:
    """Let everything that was said come in and be painted, without waiting for the clock."""
    app = pilot.app
    assert isinstance(app, ConsoleApp)
    for _ in range(2):
        await quiet(pilot)
        app.repaint()
    await quiet(pilot)
    app.screen._on_timer_update()


async def still(pilot: Pilot[int]) -> None:
    """Let it come to rest, as it looks a second later: laid out, and painted for the room that there is."""
    app = pilot.app
    assert isinstance(app, ConsoleApp)
    for _ in range(3):
        await pilot.pause()
        for screen in app.screen_stack:
            if isinstance(screen, ConsoleScreen):
                screen.repaint_now()
        await settle(pilot)


async def quiet(pilot: Pilot[int]) -> None:
    """Wait until every widget has worked off its queue; the pilot's own pause waits for an idle processor instead."""
    for _ in range(8):
        await asyncio.sleep(0)
    await pilot._wait_for_screen()


async def press(pilot: Pilot[int], *keys: str) -> None:
    """Press keys, each when the one before has done its work."""
    for key in keys:
        driver = pilot.app._driver
        assert driver is not None
        driver.send_message(key_event(key))
        await done(pilot)
        await settle(pilot)


async def done(pilot: Pilot[int]) -> None:
    """Wait until every key has done its work and is painted: what was said comes in only then."""
    app = pilot.app
    assert isinstance(app, ConsoleApp)
    for _ in range(8):  # the driver's thread hands a key over first
        await asyncio.sleep(0)
    while app.is_running and app.news_wait:
        if not app.typed_ahead:
            app.screen._on_timer_update()  # a frame, without waiting for its time
        await asyncio.sleep(0)


def key_event(key: str) -> events.Key:
    """The event of a key by its name, or of a letter."""
    named = _character_to_key(key) if len(key) == 1 and not key.isalnum() else key
    try:
        letter: str | None = unicodedata.lookup(_get_unicode_name_from_key(REPLACED_KEYS.get(named, named)))
    except KeyError:
        letter = key if len(key) == 1 else None
    return events.Key(named, letter)


def seen(app: ConsoleApp) -> str:
    """What is on the screen, as text."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)
