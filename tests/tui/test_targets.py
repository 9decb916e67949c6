"""What a key decides about is what is seen: in maximised panes, in dialogs, in whatever order things come in."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from textual import events
from textual.widgets import Input

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_tui import convert
from fleetroll_tui.model.updates import Changed, Lost, Page, Resync, Stand
from fleetroll_tui.model.values import Switch
from fleetroll_tui.widgets.filterbar import FilterBar
from tests.tui import scenes
from tests.tui.driving import (
    NARROW,
    WIDE,
    PlayedServer,
    Ticks,
    console,
    done,
    driven,
    host,
    key_event,
    played,
    press,
    seen,
    server_of,
    settle,
)

if TYPE_CHECKING:
    from fleetroll_tui.model.values import Rollout

NOW = float(scenes.NOW)
LONG = ("edge-video-transcoder-firmware-jetson-orin-nx", "europe-west-production")


def running() -> Rollout:
    return convert.rollout(scenes.rollout())


def halted() -> Rollout:
    return convert.rollout(scenes.halted())


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_the_next_pane_is_the_large_one_where_one_was_large(size: tuple[int, int]) -> None:
    """What p pauses is under the cursor that is seen."""
    app = console(played())
    async with driven(app, size) as pilot:
        await press(pilot, "m")
        assert "Rollouts under way" not in seen(app)
        await press(pilot, "tab")
        assert "Rollouts under way" in seen(app)
        assert "Waiting for you" not in seen(app)
        await press(pilot, "p")
        assert server_of(app).asked == [("pause", scenes.ROLLOUT)]
        await press(pilot, "escape")
        assert "Waiting for you" in seen(app)


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_a_large_pane_leaves_what_is_always_to_be_seen(size: tuple[int, int]) -> None:
    ticks = Ticks()
    app = console(played(), ticks)
    async with driven(app, size) as pilot:
        await press(pilot, "2", "enter", "m")
        server_of(app).say(Changed(NOW, Stand(switches=(Switch("global", active=True),))))
        await settle(pilot)
        server_of(app).say(Lost("UNAVAILABLE", "gone", tries=3))
        ticks.at += 120
        await settle(pilot)
        text = seen(app)
        for words in ("prod-eu", "reconnecting (3)", "KILL SWITCH", "gone (UNAVAILABLE)", "? Help"):
            assert words in text
        await press(pilot, "H")
        assert "H again within 3 s" in seen(app).splitlines()[-1]
        await press(pilot, "slash", *"edge")
        assert "edge" in seen(app)
        assert app.screen.query_one("#filter", FilterBar).region.height > 0


class SlowServer(PlayedServer):
    """A server that refuses a decision when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.may = asyncio.Event()
        self.say(convert.update(scenes.snapshot()))
        self.say(convert.update(scenes.recording()[2].message), scenes.ROLLOUT)

    async def resume(self, rollout_id: str, revision: int, reason: str) -> None:
        await self.may.wait()
        raise RequestError("revision 4 is not the newest", code=Code.STALE_DECISION, remedy="read it again")


async def test_a_refusal_that_comes_while_somebody_types_takes_no_letter_of_it() -> None:
    server = SlowServer()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "2", "j", "c", "y", "3", "slash", *"code:")
        server.may.set()
        await settle(pilot)
        assert "not the newest (STALE_DECISION)" in seen(app)
        await press(pilot, *"HEALTH")
        assert server.asked == []
        assert app.armed_at is None
        assert isinstance(app.focused, Input)
        assert app.focused.value == "code:HEALTH"


async def test_rollouts_whose_names_differ_at_the_end_are_told_apart_in_a_question() -> None:
    app = console(played())
    product, fleet = LONG
    two = tuple(
        replace(halted(), id=f"ro-{number}", product=product, fleet_id=fleet, version=f"2.10.0-rc.{number}")
        for number in (1, 2)
    )
    async with driven(app, NARROW) as pilot:
        server_of(app).say(Changed(NOW, Stand(rollouts=two, hosts=(host(1, fleet_id=fleet),))))
        await press(pilot, "2", "slash", *"version:2.10.0-rc.2", "enter", "c")
        text = seen(app)
        assert f"2.10.0-rc.2 of {product}" in text
        assert f"in fleet {fleet}" in text
        await press(pilot, "n", "enter", "X")
        assert "Type 2.10.0-rc.2 and enter" in seen(app)
        await press(pilot, *"2.10.0-rc.2", "enter")
        assert server_of(app).asked == [("cancel", "ro-2")]


