"""What is painted: the lines that changed, all of those, and nothing that stands between a key and its frame."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll.v1 import events_pb2
from fleetroll_tui import convert
from fleetroll_tui.model.fleet import Fleet
from fleetroll_tui.model.updates import PIECE, Changed, Page, Stand, Update, pieces
from fleetroll_tui.model.values import Attempt, Happening, Host, Product
from fleetroll_tui.paint import joined, size
from fleetroll_tui.session import Session
from fleetroll_tui.typing_ahead import FIRST_SECONDS
from fleetroll_tui.widgets.table import VirtualTable
from tests.tui import scenes
from tests.tui.driving import (
    MIDDLE,
    WIDE,
    PlayedServer,
    Ticks,
    console,
    driven,
    host,
    key_event,
    press,
    seen,
    settle,
    still,
)

if TYPE_CHECKING:
    from fleetroll_tui.app import ConsoleApp
    from fleetroll_tui.paint import Span

NOW = float(scenes.NOW)
HOSTS = 300
STEPS = 25


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


Cells = list[tuple[str, object]]


def cells(app: ConsoleApp) -> Cells:
    """Each letter that is on the screen with its colours, the top line apart, which goes on by itself."""
    found: Cells = []
    for strip in app.screen._compositor.render_strips()[1:]:
        found += [(letter, segment.style) for segment in strip for letter in segment.text]
    return found


KEYS = ("j", "k", "pagedown", "pageup", "G", "g", "space", "S", "s", "tab", "m", "z", "z", "slash x enter", "T")
RESIZED = 10


@pytest.mark.timeout(240)
@pytest.mark.parametrize("place", ["1", "2", "2 enter", "3"])
async def test_no_line_is_left_behind_whatever_comes_and_is_done(place: str) -> None:
    draw, server = random.Random(place), PlayedServer()
    server.say(convert.update(scenes.snapshot()))
    for event in scenes.events():
        server.say(convert.update(scenes.message(changes=events_pb2.Changes(events=[event]))))
    server.say(convert.update(scenes.recording()[2].message), scenes.ROLLOUT)
    states = ("pending", "downloading", "applying", "succeeded", "failed")
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, *place.split())
        known, rows = list(app.session.fleet.hosts), 0
        for step in range(STEPS):
            picked = [state(draw.randrange(20), draw.choice(states)), changed(draw.choice(known), draw.choice(states))]
            server.say(Changed(NOW + step, Stand(hosts=tuple(picked)), (happening(step),)))
            await press(pilot, *draw.choice(KEYS).split())
            if step % RESIZED == RESIZED - 1:
                await pilot.resize_terminal(*draw.choice((WIDE, MIDDLE)))
            if app.session.hosts.filter.text:
                await press(pilot, "escape")
            app.clear_notifications()
            await still(pilot)
            shown = cells(app)
            for table in app.screen.query(VirtualTable):
                rows += len(table.rows)
                table.refresh()
            await settle(pilot)
            assert cells(app) == shown, step
        assert rows > STEPS


def changed(known: Host, name: str) -> Host:
    return replace(known, products=(replace(known.product, state=name),))


async def test_news_wait_for_the_frame_of_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleetroll_tui.typing_ahead.FIRST_SECONDS", 30.0)
    app = console(crowd())
    async with driven(app) as pilot:
        await press(pilot, "3")
        await still(pilot)
        await app.keys_first()
        lines = watched(monkeypatch)
        await hit(app, "j")
        assert lines == []
        await app.keys_first()
        assert sorted(lines) == [1, 2]
        assert not app.typed_ahead


async def test_keys_without_a_gap_keep_no_news_out(monkeypatch: pytest.MonkeyPatch) -> None:
    app = console(server := crowd())
    async with driven(app) as pilot:
        await press(pilot, "3")
        monkeypatch.setattr(app, "takes_keys", lambda: False)  # so the key is never done
        monkeypatch.setattr("fleetroll_tui.typing_ahead.LONGEST_SECONDS", 600.0)
        await hit(app, "j")
        began = monotonic()
        await app.keys_first()
        assert monotonic() - began >= FIRST_SECONDS * 0.9
        assert app.typed_ahead
        monkeypatch.setattr("fleetroll_tui.typing_ahead.FIRST_SECONDS", 30.0)
        monkeypatch.setattr("fleetroll_tui.typing_ahead.NEWS_SECONDS", 30.0)
        app._news_until = monotonic() + 30.0
        server.say(Changed(NOW, Stand(hosts=tuple(state(number, "failed") for number in range(10 * PIECE)))))
        while app.session.fleet.tiles["failed"] < 10 * PIECE:
            await asyncio.sleep(0)
        assert app.typed_ahead, "all of it came in while the key was under way"


async def hit(app: ConsoleApp, key: str) -> None:
    """Let a key come in, and wait for nothing that it does."""
    driver = app._driver
    assert driver is not None
    driver.send_message(key_event(key))
    while not app.typed_ahead:
        await asyncio.sleep(0)


async def test_a_halt_is_told_before_the_rest_of_the_news() -> None:
    server = crowd()
    app = console(server)
    async with driven(app) as pilot:
        stands = convert.update(scenes.message(changes=events_pb2.Changes(rollouts=[scenes.halted()])))
        assert isinstance(stands, Changed)
        hosts = tuple(state(number, "failed") for number in range(2 * PIECE))
        told: list[int] = []
        app.notify = lambda *_args, **_options: told.append(app.session.fleet.tiles["failed"])  # type: ignore[method-assign]
        server.say(replace(stands, stand=replace(stands.stand, hosts=hosts)))
        await settle(pilot)
        assert told == [PIECE]


def test_pieces_do_not_set_the_clock_back() -> None:
    ticks = Ticks()
    session = Session(ticks)
    for piece in pieces(Changed(NOW, Stand(hosts=tuple(state(number, "failed") for number in range(5 * PIECE))))):
        session.take(piece)
        ticks.at += 1
    assert session.now == NOW + 5


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
