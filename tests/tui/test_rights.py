"""Whose right the console uses is always to be seen, and what a token may not spread is not offered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fleetroll.v1 import events_pb2
from fleetroll_tui import convert
from fleetroll_tui.screens.rollout import RolloutScreen
from tests.tui import scenes
from tests.tui.driving import MIDDLE, NARROW, WIDE, PlayedServer, console, driven, press, seen, server_of

if TYPE_CHECKING:
    from fleetroll_tui.app import ConsoleApp


def held(role: str = "ADMIN", **values: Any) -> ConsoleApp:
    """A console on a server that says whose token watches."""
    server, said = PlayedServer(), scenes.snapshot()
    said.snapshot.token.CopyFrom(scenes.token(role, **values))
    server.say(convert.update(said))
    return console(server)


def top(app: ConsoleApp) -> str:
    return seen(app).splitlines()[0]


@pytest.mark.parametrize(("size", "words"), [(WIDE, "anna viewer"), (MIDDLE, "anna viewer"), (NARROW, "viewer")])
async def test_the_line_at_the_top_names_the_user_and_the_role(size: tuple[int, int], words: str) -> None:
    app = held("VIEWER")
    async with driven(app, size) as pilot:
        for keys in ((), ("2",), ("3",), ("enter",)):
            await press(pilot, *keys)
            assert f" {words} " in top(app)
            assert "ends in" not in top(app)


async def test_a_token_that_soon_ends_says_so() -> None:
    app = held(days=2)
    async with driven(app):
        assert "anna admin token ends in 2d" in top(app)


async def test_a_hostile_name_of_a_token_steers_nothing() -> None:
    server, said = PlayedServer(), scenes.snapshot()
    said.snapshot.token.name = "a\x1b[2J[red]\u202e" + "x" * 500
    server.say(convert.update(said))
    app = console(server)
    async with driven(app):
        assert not {"\x1b", "\u202e"} & set(top(app))
        assert top(app).rstrip().endswith("Z")


async def test_what_spreads_is_withheld_from_who_may_not_and_what_stops_never_is() -> None:
    app = held("VIEWER")
    async with driven(app) as pilot:
        await press(pilot, "2", "slash", *"state:halted", "enter", "enter")
        screen = app.screen
        assert isinstance(screen, RolloutScreen)
        assert screen.why_not("continue") == "this needs the token of an admin; yours is viewer"
        assert screen.why_not("advance") != ""
        names = {command.name for command in screen.working()}
        assert "continue" not in names
        assert {"cancel", "halt"} <= names
        await press(pilot, "c")
        assert app.screen is screen
        assert server_of(app).asked == []
        await press(pilot, "H", "H")
        assert [what for what, *_ in server_of(app).asked] == ["press"]


@pytest.mark.parametrize(
    ("scopes", "why"),
    [
        ((), ""),
        (("rollouts.read", "rollouts.write"), ""),
        (("rollouts.read",), "this needs the scope rollouts.write, which your token does not have"),
    ],
)
async def test_a_token_of_few_scopes_is_told_which_one_is_missing(scopes: tuple[str, ...], why: str) -> None:
    app = held(scopes=list(scopes))
    async with driven(app) as pilot:
        await press(pilot, "2", "slash", *"state:halted", "enter", "enter")
        assert isinstance(app.screen, RolloutScreen)
        assert app.screen.why_not("continue") == why


async def test_a_server_that_does_not_say_whose_token_it_is_withholds_nothing() -> None:
    server, said = PlayedServer(), scenes.snapshot()
    said.snapshot.ClearField("token")
    server.say(convert.update(said))
    app = console(server, who="context prod")
    async with driven(app) as pilot:
        assert " context prod " in top(app)
        await press(pilot, "2", "slash", *"state:halted", "enter", "enter")
        assert isinstance(app.screen, RolloutScreen)
        assert app.screen.why_not("continue") == ""
        assert app.session.fleet.token is None


def test_a_role_that_is_not_known_yet_is_a_number() -> None:
    page = events_pb2.Snapshot(last=True)
    page.token.MergeFromString(b"\x18\x09")  # field 3, role = 9
    stand = convert.stand(page)
    assert stand.token is not None
    assert stand.token.role == "role 9"
