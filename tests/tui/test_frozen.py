"""A frozen view: nothing in it moves, whatever is done to it, and nobody takes it for what stands now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from textual.geometry import Size

from fleetroll_tui import convert
from fleetroll_tui.model.updates import Changed, Lost, Page, Resync, Stand
from fleetroll_tui.model.values import Happening, Product
from fleetroll_tui.screens.rollout import RolloutScreen
from fleetroll_tui.session import Session
from fleetroll_tui.widgets.table import GUTTER, VirtualTable
from tests.tui import scenes
from tests.tui.driving import (
    MIDDLE,
    PlayedServer,
    Ticks,
    console,
    driven,
    host,
    played,
    press,
    seen,
    server_of,
    settle,
    still,
)

if TYPE_CHECKING:
    from fleetroll_tui.model.fleet import Fleet

NOW = float(scenes.NOW)


def crowd() -> PlayedServer:
    server = PlayedServer()
    server.say(Page(NOW, Stand(hosts=tuple(host(number) for number in range(200))), last=True))
    return server


def all_new() -> Changed:
    later = tuple(host(number, products=(Product("web", "9.9.9"),)) for number in range(200))
    return Changed(NOW + 1, Stand(hosts=later))


@pytest.mark.parametrize("keys", [("j",), ("G",), ("G", "g"), ("space",), ("s",), ("S",), ("/", "0", "1", "enter")])
async def test_nothing_of_what_came_in_is_seen_by_moving_in_it(keys: tuple[str, ...]) -> None:
    server = crowd()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "3", "z")
        server.say(all_new())
        await settle(pilot)
        assert app.session.fleet.versions["9.9.9"] == 200
        await press(pilot, *keys)
        assert "1.0.0" in seen(app)
        assert "9.9.9" not in seen(app)
        await press(pilot, "z")
        assert "9.9.9" in seen(app)
        assert "1.0.0" not in seen(app)


async def test_a_new_size_and_a_dialog_show_nothing_of_what_came_in() -> None:
    server = crowd()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "3", "z")
        server.say(all_new())
        await pilot.resize_terminal(*MIDDLE)
        await press(pilot, "?", "escape")
        assert app.size == Size(*MIDDLE)
        assert "1.0.0" in seen(app)
        assert "9.9.9" not in seen(app)


async def test_hosts_that_came_are_seen_when_it_goes_on_and_the_choice_stays() -> None:
    server = crowd()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "3", "z", "j", "j", "space")
        server.say(Page(NOW + 1, Stand(hosts=tuple(host(number) for number in range(2, 300))), last=True))
        await settle(pilot)
        assert "200 hosts" in seen(app)
        await press(pilot, "z")
        assert "298 hosts" in seen(app)
        assert app.session.hosts.cursor == "ag-00003", "a mark moves on"
        assert app.session.hosts.marks == {"ag-00002"}


async def test_ages_rates_and_events_stand_still() -> None:
    server, ticks = played(), Ticks()
    app = console(server, ticks)
    async with driven(app) as pilot:
        await press(pilot, "z")
        before = seen(app).split("\n")[1:]
        ticks.at += 90
        happening = Happening("99", NOW + 80, "attempt", rollout_id=scenes.ROLLOUT, state="failed", message="a new one")
        server.say(Changed(NOW + 80, Stand(), (happening,)))
        await settle(pilot)
        assert seen(app).split("\n")[1:] == before
        await press(pilot, "z")
        assert "a new one" in seen(app)


async def test_the_top_line_says_for_how_long_and_goes_on_to_tell_of_the_connection() -> None:
    server, ticks = played(), Ticks()
    app = console(server, ticks)
    async with driven(app) as pilot:
        await press(pilot, "z")
        assert "❄ frozen 0 s" in seen(app)
        assert "stale" not in seen(app)
        ticks.at += 12
        server.say(Lost("UNAVAILABLE", "connection refused", tries=3))
        await settle(pilot)
        assert "❄ frozen 12 s, stale 12 s, reconnecting (3)" in seen(app)
        assert app.screen.query_one("#body").has_class("-stale")


async def test_the_hosts_of_a_rollout_and_its_waves_stand_still() -> None:
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, "2", "enter")
        assert isinstance(app.screen, RolloutScreen)
        rollout_id = app.screen.place.key
        await press(pilot, "z")
        before = seen(app).split("\n")[1:-1]
        crew = app.session.crew.members
        for member in list(crew):
            crew.put(member.id, replace(member, attempt=replace(member.attempt, state="lost", code="SILENT")))
        stands = app.session.fleet.rollouts.get(rollout_id)
        assert stands is not None
        app.session.fleet.rollouts.put(rollout_id, replace(stands, state="completed", counts={"lost": 1}))
        await press(pilot, "j", "k")
        assert seen(app).split("\n")[1:-1] == before


async def test_a_halt_and_a_pressed_kill_switch_are_told_in_a_frozen_view_too() -> None:
    server = played()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "3", "z")
        going = next(each for each in app.session.fleet.rollouts if each.state == "running")
        server.say(Changed(NOW + 1, Stand(rollouts=(replace(going, state="halted"),))))
        message = scenes.message()
        message.changes.kill_switches.add(scope="fleet/eu-edge", active=True, in_use=3)
        server.say(convert.update(message))
        await settle(pilot)
        assert [notice.title for notice in app._notifications] == ["Halted"]
        assert app.screen.query_one("#switch").has_class("-on")


async def test_nothing_spreads_from_a_frozen_view_and_what_stops_is_for_the_server_to_judge() -> None:
    server = played()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "2")
        while (rollout := app.session.rollouts.current) is None or rollout.state != "halted":
            await press(pilot, "j")
        await press(pilot, "z", "c")
        assert [notice.message for notice in app._notifications] == ["the view is frozen: z lets it go on"]
        server.say(Changed(NOW + 1, Stand(rollouts=(replace(rollout, state="running"),))))
        await press(pilot, "p")
        assert server_of(app).asked == [("pause", rollout.id)]


async def test_other_colours_are_put_on_what_is_kept() -> None:
    server = crowd()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "3", "z")
        server.say(all_new())
        await press(pilot, "T")
        assert app.frozen
        assert "1.0.0" in seen(app)
        assert "9.9.9" not in seen(app)
        await press(pilot, "z")
        assert "9.9.9" in seen(app)


async def test_columns_are_fitted_to_the_room_that_a_filter_leaves() -> None:
    app = console(crowd())
    async with driven(app) as pilot:
        await press(pilot, "3", "z", "/", *"edge-0001", "enter")
        await still(pilot)
        await press(pilot, "escape")
        await still(pilot)
        table = app.screen.query_one("#hosts", VirtualTable)
        assert len(table.rows) == 200
        assert sum(room + 1 for _, room in table._fitted) - 1 <= table.room - GUTTER


async def test_a_log_that_is_replaced_meanwhile_leaves_no_choice_among_its_events() -> None:
    server = crowd()
    app = console(server)
    async with driven(app) as pilot:
        old = tuple(Happening(str(number), NOW + number, "attempt", message="old") for number in range(5))
        server.say(Changed(NOW, Stand(), old))
        await press(pilot, "tab", "tab", "j", "z")
        server.say(Resync(NOW + 9, "a new log", log_replaced=True))
        server.say(Page(NOW + 9, Stand(hosts=(host(1),)), last=True))
        server.say(Changed(NOW + 9, Stand(), tuple(replace(each, message="new") for each in old)))
        await settle(pilot)
        events = app.session.events()
        assert events.cursor != "", "in the view that is kept the choice stays"
        await press(pilot, "space")
        await press(pilot, "z")
        assert (events.cursor, events.marks) == ("", set())
        assert "new" in seen(app)


async def test_whoever_cancels_sees_what_stands_now() -> None:
    server = played()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "2", "enter")
        assert isinstance(app.screen, RolloutScreen)
        stands = app.session.fleet.rollouts.get(app.screen.place.key)
        assert stands is not None
        await press(pilot, "z")
        server.say(Changed(NOW + 1, Stand(rollouts=(replace(stands, counts={"succeeded": stands.hosts}),))))
        await settle(pilot)
        await press(pilot, "X")
        assert f"✔ {stands.hosts} updated hosts keep" in seen(app)
        server.say(Changed(NOW + 2, Stand(rollouts=(replace(stands, state="halted"),))))
        await settle(pilot)
        assert "changed since you asked" in seen(app)


async def test_another_place_is_live() -> None:
    app = console(crowd())
    async with driven(app) as pilot:
        await press(pilot, "3", "z", "1")
        assert not app.frozen
        assert "● live" in seen(app)


def test_a_still_session_is_touched_by_no_update() -> None:
    ticks = Ticks()
    session = Session(ticks)
    session.take(Page(NOW, Stand(hosts=(host(1),)), last=True))
    session.take(Changed(NOW, Stand(), (Happening("1", NOW, "attempt", rollout_id="r", state="succeeded"),)))
    still = session.still()
    told = (still.now, list(still.fleet.hosts), dict(still.fleet.tiles), list(still.fleet.ring), rates(still.fleet))
    session.take(Changed(NOW + 60, Stand(hosts=(host(2, online=False),)), ()))
    session.take(Changed(NOW + 60, Stand(), (Happening("2", NOW, "attempt", rollout_id="r", state="failed"),)))
    session.take(Resync(NOW + 70, "a new log", log_replaced=True))
    session.take(Page(NOW + 80, Stand(), last=True))
    ticks.at += 100
    assert (
        still.now,
        list(still.fleet.hosts),
        dict(still.fleet.tiles),
        list(still.fleet.ring),
        rates(still.fleet),
    ) == told
    assert rates(session.fleet) != rates(still.fleet)


def rates(fleet: Fleet) -> tuple[list[int], list[int], list[int]]:
    return (fleet.rates.done(NOW, 2), fleet.rates.bad(NOW, 2), fleet.rates_of("r").done(NOW, 2))
