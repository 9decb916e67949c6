"""A kill switch is lifted by typing the environment's name; a reason goes with every decision that has a dialog."""

from __future__ import annotations

import pytest
from textual import events
from textual.widgets import Button, Input

from fleetroll_tui import convert
from fleetroll_tui.model.decisions import switch_to_lift
from fleetroll_tui.model.updates import Changed, Lost, Stand
from fleetroll_tui.model.values import Decision, Switch
from fleetroll_tui.screens.dialogs import MOST_TYPED
from fleetroll_tui.widgets.lines import Lines
from tests.tui import scenes
from tests.tui.driving import NARROW, console, done, driven, played, press, seen, server_of, settle

NOW = float(scenes.NOW)
PRESSED = Decision("ops", "disk alarms everywhere", "", NOW - 60)


def switch(scope: str, *, active: bool = True, decision: Decision = PRESSED) -> Switch:
    return Switch(scope, active, decision, 3, 7)


async def test_lifting_asks_for_the_environments_name_and_says_what_it_does() -> None:
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, "L")
        assert "no kill switch is pressed" in seen(app)
        assert "Lift switch" not in seen(app).splitlines()[-1]
        server_of(app).say(Changed(NOW, Stand(switches=(switch("fleet/eu-edge"), switch("global")))))
        await settle(pilot)
        assert "Lift switch" in seen(app).splitlines()[-1]
        await press(pilot, "2", "enter", "L")
        text = seen(app)
        for words in (
            "fleet/eu-edge",
            "by ops",
            "disk alarms everywhere",
            "Nothing starts by it",
            "Still pressed after it: global",
        ):
            assert words in text, words
        await press(pilot, *"prod", "enter")
        assert "That is not the name" in seen(app)
        assert server_of(app).asked == []
        await press(pilot, *"-eu", "enter")
        assert server_of(app).asked == [("lift", "eu-edge", 7)]
        assert server_of(app).reasons == ["console"]


async def test_where_no_rollout_says_which_fleet_the_switch_of_all_fleets_comes_first() -> None:
    app = console(played())
    async with driven(app) as pilot:
        server_of(app).say(Changed(NOW, Stand(switches=(switch("fleet/eu-edge"), switch("global")))))
        await settle(pilot)
        await press(pilot, "3", "L", *"prod-eu", "enter")
        assert server_of(app).asked == [("lift", "", 7)]


def test_the_one_that_is_lifted_first() -> None:
    all_fleets, ours, other = switch("global"), switch("fleet/eu"), switch("fleet/b")
    assert switch_to_lift([]) is None
    assert switch_to_lift([other, all_fleets, ours], "eu") is ours
    assert switch_to_lift([other, ours, all_fleets]) is all_fleets
    assert switch_to_lift([ours, other]) is other
    assert switch_to_lift([other, all_fleets], "eu") is all_fleets


async def test_the_dialog_says_when_somebody_else_lifted_it_or_pressed_it_anew() -> None:
    app = console(played())
    async with driven(app) as pilot:
        server_of(app).say(Changed(NOW, Stand(switches=(switch("global"),))))
        await settle(pilot)
        await press(pilot, "L")
        assert "changed since you asked" not in seen(app)
        again = Decision("boss", "not yet!", "", NOW)
        server_of(app).say(Changed(NOW, Stand(switches=(switch("global", decision=again),))))
        await settle(pilot)
        assert "pressed again by boss: not yet!" in seen(app)
        server_of(app).say(Changed(NOW, Stand(switches=(switch("global", active=False, decision=again),))))
        await settle(pilot)
        assert "somebody lifted it" in seen(app)


async def test_nothing_is_lifted_on_what_may_be_old_or_stands_still() -> None:
    app = console(played())
    async with driven(app) as pilot:
        server_of(app).say(Changed(NOW, Stand(switches=(switch("global"),))))
        await settle(pilot)
        await press(pilot, "z", "L")
        assert len(app.screen_stack) == 2
        await press(pilot, "z")
        server_of(app).say(Lost("UNAVAILABLE", "refused", tries=1))
        await settle(pilot)
        await press(pilot, "L")
        assert len(app.screen_stack) == 2


async def test_a_reason_goes_with_a_yes_and_enter_in_it_is_no_yes() -> None:
    app = console(played())
    async with driven(app, NARROW) as pilot:
        await press(pilot, "2", "j", "enter", "c")
        assert "r: why?" in seen(app)
        await press(pilot, "r", *"y n q p H", "enter")
        assert server_of(app).asked == [], "letters of a reason are no keys, and enter is no yes"
        assert isinstance(app.focused, Button)
        assert app.focused.id == "no"
        await press(pilot, "y")
        assert server_of(app).asked == [("resume", scenes.HALTED, 4)]
        assert server_of(app).reasons == ["y n q p H"]
        await press(pilot, "c", "y")
        assert server_of(app).reasons[1:] == ["console"]


async def test_a_reason_goes_with_a_name() -> None:
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, "2", "enter", "X", "tab", *"superseded", "enter")
        assert server_of(app).asked == []
        assert isinstance(app.focused, Input)
        assert app.focused.id == "typed"
        await press(pilot, *"web-proxy-1.5.0", "enter")
        assert server_of(app).asked == [("cancel", scenes.ROLLOUT)]
        assert server_of(app).reasons == ["superseded"]


@pytest.mark.parametrize("name", ["x" * 90 + ":8443", "y" * 300])
async def test_a_long_name_can_be_typed(name: str) -> None:
    app = console(played(), environment=name)
    async with driven(app) as pilot:
        server_of(app).say(Changed(NOW, Stand(switches=(switch("global"),))))
        await settle(pilot)
        await press(pilot, "L")
        assert "…" not in str(app.screen.query_one("#dialog-ask", Lines).content)
        await press(pilot, *name[:MOST_TYPED], "enter")
        assert server_of(app).asked == [("lift", "", 7)]


def test_switches_come_from_the_wire() -> None:
    message = scenes.message()
    message.changes.kill_switches.add(scope="global", active=True, in_use=3)
    update = convert.update(message)
    assert isinstance(update, Changed)
    assert [each.scope for each in update.stand.switches] == ["global"]


async def test_no_letter_that_steers_or_hides_goes_into_a_reason() -> None:
    app = console(played())
    async with driven(app, NARROW) as pilot:
        await press(pilot, "2", "enter", "X", "tab")
        driver = app._driver
        assert driver is not None
        driver.send_message(events.Paste("bad\u202e\x1b[31m build\nsecond line"))
        await done(pilot)
        await settle(pilot)
        assert app.screen.query_one("#reason", Input).value.isprintable()
        assert "second" not in app.screen.query_one("#reason", Input).value
        await press(pilot, "enter", *"web-proxy-1.5.0", "enter")
        (reason,) = server_of(app).reasons
        assert reason.startswith("bad")
        assert reason.isprintable()
