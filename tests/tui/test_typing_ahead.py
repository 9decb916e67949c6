"""Keys that are typed before the screen has caught up go where the person who typed them meant them to go."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from fleetroll_tui.model.decisions import name_of
from fleetroll_tui.screens.hosts import HostsScreen
from fleetroll_tui.screens.rollout import RolloutScreen
from fleetroll_tui.screens.rollouts import RolloutsScreen
from tests.tui.driving import NARROW, WIDE, console, done, driven, key_event, played, server_of, settle

if TYPE_CHECKING:
    from textual.pilot import Pilot


async def burst(pilot: Pilot[int], *keys: str) -> None:
    """All of these keys at once, as a slow machine or a pasting hand gives them; then let all of it be done."""
    driver = pilot.app._driver
    assert driver is not None
    for key in keys:
        driver.send_message(key_event(key))
    await done(pilot)
    await settle(pilot)


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_a_filter_written_at_once_is_a_filter_and_not_a_row_of_commands(size: tuple[int, int]) -> None:
    """Its letters are keys too: 1, 2 and 3 go elsewhere, p pauses, X cancels, q leaves."""
    app = console(played())
    async with driven(app, size) as pilot:
        await burst(pilot, "2", "slash", *"pHHXq123", "enter")
        assert isinstance(app.screen, RolloutsScreen)
        assert app.screen.listing().filter.text == "pHHXq123"
        assert app.screen.focused is app.screen.query_one("#rollouts")
        assert app.is_running
        assert server_of(app).asked == []


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_the_row_that_a_filter_leaves_is_opened_by_keys_typed_ahead(size: tuple[int, int]) -> None:
    app = console()
    async with driven(app, size) as pilot:
        await burst(pilot, "2", "slash", *"state:halted", "enter", "enter")
        assert isinstance(app.screen, RolloutScreen)
        rollout = app.screen.rollout()
        assert rollout is not None
        assert name_of(rollout) == "agent-0.9.1"


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_two_keys_that_come_at_once_go_two_panes_on(size: tuple[int, int]) -> None:
    app = console()
    async with driven(app, size) as pilot:
        await burst(pilot, "3", "enter", "tab", "tab")
        assert app.screen.focused is app.screen.query_one("#attempt")
        await burst(pilot, "tab")
        assert app.screen.focused is app.screen.query_one("#events")


async def test_a_dialog_gets_the_keys_that_were_typed_for_it() -> None:
    """Continue is asked and answered; what comes behind the answer goes to the screen again."""
    app = console(played())
    async with driven(app) as pilot:
        await burst(pilot, "2", "slash", *"state:halted", "enter", "c", "enter", "3")
        assert isinstance(app.screen, HostsScreen)
        assert server_of(app).asked == [], "enter answers No: that is where a question stands"
        await burst(pilot, "2", "c", "y", "3")
        assert isinstance(app.screen, HostsScreen)
        assert [what for what, *_ in server_of(app).asked] == ["resume"]


async def test_a_key_that_was_given_up_ends_no_other() -> None:
    """Its last word may come when the next one is under way already."""
    app = console()
    async with driven(app) as pilot:
        app.end_lap = lambda: None  # type: ignore[method-assign]  # no key is ever done
        driver = pilot.app._driver
        assert driver is not None
        driver.send_message(key_event("2"))
        while not app.typed_ahead:
            await asyncio.sleep(0)
        await app._next(app._lap[0] - 1)
        assert app.typed_ahead == 1
        await app._next(app._lap[0])
        assert app.typed_ahead == 0


async def test_ctrl_c_waits_for_no_key() -> None:
    app = console()
    async with driven(app) as pilot:
        app.end_lap = lambda: None  # type: ignore[method-assign]  # no key is ever done
        driver = pilot.app._driver
        assert driver is not None
        for key in ("2", "3", "2", "ctrl+c"):
            driver.send_message(key_event(key))
        async with asyncio.timeout(2):
            while not app._exit:
                await asyncio.sleep(0)


async def test_keys_go_on_when_one_of_them_is_never_done() -> None:
    """The wait for a key has an end."""
    app = console()
    async with driven(app) as pilot:
        app.end_lap = lambda: None  # type: ignore[method-assign]
        await burst(pilot, "2", "3")
        assert isinstance(app.screen, HostsScreen)
