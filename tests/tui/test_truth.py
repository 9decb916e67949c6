"""Whether what is seen is true: freshness, loading, errors, hostile words, and when it is painted."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from fleetroll_tui import convert
from fleetroll_tui.app import defect_words
from fleetroll_tui.model.updates import Changed, Lost, Older, Page, Stand
from fleetroll_tui.model.values import Attempt, Decision, Happening, Member, Product, Rollout, Switch, Token, Wave
from tests.tui import scenes
from tests.tui.driving import (
    NARROW,
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
)

NOW = float(scenes.NOW)


async def test_a_view_is_stale_dim_and_says_how_often_it_tried() -> None:
    server, ticks = played(), Ticks()
    app = console(server, ticks)
    async with driven(app) as pilot:
        assert "● live 0.0 s" in seen(app)
        ticks.at += 12
        server.say(Lost("UNAVAILABLE", "connection refused", tries=3))
        await settle(pilot)
        assert "◌ stale 12 s, reconnecting (3)" in seen(app)
        assert app.screen.query_one("#body").has_class("-stale")
        server.say(convert.update(scenes.snapshot()))
        await settle(pilot)
        assert "● live" in seen(app)
        assert not app.screen.query_one("#body").has_class("-stale")


async def test_silence_alone_makes_it_stale() -> None:
    server, ticks = played(), Ticks()
    app = console(server, ticks)
    async with driven(app) as pilot:
        ticks.at += 6
        await settle(pilot)
        assert "◌ stale 6 s" in seen(app)


async def test_what_is_loading_and_what_failed_say_the_next_step() -> None:
    server = PlayedServer()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "3")
        assert "loading the fleet" in seen(app)
        server.say(Lost("UNAUTHENTICATED", "the token is not valid", "give a token that is valid", final=True))
        await settle(pilot)
        assert "the token is not valid (UNAUTHENTICATED). give a token that is valid" in seen(app)
        server.say(Page(NOW, Stand(), last=True))
        await settle(pilot)
        assert "no hosts yet: fleetroll tokens join create" in seen(app)
        await press(pilot, "2")
        assert "no rollouts yet: fleetroll rollout start" in seen(app)


async def test_hostile_words_are_shown_harmlessly_everywhere() -> None:
    evil = "\x1b[2J[bold]x[/]\u202egnp\u200b" + "y" * 10_000
    server = PlayedServer()
    bad = replace(host(1), name=evil, fleet_id=evil, labels={evil: evil}, container=evil, os=evil)
    attempt = replace(
        convert.attempt(scenes.attempt(24)),
        from_version=evil,
        message=evil,
        output_tail=evil,
        step=evil,
        to_version=evil,
    )
    bad = replace(bad, products=(Product(evil, evil, evil, "failed", attempt),))
    rollout = convert.rollout(scenes.rollout())
    rollout = replace(
        rollout, product=evil, version=evil, waiting_for=evil, started=replace(rollout.started, by=evil, reason=evil)
    )
    event = Happening("ev-1", NOW, evil, by=evil, reason=evil, message=evil, rollout_id=rollout.id, host_id=bad.id)
    server.say(Page(NOW, Stand(hosts=(bad,), rollouts=(rollout,)), last=True))
    server.say(Changed(NOW, Stand(), (event,)))
    member = replace(convert.member(scenes.members()[24]), id=bad.id, name=evil, attempt=attempt)
    server.say(Page(NOW, Stand(members=(member,)), last=True), rollout.id)
    app = console(server, environment=evil)
    async with driven(app) as pilot:
        for keys in ((), ("2",), ("enter",), ("X",), ("escape",), ("3",), ("enter",), ("slash", *"[x")):
            await press(pilot, *keys)
            text = seen(app)
            assert not set(text) & set("\x1b\u202e\u200b\x07")
            assert "\\x1b[2J[bold]x" in text


@pytest.mark.parametrize("at", [-(2.0**62), 253_402_300_800.0, 2.0**62])
async def test_instants_that_no_calendar_holds_end_no_screen(at: float) -> None:
    when = Decision("ana", "why", "PAUSED", at)
    attempt = Attempt("at-1", "ro-1", "1.0.0", "1.5.0", "failed", offered_at=at, granted_at=at, ended_at=at)
    product = Product("web", "1.0.0", "1.5.0", "failed", attempt, at)
    odd = host(1, last_seen_at=at, enrolled_at=at, online=False, products=(product,))
    wave = Wave(1, "open", 2, opened_at=at, ended_at=at, baked_seconds=at)
    rollout = Rollout("ro-1", "eu", "web", "1.5.0", "halted", 1, (wave,), why=when, started=when, ended_at=at)
    event = Happening("ev-1", at, "attempt.state", rollout_id="ro-1", host_id=odd.id, state="failed")
    token = Token("ana", "admin", 5, expires_at=at)
    server = PlayedServer()
    switch = Switch("global", active=True, decision=when)
    for now in (NOW, at):
        server.say(Page(now, Stand((rollout,), (switch,), (odd,), token=token), last=True))
        server.say(Changed(now, Stand(), (event,)))
    server.say(Page(at, Stand(members=(Member(odd.id, odd.name, 1, attempt, changed_at=at),)), last=True), "ro-1")
    app = console(server)
    async with driven(app) as pilot:
        for keys in ((), ("2",), ("enter",), ("X",), ("escape", "L"), ("escape", "3"), ("enter",)):
            await press(pilot, *keys)
            await settle(pilot)
        assert "edge-00001" in seen(app)
        assert "Not done" not in seen(app)
        assert "defect" not in seen(app)


async def test_older_events_come_with_the_first_snapshot() -> None:
    server = played()
    server.before = Older((Happening("ev-old", NOW - 100, "rollout.state", message="an old thing"),))
    app = console(server)
    async with driven(app) as pilot:
        await settle(pilot)
        assert "an old thing" in seen(app)


async def test_many_changes_between_two_repaints_are_one_repaint() -> None:
    server = PlayedServer()
    server.say(Page(NOW, Stand(hosts=tuple(host(number) for number in range(1000))), last=True))
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "3")
        painted: list[float] = []
        real = app.screen.paint_body  # type: ignore[attr-defined]

        def paint(now: float) -> None:
            painted.append(now)
            real(now)

        app.screen.paint_body = paint  # type: ignore[attr-defined]
        for number in range(200):
            server.say(Changed(NOW, Stand(hosts=(host(number, online=False),))))
        for _ in range(300):
            await pilot.pause(0)
        assert len(painted) < 20
        await settle(pilot)
        assert "800 up" in seen(app)


async def test_a_defect_ends_it_with_one_sentence_and_nothing_that_it_knows() -> None:
    app = console()
    told = io.StringIO()
    app.error_console = Console(file=told, width=200)

    async def fall() -> None:
        async with driven(app) as pilot:
            await press(pilot, "3")
            app.call_later(lambda: 1 // 0)
            await pilot.pause()

    with pytest.raises(ZeroDivisionError):
        await fall()
    sentence = r"fleetroll-console: a defect ended it: ZeroDivisionError( at \w+\.py:\d+)?\. "
    assert re.fullmatch(sentence + r"The server was told nothing by it\.\n", told.getvalue())


def test_a_defect_names_its_place_in_our_code() -> None:
    with pytest.raises(AttributeError) as caught:
        convert.seconds(None)  # type: ignore[arg-type]
    assert re.search(r"AttributeError at convert\.py:[0-9]+\.", defect_words(caught.value))


async def test_what_did_not_change_is_not_painted_again() -> None:
    app = console(played())
    async with driven(app) as pilot:
        painted: list[float] = []
        app.screen.paint_body = painted.append  # type: ignore[attr-defined]
        for _ in range(5):
            app.repaint()
        assert painted == []
        server_of(app).say(Changed(NOW, Stand(hosts=(host(1),))))
        await settle(pilot)
        assert len(painted) == 1


async def test_without_colour_every_state_is_still_a_sign_and_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = console()
    async with driven(app, NARROW) as pilot:
        await press(pilot, "2", "enter", "tab")
        styles = [segment.style for strip in app.screen._compositor.render_strips() for segment in strip]
        colours = {each for style in styles if style is not None for each in (style.color, style.bgcolor) if each}
        assert colours
        assert {each.name for each in colours if each.triplet and len(set(each.triplet)) > 1} == set()
        text = seen(app)
    for words in ("? lost", "↩ rolled back", "◐ applying", "↓ downloading", "◷ on trial", "· pending", "▸"):
        assert words in text
