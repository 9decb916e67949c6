"""A rollout or a host that the server no longer tells: nothing old stays painted, and the next step is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleetroll_tui import convert
from fleetroll_tui.commands import ROLLOUT
from fleetroll_tui.model.updates import Changed, Page, Stand
from fleetroll_tui.places import Place
from tests.tui import scenes
from tests.tui.driving import MIDDLE, NARROW, WIDE, console, driven, host, played, press, seen, server_of, settle

NOW = float(scenes.NOW)
OLD = ("edge-00024", "web-proxy", "quarterly update", "HEALTH_TIMEOUT", "wave 3", "2 of 17 bad", "done/min")


@pytest.mark.parametrize("size", [WIDE, MIDDLE, NARROW])
async def test_a_rollout_that_is_told_no_more_leaves_nothing_painted(size: tuple[int, int]) -> None:
    app = console(played())
    async with driven(app, size) as pilot:
        await press(pilot, "2", "enter")
        assert any(words in seen(app) for words in OLD)
        server_of(app).say(Page(NOW, Stand(hosts=(host(1),)), last=True))
        for pane in range(4):
            await press(pilot, *(("tab",) if pane else ()))
            await settle(pilot)
            text = " ".join(seen(app).replace(scenes.ROLLOUT, "ID").split())
            assert [words for words in OLD if words in text] == []
            assert "ID is not among the rollouts that the server tells" in text
            assert "it ended long ago, or there is none" in text
            assert "fleetroll rollout show ID" in text
        server_of(app).say(Changed(NOW, Stand(rollouts=(convert.rollout(scenes.rollout()),))))
        await settle(pilot)
        assert "is not among" not in seen(app)
        assert "2 bad of 17 tried" in seen(app)


async def test_a_rollout_that_ended_long_ago_is_said_to_be_no_defect() -> None:
    app = console(played())
    async with driven(app, NARROW) as pilot:
        app.go(Place(ROLLOUT, "ro-of-last-year"))
        await settle(pilot)
        assert "fleetroll rollout show ro-of-last-year" in seen(app)
        await press(pilot, "escape")
        assert "is not among" not in seen(app)


async def test_a_host_that_is_told_no_more_leaves_nothing_of_its_attempts_painted() -> None:
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, "3", "slash", *"00024", "enter", "enter")
        assert "out of file descriptors" in seen(app)
        rollouts = (replace(convert.rollout(scenes.rollout()), waves=()),)
        server_of(app).say(Page(NOW, Stand(hosts=(host(1),), rollouts=rollouts), last=True))
        await settle(pilot)
        text = seen(app)
        assert "there is no host ag-00024" in text
        for old in ("out of file descriptors", "no answer in 30 s", "1.4.2"):
            assert old not in text
