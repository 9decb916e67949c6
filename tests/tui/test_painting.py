"""What is painted: the lines that changed, all of those, and nothing that stands between a key and its frame."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from fleetroll_tui.model.fleet import Fleet
from fleetroll_tui.model.updates import PIECE, Changed, Page, Stand, Update, pieces
from fleetroll_tui.model.values import Attempt, Happening, Host, Product
from fleetroll_tui.paint import joined, size
from fleetroll_tui.typing_ahead import FIRST_SECONDS
from fleetroll_tui.widgets.table import VirtualTable
from tests.tui import scenes
from tests.tui.driving import MIDDLE, WIDE, PlayedServer, console, driven, host, key_event, press, seen, settle, still

if TYPE_CHECKING:
    import pytest

    from fleetroll_tui.paint import Span

NOW = float(scenes.NOW)
HOSTS = 300
STEPS = 120


def state(number: int, name: str) -> Host:
    attempt = Attempt(f"at-{number}", "ro-1", "1.0.0", "1.1.0", state=name)
    return host(number, products=(Product("web", "1.0.0", "1.1.0", name, attempt),))


def crowd() -> PlayedServer:
    server = PlayedServer()
    server.say(Page(NOW, Stand(hosts=tuple(state(number, "pending") for number in range(HOSTS))), last=True))
    return server


def watched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lines of tables that are painted from now on."""
    lines: list[int] = []
    whole = VirtualTable.render_line

    def render_line(self: VirtualTable, y: int) -> object:
        lines.append(y)
        return whole(self, y)

    monkeypatch.setattr(VirtualTable, "render_line", render_line)
    return lines


async def test_a_host_that_changes_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    server = crowd()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "3")
        await still(pilot)
        lines = watched(monkeypatch)
        server.say(Changed(NOW, Stand(hosts=(state(3, "downloading"),))))
        await settle(pilot)
        assert lines == [4], "the headings are line 0"
        assert "downloading" in seen(app)
        lines.clear()
        server.say(Changed(NOW, Stand(hosts=(state(HOSTS - 1, "failed"),))))
        await settle(pilot)
        assert lines == [], "it is not on the screen"


async def test_a_cursor_that_moves_is_two_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    app = console(crowd())
    async with driven(app) as pilot:
        await press(pilot, "3", "j")
        await still(pilot)
        lines = watched(monkeypatch)
        await press(pilot, "j")
        assert sorted(lines) == [2, 3]
        lines.clear()
        await press(pilot, "space")
        assert sorted(lines) == [3, 4]


async def test_no_line_is_left_behind_whatever_comes_and_is_done() -> None:
    draw, server = random.Random(1), crowd()
    states = ("pending", "downloading", "applying", "succeeded", "failed")
    keys = ("j", "k", "pagedown", "pageup", "G", "g", "space", "S", "s", "tab", "escape")
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "3")
        front = app.screen
        for step in range(STEPS):
            picked = draw.sample(range(HOSTS + 20), 3)
            server.say(Changed(NOW + step, Stand(hosts=tuple(state(each, draw.choice(states)) for each in picked))))
            await press(pilot, draw.choice(keys))
            if step % 40 == 20:
                await pilot.resize_terminal(*draw.choice((WIDE, MIDDLE)))
            app.clear_notifications()
            await settle(pilot)
            if app.screen is not front or step % 40 == 20:
                front = app.screen
                await still(pilot)
            shown = seen(app)
            for table in app.screen.query(VirtualTable):
                table.refresh()
            await settle(pilot)
            assert seen(app) == shown


async def test_news_wait_for_the_frame_of_a_key_but_not_for_ever() -> None:
    app = console(crowd())
    async with driven(app) as pilot:
        await press(pilot, "3")
        await app.keys_first()
        driver = app._driver
        assert driver is not None
        driver.send_message(key_event("j"))
        while not app.typed_ahead:
            await asyncio.sleep(0)
        assert "▸edge-00001" not in seen(app).replace(" ", "")
        await asyncio.wait_for(app.keys_first(), 5)
        assert app.session.hosts.cursor == "ag-00001"
        app.takes_keys = lambda: False  # type: ignore[method-assign]
        driver.send_message(key_event("j"))
        while not app.typed_ahead:
            await asyncio.sleep(0)
        began = asyncio.get_running_loop().time()
        await asyncio.wait_for(app.keys_first(), 5)
        assert app.typed_ahead, "the key is not done"
        assert asyncio.get_running_loop().time() - began >= FIRST_SECONDS * 0.9


def happening(number: int) -> Happening:
    return Happening(
        str(number), NOW + number, "attempt", rollout_id="ro-1", state="succeeded" if number % 2 else "failed"
    )


@given(st.integers(0, 3 * PIECE), st.integers(0, 3 * PIECE))
def test_changes_in_pieces_say_what_they_say_at_once(hosts: int, events: int) -> None:
    stand = Stand(hosts=tuple(state(number, "failed") for number in range(hosts)))
    update = Changed(NOW, stand, tuple(happening(number) for number in range(events)))
    parts = list(pieces(update))
    assert all(isinstance(part, Changed) and len(part.stand.hosts) <= PIECE for part in parts)
    at_once, in_pieces = taken([update]), taken(parts)
    assert at_once == in_pieces


def taken(updates: list[Update]) -> tuple[object, ...]:
    fleet = Fleet()
    fleet.take(Page(NOW, Stand(hosts=(state(1, "pending"),)), last=True))
    for update in updates:
        fleet.take(update)
    rates = fleet.rates_of("ro-1")
    return fleet.hosts.things, +fleet.tiles, +fleet.codes, list(fleet.ring), rates.done(NOW, 5), rates.bad(NOW, 5)


def test_what_is_no_change_is_one_piece() -> None:
    page = Page(NOW, Stand(hosts=tuple(state(number, "pending") for number in range(3 * PIECE))), last=True)
    assert list(pieces(page)) == [page]


@given(st.lists(st.tuples(st.text(" ab漢", max_size=4), st.sampled_from(["text", "bad", "bad!"]))))
def test_joined_spans_say_the_same_and_each_letter_in_its_role(spans: list[Span]) -> None:
    found = joined(spans)
    assert "".join(words for words, _ in found) == "".join(words for words, _ in spans)
    assert size(found) == size(spans)
    letters = [(letter, role) for words, role in spans for letter in words if letter != " "]
    assert [(letter, role) for words, role in found for letter in words if letter != " "] == letters
    assert all(words for words, _ in found)
