"""How fresh a view is: of one connection, and of the two that a rollout's screen looks through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll.v1 import rollouts_pb2
from fleetroll_tui import convert
from fleetroll_tui.model.link import Link
from fleetroll_tui.model.updates import Alive, Changed, Lost, Page, Resync, Stand
from fleetroll_tui.model.values import Member
from tests.tui import scenes
from tests.tui.driving import PlayedServer, Ticks, console, driven, played, press, seen, server_of, settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fleetroll_tui.model.updates import Update

NOW = float(scenes.NOW)
CREW = convert.update(scenes.recording()[2].message)
CUT = Lost("UNAVAILABLE", "too many watchers", "close another console", tries=2)
NO = Lost("PERMISSION_DENIED", "not with this token", "ask an admin", final=True)


def paused() -> PlayedServer:
    """A server on which the rollout of the scenes is paused."""
    server = PlayedServer()
    message = scenes.snapshot()
    message.snapshot.rollouts[0].state = rollouts_pb2.ROLLOUT_STATE_PAUSED
    server.say(convert.update(message))
    server.say(CREW, scenes.ROLLOUT)
    return server


class EndingServer(PlayedServer):
    """A server whose watch ends once it refused for good, as a real one's does."""

    def __init__(self) -> None:
        super().__init__()
        self.say(convert.update(scenes.snapshot()))
        self.say(NO)

    async def watch(self, rollout_id: str = "") -> AsyncIterator[Update]:
        async for update in super().watch(rollout_id):
            yield update
            if update is NO:
                return


def test_after_a_resync_it_is_stale_until_the_last_page_is_there() -> None:
    link = Link(loaded=True)
    for end in (Page(NOW, Stand(), last=True), Changed(NOW, Stand())):
        link.take(Resync(NOW, "too slow"), 10.0)
        for update in (Alive(NOW), Page(NOW, Stand(), last=False), Alive(NOW)):
            link.take(update, 20.0)
            assert link.stale(20.0)
        assert link.words(22.0) == "stale 12 s, read anew"
        link.take(end, 23.0)
        assert link.words(23.0) == "live 0.0 s"


async def test_a_rollout_whose_hosts_are_not_heard_of_is_stale_and_nothing_spreads() -> None:
    ticks = Ticks()
    app = console(paused(), ticks)
    async with driven(app) as pilot:
        await press(pilot, "2", "enter")
        assert "● live" in seen(app)
        assert "Continue" in seen(app).splitlines()[-1]
        ticks.at += 12
        server_of(app).say(convert.update(scenes.message()))
        server_of(app).say(CUT, scenes.ROLLOUT)
        await settle(pilot)
        text = seen(app)
        assert "◌ stale 12 s, reconnecting (2)" in text.splitlines()[0]
        assert "48 hosts" in text
        assert text.count("◌ stale 12 s, reconnecting (2)") == 2, "the title of the hosts says it too"
        assert app.screen.query_one("#body").has_class("-stale")
        assert "Continue" not in text.splitlines()[-1]
        await press(pilot, "c")
        assert "what is shown may be old" in seen(app)
        await press(pilot, "escape")
        assert "● live" in seen(app), "the list of rollouts does not look through that connection"


async def test_hosts_of_a_rollout_that_are_not_heard_of_for_long_are_stale_though_the_fleet_speaks() -> None:
    ticks = Ticks()
    app = console(played(), ticks)
    async with driven(app) as pilot:
        await press(pilot, "2", "enter")
        ticks.at += 6
        server_of(app).say(convert.update(scenes.message()))
        await settle(pilot)
        assert "◌ stale 6 s" in seen(app).splitlines()[0]
        server_of(app).say(Alive(NOW), scenes.ROLLOUT)
        await settle(pilot)
        assert "● live" in seen(app).splitlines()[0]


async def test_an_empty_list_of_hosts_says_why_nothing_more_comes() -> None:
    server = PlayedServer()
    server.say(convert.update(scenes.snapshot()))
    server.say(Page(NOW, Stand(), last=True), scenes.ROLLOUT)
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "2", "enter")
        assert "no hosts" in seen(app)
        server.say(CUT, scenes.ROLLOUT)
        await settle(pilot)
        assert "too many watchers (UNAVAILABLE). close another console" in seen(app)


async def test_why_nothing_is_heard_is_said_once_it_lasts() -> None:
    ticks = Ticks()
    app = console(played(), ticks)
    async with driven(app) as pilot:
        server_of(app).say(CUT)
        await settle(pilot)
        assert "too many watchers" not in seen(app), "most cuts are over in a moment"
        ticks.at += 6
        await settle(pilot)
        assert "too many watchers (UNAVAILABLE). close another console" in seen(app)
        server_of(app).say(convert.update(scenes.message()))
        await settle(pilot)
        assert "too many watchers" not in seen(app)


async def test_a_refusal_is_said_at_once_and_a_view_tries_again() -> None:
    app = console(EndingServer())
    async with driven(app) as pilot:
        await press(pilot, "3")
        assert "refused: PERMISSION_DENIED" in seen(app).splitlines()[0]
        assert "(PERMISSION_DENIED). ask an admin. Go to a view (1, 2, 3) to try again." in seen(app)
        app.server.say(convert.update(scenes.snapshot()))  # type: ignore[attr-defined]
        await press(pilot, "2")
        assert "● live" in seen(app).splitlines()[0]
        assert "not with this token" not in seen(app)


async def test_hosts_that_were_refused_are_asked_for_again_at_the_next_visit() -> None:
    server = PlayedServer()
    server.say(convert.update(scenes.snapshot()))
    server.say(NO, scenes.ROLLOUT)
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "2", "enter")
        assert "refused: PERMISSION_DENIED" in seen(app).splitlines()[0]
        assert "not with this token (PERMISSION_DENIED). ask an admin" in seen(app)
        server.say(Page(NOW, Stand(members=(Member("ag-1", "edge-of-now", 1),)), last=True), scenes.ROLLOUT)
        await press(pilot, "escape", "enter")
        assert "edge-of-now" in seen(app)
        assert "● live" in seen(app).splitlines()[0]
