"""Screens by their keys: what is seen, where one goes, what survives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input

from fleetroll_tui import convert
from fleetroll_tui.model.updates import Changed, Page, Stand
from fleetroll_tui.model.values import Decision, Happening
from fleetroll_tui.places import Place
from fleetroll_tui.theme import PALETTES
from fleetroll_tui.widgets.lines import Lines
from fleetroll_tui.widgets.table import VirtualTable
from tests.tui import scenes
from tests.tui.driving import (
    MIDDLE,
    NARROW,
    WIDE,
    PlayedServer,
    console,
    driven,
    host,
    played,
    press,
    seen,
    settle,
)

if TYPE_CHECKING:
    from fleetroll_tui.app import ConsoleApp

NOW = float(scenes.NOW)


def table(app: ConsoleApp, name: str) -> VirtualTable:
    return app.screen.query_one(f"#{name}", VirtualTable)


async def test_the_overview_counts_and_says_what_waits() -> None:
    app = console()
    async with driven(app):
        text = seen(app)
    for words in ("45", "93.8 %", "agent-0.9.1", "halted: continue or cancel", "web-proxy-1.5.0", "HEALTH_TIMEOUT"):
        assert words in text


@pytest.mark.parametrize("size", [WIDE, MIDDLE, NARROW])
async def test_every_screen_fits_in_every_width(size: tuple[int, int]) -> None:
    app = console()
    async with driven(app, size) as pilot:
        for keys in (("2",), ("enter",), ("tab", "tab"), ("3",), ("enter",), ("question_mark",)):
            await press(pilot, *keys)
            lines = seen(app).splitlines()
            assert len(lines) == size[1]
            assert "prod-eu" in lines[0]
            assert lines[0].rstrip().endswith("Z")


async def test_nothing_outside_ascii_is_written_where_that_is_asked_for() -> None:
    app = console(ascii_only=True)
    for size in (WIDE, NARROW):
        app = console(ascii_only=True)
        async with driven(app, size) as pilot:
            for keys in ((), ("2",), ("enter",), ("tab", "tab", "tab"), ("3", "space"), ("enter",), ("question_mark",)):
                await press(pilot, *keys)
                assert [letter for letter in seen(app) if not letter.isascii()] == []


async def test_tiles_open_the_hosts_that_they_count() -> None:
    app = console()
    async with driven(app) as pilot:
        await press(pilot, "tab", "tab", "tab", "tab", "enter")
        assert app.screen.kind == "hosts"  # type: ignore[attr-defined]
        assert app.session.hosts.filter.text == "is:offline"
        assert "3 of 48 hosts" in seen(app)


async def test_a_filter_works_with_each_key_and_an_error_points_at_its_place() -> None:
    app = console()
    async with driven(app) as pilot:
        await press(pilot, "3", "slash", *"edge-0001")
        assert "10 of 48 hosts" in seen(app)
        await press(pilot, *" state:faild")
        lines = seen(app).splitlines()
        assert "did you mean failed?" in lines[-2]
        assert lines[-3].index("▲") - lines[-4].index("edge-0001") == len("edge-0001 state:")
        assert "filter edge-0001 state" in seen(app), "the last filter that can be read stays"
        await press(pilot, "escape")
        assert "48 hosts" in seen(app)
        assert not app.screen.query_one("#filter").has_class("-open")


async def test_keys_go_to_the_filter_while_it_is_written() -> None:
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, "2", "slash", *"pH")
        assert app.screen.query_one("#filter-input", Input).value == "pH"
        assert app.server.asked == []  # type: ignore[attr-defined]
        assert app.armed_at is None


async def test_in_an_empty_list_nothing_is_marked() -> None:
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, "3", "slash", *"nobody", "enter", "space")
        assert "marked" not in seen(app)
        assert app.session.hosts.marks == set()


async def test_the_cursor_and_marks_stay_on_their_rows_through_refresh_sort_and_filter() -> None:
    server = PlayedServer()
    server.say(Page(NOW, Stand(hosts=tuple(host(number) for number in range(100, 200))), last=True))
    app = console(server)
    async with driven(app, NARROW) as pilot:
        await press(pilot, "3", *"jjjjj", "space")
        assert app.session.hosts.marks == {"ag-00105"}
        rows = table(app, "hosts")
        assert rows.key == "ag-00106"
        before = 1 + rows._place - rows.scroll_offset.y
        server.say(Changed(NOW, Stand(hosts=tuple(host(number) for number in range(50)))))
        await settle(pilot)
        assert rows.key == "ag-00106"
        assert 1 + rows._place - rows.scroll_offset.y == before, "the row stays where it is on the screen"
        await press(pilot, "s", "S")
        assert rows.key == "ag-00106"
        await press(pilot, "slash", *"edge-0010", "enter")
        assert rows.key == "ag-00106"
        assert app.session.hosts.marks == {"ag-00105"}
        assert "1 marked" in seen(app)


async def test_the_first_row_is_whatever_comes_first_until_one_is_chosen() -> None:
    server = PlayedServer()
    server.say(Page(NOW, Stand(hosts=(host(5), host(6))), last=True))
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "3")
        server.say(Changed(NOW, Stand(hosts=(host(1),))))
        await settle(pilot)
        assert table(app, "hosts").key == "ag-00001"


async def test_the_ends_and_pages_of_a_list_are_reached_by_keys() -> None:
    server = PlayedServer()
    server.say(Page(NOW, Stand(hosts=tuple(host(number) for number in range(500))), last=True))
    app = console(server)
    async with driven(app, NARROW) as pilot:
        await press(pilot, "3", "G")
        assert "edge-00499" in seen(app)
        await press(pilot, "k")
        assert table(app, "hosts").key == "ag-00498"
        await press(pilot, "g", "pagedown")
        assert table(app, "hosts").key == f"ag-{table(app, 'hosts').page:05}"
        await press(pilot, "home")
        assert table(app, "hosts").key == "ag-00000"


async def test_a_resize_keeps_the_cursor_in_sight_and_changes_the_panes() -> None:
    app = console()
    async with driven(app) as pilot:
        await press(pilot, "2", "enter")
        table(app, "members").move_to(20)
        await settle(pilot)
        name = app.session.members.current
        await pilot.resize_terminal(*NARROW)
        await settle(pilot)
        assert app.session.members.current == name
        assert name is not None
        assert name.name in seen(app)
        assert not table(app, "waves").display or not table(app, "waves").region
        await press(pilot, "tab", "tab", "tab")
        assert "passed" in seen(app)
        await pilot.resize_terminal(*WIDE)
        await settle(pilot)
        text = seen(app)
        assert "passed" in text
        assert name.name in text


async def test_enter_goes_in_and_escape_comes_back_out() -> None:
    app = console()
    async with driven(app) as pilot:
        await press(pilot, "2", "enter")
        assert app.history.here.key == scenes.ROLLOUT
        await press(pilot, "enter")
        assert app.history.here.kind == "host"
        assert "edge-00025.fra" in seen(app)
        await press(pilot, "escape")
        assert app.history.here.key == scenes.ROLLOUT
        await press(pilot, "escape", "escape")
        assert app.history.here.kind == "overview"
        await press(pilot, "right_square_bracket", "right_square_bracket")
        assert app.history.here.key == scenes.ROLLOUT
        await press(pilot, "minus")
        assert app.history.here.kind == "rollouts"


@pytest.mark.parametrize(("keys", "pane"), [((), "events"), (("2", "enter"), "events")])
async def test_enter_on_an_event_opens_what_was_highlighted(keys: tuple[str, ...], pane: str) -> None:
    server = played()
    seen_one = [
        Happening(f"e{number}", NOW + number, "attempt.state", rollout_id=scenes.ROLLOUT, host_id=f"ag-{number:05}")
        for number in (1, 2)
    ]
    server.say(Changed(NOW, Stand(), (seen_one[0],)))
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, *keys)
        events = table(app, pane)
        assert events.key == "e1"
        app.session.take(Changed(NOW, Stand(), (seen_one[1],)))  # it is not painted yet
        app.screen.listing()  # type: ignore[attr-defined]
        events.open_row()
        await settle(pilot)
        assert app.history.here == Place("host", "ag-00001")


@pytest.mark.parametrize("keys", [(), ("3", "enter"), ("2", "enter", "X"), ("question_mark",)])
async def test_a_halt_is_told_once_wherever_one_is(keys: tuple[str, ...]) -> None:
    server = played()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, *keys)
        assert "Halted" not in seen(app), "what stood halted is no news"
        halted = replace(convert.rollout(scenes.rollout()), state="halted", why=Decision("gate", "3 bad", "EXITED"))
        for _ in range(2):
            server.say(Changed(NOW, Stand(rollouts=(halted,))))
            await settle(pilot)
        text = seen(app)
        assert text.count("web-proxy-1.5.0 in fleet eu-edge") == 1
        assert text.count("Halted") == 1


async def test_halts_that_come_together_are_one_telling() -> None:
    server = played()
    app = console(server)
    async with driven(app) as pilot:
        one = replace(convert.rollout(scenes.rollout()), state="halted", why=Decision())
        many = tuple(replace(one, id=f"ro-{at}", version=f"2.0.{at}") for at in range(5))
        server.say(Changed(NOW, Stand(rollouts=many)))
        await settle(pilot)
        text = seen(app)
        assert "web-proxy-2.0.2 in fleet eu-edge" in text
        assert "and 2 more" in text


async def test_the_host_says_how_long_each_state_lasted() -> None:
    app = console()
    async with driven(app) as pilot:
        await press(pilot, "3", "slash", *"00024", "enter", "enter")
        words = " ".join(str(app.screen.query_one("#attempt", Lines).content).split())
    lasted = "offered 1 s downloading 8 s staged 3 s go 1 s applying 22 s on trial 1 min"
    assert f"Lasted {lasted}" in words


async def test_a_filter_that_no_event_passes_stays() -> None:
    app = console()
    async with driven(app) as pilot:
        await press(pilot, "3", "enter", "slash", *"nothing-like-it", "enter")
        await settle(pilot)
        assert app.screen.listing().filter.text == "nothing-like-it"  # type: ignore[attr-defined]


async def test_enter_on_a_wave_shows_its_hosts() -> None:
    app = console()
    async with driven(app, NARROW) as pilot:
        await press(pilot, "2", "enter", "g", "enter")
        assert app.session.members.filter.text == "wave:1"
        assert "edge-00000.ams" in seen(app)
        assert "edge-00024.ams" not in seen(app)
        await press(pilot, "escape")
        assert app.session.members.filter.empty


async def test_the_gate_is_shown_against_its_limit() -> None:
    app = console()
    async with driven(app) as pilot:
        await press(pilot, "2", "enter")
        text = seen(app)
    assert "2 bad of 17 tried (11.8 %) ▲ close, halts at 3 or surely over 10.0 %" in text
    assert "4 at once, 6 out at most, soak 1 min, bake 5 min" in text
    assert "24 healthy" in text
    assert "wave 3 of 4, open" in text


async def test_the_host_shows_its_log_and_the_end_of_its_output() -> None:
    app = console()
    async with driven(app) as pilot:
        await press(pilot, "3", "slash", *"00024", "enter", "enter")
        text = seen(app)
    for words in (
        "HEALTH_TIMEOUT",
        "fatal: out of file descriptors",
        "rolled back",
        "on trial",
        "site=ams",
        "1.4.2 → 1.5.0",
    ):
        assert words in text


async def test_a_pane_is_maximised_and_given_back() -> None:
    app = console()
    async with driven(app) as pilot:
        await press(pilot, "2", "enter", "m")
        assert table(app, "members").size.height > 30
        assert "passed" not in seen(app)
        await press(pilot, "escape")
        assert "passed" in seen(app)
        assert app.history.here.kind == "rollout"


async def test_the_footer_names_only_what_works_now() -> None:
    app = console()
    async with driven(app) as pilot:
        await press(pilot, "2", "enter")
        footer = seen(app).splitlines()[-1]
        assert "Pause" in footer
        assert "Continue" not in footer
        await press(pilot, "escape", "j", "enter")
        footer = seen(app).splitlines()[-1]
        assert "Continue" in footer
        assert "Pause" not in footer


@pytest.mark.parametrize("size", [WIDE, MIDDLE, NARROW])
async def test_no_word_of_the_help_is_cut(size: tuple[int, int]) -> None:
    app = console()
    async with driven(app, size) as pilot:
        await press(pilot, "2", "enter", "question_mark")
        box = app.screen.query_one("#help").region
        for _ in range(12):
            lines = seen(app).splitlines()[box.y : box.bottom]
            assert "…" not in "".join(line[box.x : box.right] for line in lines)
            await press(pilot, "pagedown")


async def test_the_palette_offers_what_works_and_runs_it() -> None:
    app = console()
    async with driven(app) as pilot:
        offered = [command.title for command in app.get_system_commands(app.screen)]
        assert "Hosts (3)" in offered
        assert not any(title.startswith("Continue") for title in offered)
        await press(pilot, "colon", *"Hosts", "enter")
        await settle(pilot)
        assert app.history.here.kind == "hosts"


async def test_light_and_dark_change_by_a_key() -> None:
    app = console()
    async with driven(app) as pilot:
        await press(pilot, "T")
        assert app.theme == "fleetroll-light"
        assert app.paint.palette.base == PALETTES["light"].base
        await press(pilot, "T")
        assert app.theme == "fleetroll-dark"
