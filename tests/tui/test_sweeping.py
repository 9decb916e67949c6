"""All that is kept is looked through when nobody types, or else seldom."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from fleetroll_tui.sweeping import LATEST_SECONDS, QUIET_SECONDS, SWEEP_SECONDS, Sweeper
from tests.tui.driving import PlayedServer, Ticks, console, driven

if TYPE_CHECKING:
    import pytest


def test_it_waits_for_a_quiet_time_but_not_for_ever() -> None:
    sweeper = Sweeper(0.0)
    assert not sweeper.due(SWEEP_SECONDS - 1)
    sweeper.touched(SWEEP_SECONDS)
    assert not sweeper.due(SWEEP_SECONDS + QUIET_SECONDS - 1)
    assert sweeper.due(SWEEP_SECONDS + QUIET_SECONDS)
    assert not sweeper.due(SWEEP_SECONDS + QUIET_SECONDS + 1), "once"
    sweeper = Sweeper(0.0)
    sweeper.touched(LATEST_SECONDS)
    assert sweeper.due(LATEST_SECONDS)


async def test_a_key_puts_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks, swept = Ticks(), list[int]()
    app = console(PlayedServer(), ticks)
    async with driven(app) as pilot:
        monkeypatch.setattr(gc, "collect", lambda: swept.append(1))
        ticks.at += SWEEP_SECONDS - 1
        await pilot.press("1")
        ticks.at += 1
        app.repaint()
        assert swept == []
        ticks.at += QUIET_SECONDS
        app.repaint()
        assert swept == [1]