async def test_switches_of_long_names_are_told_apart_in_a_question() -> None:
    app = console(played())
    scopes = [f"fleet/production-europe-west-edge-cluster-of-transcoders-{end}" for end in "ab"]
    async with driven(app, NARROW) as pilot:
        server_of(app).say(Changed(NOW, Stand(switches=tuple(Switch(scope, active=True) for scope in scopes))))
        await settle(pilot)
        await press(pilot, "L")
        text = seen(app)
        assert scopes[0] in text
        assert scopes[1] in text


@pytest.mark.parametrize(("asked", "answer"), [(["c"], "y"), (["enter", "X"], [*"agent-0.9.1", "enter"])])
async def test_nothing_is_sent_about_a_rollout_that_is_told_no_more(asked: list[str], answer: list[str]) -> None:
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, "2", "j", *asked)
        server_of(app).say(Page(NOW, Stand(hosts=(host(1),), rollouts=(running(),)), last=True))
        await settle(pilot)
        assert "the server tells of it no more" in seen(app)
        await press(pilot, *answer)
        assert server_of(app).asked == []


async def test_nothing_is_sent_about_a_rollout_of_a_log_that_was_replaced() -> None:
    """It is there again, and its revision is by chance the same."""
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, "2", "j", "c")
        server_of(app).say(Resync(NOW, "restored", log_replaced=True))
        server_of(app).say(convert.update(scenes.snapshot()))
        await settle(pilot)
        assert "the server's log was replaced: ask again" in seen(app)
        await press(pilot, "y")
        assert server_of(app).asked == []
        await press(pilot, "c", "y")
        assert server_of(app).asked == [("resume", scenes.HALTED, 4)]


async def test_a_new_theme_chooses_no_other_rollout() -> None:
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, "2", "s", "S", "j")
        chosen = app.screen.rollout()  # type: ignore[attr-defined]
        others = tuple(each for each in app.session.fleet.rollouts if each.id != chosen.id)
        server_of(app).say(Page(NOW, Stand(rollouts=others), last=True))
        await settle(pilot)
        assert app.screen.rollout() is None  # type: ignore[attr-defined]
        await press(pilot, "T")
        assert app.screen.rollout() is None  # type: ignore[attr-defined]


async def test_a_host_of_no_fleet_says_that_all_fleets_are_halted() -> None:
    app = console(played())
    lone = replace(host(1, fleet_id=""), name="lone-host")
    async with driven(app) as pilot:
        server_of(app).say(Changed(NOW, Stand(hosts=(lone,))))
        await press(pilot, "3", "slash", *"lone-host", "enter", "enter", "H")
        assert "HALT ALL fleets" in seen(app).splitlines()[-1]


@pytest.mark.parametrize("scope", ["fleet/", "", "eu-edge"])
async def test_a_switch_of_no_known_scope_is_not_taken_for_the_one_of_all_fleets(scope: str) -> None:
    app = console(played())
    async with driven(app) as pilot:
        server_of(app).say(Changed(NOW, Stand(switches=(Switch(scope, active=True),))))
        await settle(pilot)
        await press(pilot, "L", *"prod-eu", "enter")
        assert [each for each in server_of(app).asked if each[0] == "lift"] == []


async def test_what_is_pasted_waits_for_the_keys_before_it() -> None:
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, "3")
        driver = app._driver
        assert driver is not None
        for event in (key_event("/"), events.Paste("edge-00003"), key_event("enter")):
            driver.send_message(event)
        await done(pilot)
        await settle(pilot)
        assert app.session.hosts.filter is not None
        assert app.session.hosts.filter.text == "edge-00003"
        await press(pilot, "2", "enter", "X")
        for event in (key_event("tab"), events.Paste("bad build")):
            driver.send_message(event)
        await done(pilot)
        await settle(pilot)
        assert app.screen.query_one("#reason", Input).value == "bad build"
        assert app.screen.query_one("#typed", Input).value == ""
