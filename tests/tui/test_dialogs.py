"""Dialogs in a small terminal: the evidence scrolls; what starts, what changed and the answers are always in sight."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from textual.containers import VerticalScroll
from textual.widgets import Button, Input

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_tui import convert
from fleetroll_tui.model.updates import Changed, Stand
from fleetroll_tui.model.values import Decision, Late, Switch, Wave
from fleetroll_tui.screens.evidence import MOST_WAVES, continue_lines
from tests.tui import scenes
from tests.tui.driving import MIDDLE, NARROW, console, driven, played, press, seen, server_of, settle, still

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from fleetroll_tui.app import ConsoleApp
    from fleetroll_tui.model.values import Rollout

NOW = float(scenes.NOW)
GATE = "1 of 10 bad, limit 3; by site ams 0 of 5, by site fra 1 of 5; the lower bound is 0.5 %"
LONG = "what somebody wrote in anger, " * 30


def halted(failed: int = 1, **changes: object) -> Rollout:
    """A rollout of which eight waves were tried, the last so many without passing."""
    waves = tuple(
        Wave(number, "failed" if number > 8 - failed else "passed", 10, {"succeeded": 9, "lost": 1}, GATE, 1, 10)
        for number in range(1, 9)
    )
    waves = (*waves, Wave(9, "pending", 20, {"pending": 20}))
    return replace(convert.rollout(scenes.halted()), waves=waves, **changes)  # type: ignore[arg-type]


def changed(before: Rollout) -> Rollout:
    """The same after much has happened."""
    waves = tuple(replace(each, gate=LONG, bad=each.bad + 1) for each in before.waves)
    return replace(before, state="paused", revision=6, waves=waves, why=Decision("ben", LONG, "PAUSED", NOW))


async def ask(pilot: Pilot[int], app: ConsoleApp, key: str, before: Rollout) -> None:
    """Ask about a rollout; then it changes."""
    server_of(app).say(Changed(NOW, Stand(rollouts=(before,))))
    await press(pilot, "2", "j", "enter", key)
    server_of(app).say(Changed(NOW, Stand(rollouts=(changed(before),))))
    await settle(pilot)
    await still(pilot)


def at(app: ConsoleApp, name: str) -> tuple[int, int]:
    """The first and the last line of the screen that a part of the dialog has, whole and inside of its frame."""
    part, box = app.screen.query_one(name), app.screen.query_one("#dialog")
    region = part.region
    assert region.height > 0
    assert box.content_region.contains_region(region), name
    return region.y, region.bottom - 1


def in_sight(app: ConsoleApp, *answers: str) -> None:
    """Answers, the reason, the last paragraph and what changed are seen whole."""
    for name in (*answers, "#reason", "#dialog-last", "#dialog-changed"):
        at(app, name)


@pytest.mark.parametrize("failed", [1, 8])
async def test_a_question_keeps_what_starts_what_changed_and_its_answers_in_sight(failed: int) -> None:
    app = console(played())
    async with driven(app, NARROW) as pilot:
        await ask(pilot, app, "c", halted(failed))
        text = seen(app)
        assert "Continue agent-0.9.1?" in text
        assert "hosts waiting" in text
        assert "1 host starts now" in text
        assert "▲ changed since you asked:" in text
        assert "state halted → paused" in text
        assert "and 8 more" in text
        assert "n No" in text
        assert "y Yes" in text
        in_sight(app, "#no", "#yes")
        assert isinstance(app.focused, Button)
        assert app.focused.id == "no"


async def test_why_late_hosts_stopped_scrolls_and_how_many_start_does_not() -> None:
    app = console(played())
    late = Late(12, 3, 0, 0, Decision("ana", LONG, "PAUSED", NOW))
    async with driven(app, NARROW) as pilot:
        await ask(pilot, app, "c", halted(0, state="completed", late=late))
        assert "1 late host starts now" in seen(app)
        in_sight(app, "#no", "#yes")
        assert app.screen.query_one("#dialog-last").size.height <= 2


async def test_a_name_that_is_asked_for_can_be_seen_while_it_is_typed() -> None:
    app = console(played())
    async with driven(app, NARROW) as pilot:
        await ask(pilot, app, "X", halted(version="0.9.1-" + "rc" * 29))
        text = seen(app)
        assert "It can't be continued afterwards." in text
        assert "▲ changed since you asked:" in text
        assert "state halted → paused" in text
        assert "enter to go on; esc leaves it." in text
        in_sight(app, "#typed", "#dialog-ask")
        assert isinstance(app.focused, Input)
        await press(pilot, *"abc")
        assert "abc" in seen(app)


async def test_a_switch_that_others_pressed_too_leaves_room_for_the_name() -> None:
    app = console(played())
    async with driven(app, NARROW) as pilot:
        pressed = [
            Switch(scope, active=True, decision=Decision("ops", LONG, "", NOW - 60))
            for scope in ("global", *(f"fleet/{'f' * 30}{number}" for number in range(5)))
        ]
        server_of(app).say(Changed(NOW, Stand(switches=tuple(pressed))))
        await press(pilot, "L")
        again = replace(pressed[0], decision=Decision("boss", LONG, "", NOW))
        server_of(app).say(Changed(NOW, Stand(switches=(again,))))
        await settle(pilot)
        await still(pilot)
        text = seen(app)
        assert "Nothing starts by it" in text
        assert "pressed again by boss" in text
        assert "Type prod-eu" in text
        in_sight(app, "#typed", "#dialog-ask")


async def test_a_refusal_keeps_its_remedy_and_its_button_in_sight() -> None:
    app = console(played())
    server_of(app).refusal = RequestError(LONG, code=Code.STALE_DECISION, remedy="read the rollout again")
    async with driven(app, NARROW) as pilot:
        before = halted()
        server_of(app).say(Changed(NOW, Stand(rollouts=(before,))))
        await press(pilot, "2", "j", "enter", "c", "y")
        server_of(app).say(Changed(NOW, Stand(rollouts=(changed(before),))))
        await settle(pilot)
        await still(pilot)
        assert "read the rollout again" in seen(app)
        assert "state halted → paused" in seen(app)
        for name in ("#no", "#dialog-last", "#dialog-changed"):
            at(app, name)


@pytest.mark.parametrize(("key", "focus"), [("c", "no"), ("X", "typed")])
async def test_the_evidence_is_scrolled_by_keys_and_the_focus_stays(key: str, focus: str) -> None:
    app = console(played())
    async with driven(app, (80, 20)) as pilot:
        await ask(pilot, app, key, halted(8))
        scroll = app.screen.query_one("#dialog-scroll", VerticalScroll)
        assert not scroll.can_focus
        assert "↑ ↓ scrolls" in seen(app)
        most = scroll.max_scroll_y
        assert most > 0
        places = []
        for pressed in ("down", "down", "up", *["pagedown"] * 30, "pageup", *["pageup"] * 30):
            await press(pilot, pressed)
            places.append(round(scroll.scroll_y))
        assert places[:3] == [1, min(2, most), min(2, most) - 1]
        assert (places[32], places[-1]) == (most, 0)
        assert app.focused is not None
        assert app.focused.id == focus


async def test_where_all_of_it_has_room_nothing_scrolls() -> None:
    app = console(played())
    async with driven(app, MIDDLE) as pilot:
        await press(pilot, "2", "j", "enter", "c")
        await still(pilot)
        assert "scrolls" not in seen(app)
        scroll, box = app.screen.query_one("#dialog-scroll"), app.screen.query_one("#dialog")
        assert scroll.max_scroll_y == 0
        assert scroll.size.height == words_of(halted_as_told()).index("")
        assert box.region.bottom - 3 == at(app, "#no")[1], "it is no higher than it has to be"


def halted_as_told() -> Rollout:
    return convert.rollout(scenes.halted())


def words_of(rollout: Rollout) -> list[str]:
    return ["".join(words for words, _ in line) for line in continue_lines(rollout)]


def test_of_many_waves_the_last_are_shown_and_those_before_are_counted() -> None:
    lines = [line for line in words_of(halted()) if "wave" in line and "starts now" not in line]
    assert lines[0] == "… and 5 waves before, all passed: 5 bad of 50 tried"
    assert [line.split(":")[0] for line in lines[1:]] == ["wave 6", "wave 7", "wave 8"]
    assert MOST_WAVES == 3


def test_a_wave_that_did_not_pass_is_always_shown() -> None:
    rollout = halted()
    waves = (replace(rollout.waves[0], state="failed"), *rollout.waves[1:])
    lines = [line for line in words_of(replace(rollout, waves=waves)) if "wave" in line]
    assert lines[0] == "… and 4 waves before, all passed: 4 bad of 40 tried"
    assert [line.split(":")[0] for line in lines[1:5]] == ["wave 1", "wave 6", "wave 7", "wave 8"]
    few = replace(rollout, waves=rollout.waves[4:])
    assert any(line.startswith("… and 1 wave before, all passed: 1 bad of 10 tried") for line in words_of(few))
    assert not any(line.startswith("…") for line in words_of(replace(rollout, waves=rollout.waves[5:])))
