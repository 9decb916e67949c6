"""A key decides about the rollout that was looked at: the cursor never comes to stand on another by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleetroll_tui import convert
from fleetroll_tui.model.updates import Changed, Page, Stand
from fleetroll_tui.model.values import Decision, Rollout
from tests.tui import scenes
from tests.tui.driving import NARROW, WIDE, PlayedServer, console, driven, host, press, seen, server_of, settle

NOW = float(scenes.NOW)


def rollout(number: int, state: str = "running", **values: object) -> Rollout:
    """A rollout that was started in minute so-and-so."""
    made = replace(convert.rollout(scenes.rollout()), id=f"ro-{number}", version=f"1.0.{number}", state=state)
    return replace(made, started=Decision("ana", at=NOW - 6000 + 60 * number), **values)  # type: ignore[arg-type]


def standing(*rollouts: Rollout) -> PlayedServer:
    server = PlayedServer()
    server.say(Page(NOW, Stand(rollouts=rollouts, hosts=(host(1),)), last=True))
    return server


def say(server: PlayedServer, *rollouts: Rollout) -> None:
    server.say(Changed(NOW, Stand(rollouts=rollouts)))


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_a_rollout_that_comes_does_not_take_the_cursor(size: tuple[int, int]) -> None:
    app = console(standing(rollout(1)))
    async with driven(app, size) as pilot:
        await press(pilot, "2")
        say(server_of(app), rollout(2))
        await settle(pilot)
        assert "1.0.2" in seen(app), "it is there, above"
        await press(pilot, "p")
        assert server_of(app).asked == [("pause", "ro-1")]


async def test_on_the_overview_neither() -> None:
    app = console(standing(rollout(1)))
    async with driven(app) as pilot:
        await press(pilot, "tab")
        say(server_of(app), rollout(2))
        await settle(pilot)
        await press(pilot, "p")
        assert server_of(app).asked == [("pause", "ro-1")]


async def test_when_the_chosen_one_leaves_the_list_none_is_chosen_until_a_key_moves() -> None:
    app = console(standing(rollout(1), rollout(2), rollout(3)))
    async with driven(app) as pilot:
        await press(pilot, "2", "slash", *"state:running", "enter", "j")
        say(server_of(app), rollout(2, "halted"))
        await settle(pilot)
        await press(pilot, "p", "enter")
        assert server_of(app).asked == []
        assert "choose a rollout first" in seen(app)
        assert not [line for line in seen(app).splitlines() if line.lstrip("│ ").startswith("▸")]
        await press(pilot, "k", "p")
        assert server_of(app).asked == [("pause", "ro-3")]


async def test_the_chosen_one_is_chosen_again_when_it_comes_back() -> None:
    app = console(standing(rollout(1), rollout(2), rollout(3)))
    async with driven(app) as pilot:
        await press(pilot, "2", "slash", *"state:running", "enter", "j")
        say(server_of(app), rollout(2, "halted"))
        await settle(pilot)
        say(server_of(app), rollout(2))
        await settle(pilot)
        await press(pilot, "p")
        assert server_of(app).asked == [("pause", "ro-2")]


async def test_another_filter_chooses_anew_among_what_it_leaves() -> None:
    app = console(standing(rollout(1), rollout(2, "halted"), rollout(3)))
    async with driven(app) as pilot:
        await press(pilot, "2", "j")
        await press(pilot, "slash", *"state:running", "enter", "p")
        assert len(server_of(app).asked) == 1
        assert server_of(app).asked[0][1] in {"ro-1", "ro-3"}
        await press(pilot, "escape")
        assert "3 rollouts" in seen(app)


async def test_an_order_keeps_the_chosen_one() -> None:
    app = console(standing(rollout(1), rollout(2), rollout(3)))
    async with driven(app) as pilot:
        await press(pilot, "2", "j", "S", "p", "s", "p")
        assert server_of(app).asked == [("pause", "ro-2")] * 2
