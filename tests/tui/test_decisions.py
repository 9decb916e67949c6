"""Decisions by keys: stopping asks nothing, spreading shows its evidence and stands on No, what is stale is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from textual.widgets import Button, Input

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_tui import convert
from fleetroll_tui.feed.base import NoAnswerError
from fleetroll_tui.model.updates import Changed, Lost, Stand
from fleetroll_tui.model.values import Decision, Late, Limits, Switch, Wave
from tests.tui import scenes
from tests.tui.driving import WIDE, Ticks, console, driven, host, played, press, seen, server_of, settle

if TYPE_CHECKING:
    from fleetroll_tui.model.values import Rollout

NOW = float(scenes.NOW)


def halted(**changes: object) -> Rollout:
    return replace(convert.rollout(scenes.halted()), **changes)  # type: ignore[arg-type]


def stale_refusal() -> RequestError:
    return RequestError(
        "decision_revision: 4 is not the newest, 6: bad hosts 2",
        code=Code.STALE_DECISION,
        remedy="read the rollout again and decide anew",
    )


async def test_pause_is_sent_at_once_and_painted_only_when_the_server_says_it() -> None:
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, "2", "enter", "p")
        assert server_of(app).asked == [("pause", scenes.ROLLOUT)]
        assert len(app.screen_stack) == 2, "no dialog"
        assert "◐ RUNNING" in seen(app)
        paused = replace(convert.rollout(scenes.rollout()), state="paused", revision=10)
        server_of(app).say(Changed(NOW, Stand(rollouts=(paused,))))
        await settle(pilot)
        assert "‖ PAUSED" in seen(app)


async def test_continue_stands_on_no_and_shows_why_and_how_many_start() -> None:
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, "2", "j", "enter", "c")
        text = seen(app)
        for words in (
            "Continue agent-0.9.1?",
            "START_FAILED: 1 bad of 1 tried",
            "wave 1: 1 bad of 1 tried (100.0 %)",
            "1 host starts now: it goes on with wave 2, 47 hosts waiting, 1 at once.",
        ):
            assert words in text
        assert isinstance(app.focused, Button)
        assert app.focused.id == "no"
        await press(pilot, "enter")
        assert server_of(app).asked == []
        await press(pilot, "c", "n", "c", "escape")
        assert server_of(app).asked == []
        await press(pilot, "c", "y")
        assert server_of(app).asked == [("resume", scenes.HALTED, 4)]


async def test_late_hosts_that_go_on_start_one_by_one_in_whatever_wave_they_are() -> None:
    """The limits of waves say nothing of them."""
    app = console(played())
    waves = (Wave(1, "passed", 40, {"succeeded": 28, "pending": 12}, attempted=28),)
    stopped = Decision("anna", "looks odd", "PAUSED", NOW)
    completed = halted(
        state="completed", waves=waves, late=Late(12, 3, 0, 0, stopped), limits=Limits(max_concurrent=50)
    )
    async with driven(app) as pilot:
        server_of(app).say(Changed(NOW, Stand(rollouts=(completed,))))
        await press(pilot, "2", "j", "enter", "c")
        text = seen(app)
        assert "late hosts stopped: PAUSED: looks odd" in text
        assert "1 late host starts now, they go one by one: 12 left, 3 away or held." in text
        assert "it goes on with wave" not in text
        await press(pilot, "n")
        busy = replace(completed, late=Late(12, 3, 1, 0, stopped), revision=9)
        server_of(app).say(Changed(NOW, Stand(rollouts=(busy,))))
        await settle(pilot)
        await press(pilot, "c")
        assert "No late host starts now, they go one by one: 12 left, 3 away or held," in seen(app)


async def test_a_decision_carries_the_revision_that_it_was_drawn_from() -> None:
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, "2", "j", "enter", "c")
        server_of(app).say(Changed(NOW, Stand(rollouts=(halted(revision=6),))))
        await settle(pilot)
        assert "changed since you asked" in seen(app)
        assert "revision 4 → 6" in seen(app)
        await press(pilot, "y")
        assert server_of(app).asked == [("resume", scenes.HALTED, 4)]


async def test_a_stale_decision_is_refused_with_what_changed() -> None:
    app = console(played())
    server_of(app).refusal = stale_refusal()
    async with driven(app) as pilot:
        await press(pilot, "2", "j", "enter", "c", "y")
        await settle(pilot)
        text = seen(app)
        for words in ("Not done: Continue agent-0.9.1", "not the newest, 6", "read the rollout again and decide anew"):
            assert words in text
        waves = (replace(halted().waves[0], bad=2), halted().waves[1])
        server_of(app).say(Changed(NOW, Stand(rollouts=(halted(revision=6, waves=waves),))))
        await settle(pilot)
        assert "bad hosts 1 → 2" in seen(app)
        await press(pilot, "enter")
        assert "Not done: Continue" not in "\n".join(seen(app).splitlines()[5:25])


async def test_another_error_shows_code_and_remedy_and_no_traceback() -> None:
    app = console(played())
    server_of(app).refusal = RequestError(
        "role: operator is not admin", code=Code.PERMISSION_DENIED, remedy="ask an admin"
    )
    async with driven(app) as pilot:
        await press(pilot, "2", "enter", "p")
        await settle(pilot)
        text = seen(app)
        assert "role: operator is not admin (PERMISSION_DENIED)" in text
        assert "ask an admin" in text
        assert "Traceback" not in text
        assert "◐ RUNNING" in text


async def test_a_decision_without_an_answer_is_not_said_to_be_undone() -> None:
    app = console(played())
    server_of(app).refusal = NoAnswerError("the line broke", code=Code.UNAVAILABLE, remedy="look how it stands")
    async with driven(app) as pilot:
        await press(pilot, "2", "j", "enter", "c", "y")
        await settle(pilot)
        text = seen(app)
        assert "Not known whether it was done: Continue agent-0.9.1" in text
        assert "Not done" not in text
        assert "look how it stands" in text


async def test_the_next_wave_is_opened_only_when_one_waits() -> None:
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, "2", "enter", "v")
        assert "no wave waits for you" in seen(app)
        running = convert.rollout(scenes.rollout())
        waves = (
            *running.waves[:2],
            replace(running.waves[2], state="awaiting_approval", counts={"pending": 24}),
            running.waves[3],
        )
        waits = replace(running, waves=waves, counts={"pending": 36, "succeeded": 12}, manual=True)
        server_of(app).say(Changed(NOW, Stand(rollouts=(waits,))))
        await settle(pilot)
        assert "Next wave" in seen(app).splitlines()[-1]
        await press(pilot, "v")
        assert "4 hosts start now: it opens wave 3, 24 hosts waiting, 4 at once." in seen(app)
        await press(pilot, "y")
        assert server_of(app).asked == [("advance", scenes.ROLLOUT, 9)]


async def test_cancelling_asks_for_the_name() -> None:
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, "2", "enter", "X")
        assert "18 hosts not started: never touched" in seen(app)
        await press(pilot, *"web", "enter")
        assert "That is not the name" in seen(app)
        assert server_of(app).asked == []
        app.screen.query_one("#typed", Input).value = ""
        await press(pilot, *"web-proxy-1.5.0", "enter")
        assert server_of(app).asked == [("cancel", scenes.ROLLOUT)]


async def test_two_presses_within_three_seconds_halt_the_fleet() -> None:
    ticks = Ticks()
    app = console(played(), ticks)
    async with driven(app) as pilot:
        await press(pilot, "3", "H")
        assert "H again within 3 s: HALT fleet eu-edge" in seen(app).splitlines()[-1]
        ticks.at += 3.1
        await settle(pilot)
        assert "H again" not in seen(app)
        await press(pilot, "H")
        assert server_of(app).asked == []
        ticks.at += 2.9
        await press(pilot, "H")
        assert server_of(app).asked == [("press", "eu-edge")]


async def test_the_second_press_stops_what_the_first_one_named_wherever_the_cursor_is_by_then() -> None:
    app = console(played())
    other = replace(convert.rollout(scenes.rollout()), id="ro-other", fleet_id="us-prod")
    async with driven(app) as pilot:
        server_of(app).say(Changed(NOW, Stand(rollouts=(other,), hosts=(host(1, fleet_id="us-prod"),))))
        await press(pilot, "2", "slash", *"fleet:eu-edge", "enter", "H")
        assert "HALT fleet eu-edge" in seen(app).splitlines()[-1]
        await press(pilot, "escape", "slash", *"fleet:us-prod", "enter")
        assert "HALT fleet eu-edge" in seen(app).splitlines()[-1]
        await press(pilot, "H")
        assert server_of(app).asked == [("press", "eu-edge")]


async def test_the_fleet_is_halted_from_the_help_too() -> None:
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, "2", "question_mark", "H", "H")
        assert server_of(app).asked == [("press", "eu-edge")]


async def test_where_several_fleets_are_seen_a_decision_names_its_fleet() -> None:
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, "2", "j", "enter", "c")
        assert "Continue agent-0.9.1?" in seen(app)
        await press(pilot, "n")
        server_of(app).say(Changed(NOW, Stand(hosts=(host(1, fleet_id="us-prod"),))))
        await settle(pilot)
        await press(pilot, "c")
        assert "Continue eu-edge/agent-0.9.1?" in seen(app)
        await press(pilot, "n", "X", *"agent-0.9.1", "enter")
        assert server_of(app).asked == [], "that name is not enough"
        await press(pilot, "escape", "X", *"eu-edge/agent-0.9.1", "enter")
        assert server_of(app).asked == [("cancel", scenes.HALTED)]


async def test_a_stop_is_not_judged_by_what_may_be_old() -> None:
    """Somebody else may have let it go on since."""
    app = console(played())
    paused = replace(convert.rollout(scenes.rollout()), state="paused", revision=10)
    async with driven(app) as pilot:
        server_of(app).say(Changed(NOW, Stand(rollouts=(paused,))))
        await press(pilot, "2", "enter", "p")
        assert server_of(app).asked == []
        assert "it is paused already" in seen(app)
        server_of(app).say(Lost("UNAVAILABLE", "refused", tries=1))
        await press(pilot, "p")
        assert server_of(app).asked == [("pause", scenes.ROLLOUT)]


async def test_the_fleet_is_halted_from_a_dialog_too() -> None:
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, "2", "j", "enter", "c", "H", "H")
        assert server_of(app).asked == [("press", "eu-edge")]


async def test_a_pressed_switch_is_on_every_screen_and_nothing_goes_on_under_it() -> None:
    app = console(played())
    switch = Switch("fleet/eu-edge", active=True, decision=Decision("ana", "smoke in ams", at=NOW), in_use=3)
    async with driven(app) as pilot:
        server_of(app).say(Changed(NOW, Stand(switches=(switch,))))
        await press(pilot, "2", "j", "enter", "c")
        text = seen(app)
        assert (
            "KILL SWITCH fleet/eu-edge is suspended since 14:13:20Z by ana: smoke in ams, 3 hosts were under way"
            in text
        )
        assert "L lifts it" in text
        assert len(app.screen_stack) == 2
        server_of(app).say(Changed(NOW, Stand(switches=(replace(switch, active=False),))))
        await settle(pilot)
        assert "KILL SWITCH" not in seen(app)


async def test_nothing_is_spread_on_what_may_be_old_but_everything_may_be_stopped() -> None:
    app = console(played())
    async with driven(app) as pilot:
        server_of(app).say(Lost("UNAVAILABLE", "refused", tries=1))
        await press(pilot, "2", "j", "enter", "c")
        assert "what is shown may be old" in seen(app)
        await press(pilot, "escape", "k", "enter", "p")
        assert server_of(app).asked == [("pause", scenes.ROLLOUT)]


async def test_a_recording_refuses_every_decision() -> None:
    app = console()
    async with driven(app, WIDE) as pilot:
        await press(pilot, "2", "enter", "p")
        await settle(pilot)
        assert "this is a recording: nothing can be decided in it" in seen(app)
