"""Decisions about releases: what is asked before, what is sent, and what is said where a publisher decides."""

from __future__ import annotations

import asyncio

import pytest
from textual.widgets import Input

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_tui import convert
from fleetroll_tui.feed import papers as convert_papers
from fleetroll_tui.model.releases import Catalogue, FloorPreview
from fleetroll_tui.model.updates import Changed, Page, Stand
from tests.tui import papers, scenes
from tests.tui.driving import NARROW, WIDE, PlayedServer, Ticks, console, driven, played, press, seen, settle

NEWEST = ("4", "G", "k", "k")
"""Keys that go to web-proxy 1.5.0."""


def kind(app: object) -> str:
    return type(app.screen).__name__  # type: ignore[attr-defined]


def text(app: object) -> str:
    """What is on the screen, without the places of its lines."""
    return " ".join(seen(app).replace("│", " ").split())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "verb", "said"),
    [
        ("Y", "yank", "No host begins with it any more, and none that has not got its Go goes on."),
        ("V", "revoke", "where it runs an alert stands. This is never taken back."),
        ("O", "retire", "The server refuses while one still needs it."),
    ],
)
async def test_taking_a_release_back_shows_who_has_it_stands_on_no_and_is_sent_by_y(
    key: str, verb: str, said: str
) -> None:
    server = played()
    app = console(server)
    async with driven(app, NARROW) as pilot:
        await press(pilot, *NEWEST, key)
        assert said in text(app)
        assert "24 run it 6 more are meant to" in text(app)
        await press(pilot, "enter")
        assert server.asked == [], "the focus is on No"
        await press(pilot, key, "r", *"it leaks", "enter", "y")
        await settle(pilot)
        assert server.asked == [(verb, "web-proxy", 31, "1.5.0")]
        assert server.reasons == ["it leaks"]


async def test_without_a_reason_it_is_said_where_it_was_done() -> None:
    server = played()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, *NEWEST, "enter", "Y", "y")
        await settle(pilot)
        assert server.reasons == ["yanked in the console"]


async def test_what_stops_is_sent_on_the_newest_list_and_what_spreads_on_the_one_that_was_seen() -> None:
    for keys, version in ((("Y", "y"), 32), (("P", *"x", "enter", *"1.5.0", "enter"), 31)):
        server, ticks = played(), Ticks()
        app = console(server, ticks)
        async with driven(app) as pilot:
            await press(pilot, *NEWEST, keys[0])
            server.papers["catalogue"] = papers.catalogue(version=1)
            ticks.at += 61
            await settle(pilot)
            await settle(pilot)
            assert "role 31 → 32" in text(app), "it is said that it changed"
            await press(pilot, *keys[1:])
            await settle(pilot)
            assert server.asked[0][2] == version


async def test_after_a_decision_the_list_is_read_anew_and_shows_what_the_server_says() -> None:
    server, ticks = played(), Ticks()
    app = console(server, ticks)
    async with driven(app) as pilot:
        await press(pilot, *NEWEST, "Y", "y")
        await settle(pilot)
        assert "✔ listed      24" in seen(app), "nothing is painted that the server has not reported"
        ticks.at += 3
        await settle(pilot)
        assert server.read.count("catalogue") == 2


@pytest.mark.parametrize(
    ("row", "key", "why"),
    [
        ((), "Y", "it is yanked already"),
        ((), "P", "it is yanked"),
        ((), "F", "it is yanked: no host could take it"),
        (("j", "j", "j"), "V", "it is revoked already"),
        (("G",), "O", "it is retired already"),
    ],
)
async def test_what_makes_no_sense_is_not_asked(row: tuple[str, ...], key: str, why: str) -> None:
    server = played()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "4", *row, key)
        assert kind(app) == "ReleasesScreen"
        assert why in text(app)


async def test_what_was_yanked_can_be_revoked_still() -> None:
    server = played()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "4", "V", "y")
        await settle(pilot)
        assert server.asked == [("revoke", "agent", 12, "0.9.1")]


async def test_promoting_takes_channels_and_wants_the_version_typed() -> None:
    server = played()
    app = console(server)
    async with driven(app, NARROW) as pilot:
        await press(pilot, "4", "j", "j", "P")
        assert kind(app) == "Promote"
        assert "No host has shop" in text(app)
        assert "it breaks: Carts are emptied." in text(app)
        await press(pilot, "enter")
        assert "it is in exactly these channels already" in text(app)
        await press(pilot, *" Stable", "enter")
        assert "'Stable' is no channel" in text(app)
        await press(pilot, *(["backspace"] * 6), *"stable", "enter")
        assert server.asked == []
        await press(pilot, *"2.0.1", "enter")
        assert "That is not the name" in text(app)
        assert server.asked == []
        await press(pilot, *(["backspace"] * 5), *"2.0.0", "enter")
        await settle(pilot)
        assert server.asked == [("promote", "shop", 5, "2.0.0", ("canary", "stable"))]
        assert server.reasons == ["promoted in the console"]


async def test_a_promotion_says_how_many_hosts_it_concerns() -> None:
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, *NEWEST, "P")
        assert "24 hosts have another version of web-proxy." in text(app)
        assert "now in canary, stable" in text(app)


async def test_no_channel_at_all_is_no_promotion() -> None:
    server = played()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, *NEWEST, "P", *(["backspace"] * 20), "enter")
        assert "name 1 to 16 channels" in text(app)
        await press(pilot, *" ".join(f"c{number}" for number in range(17)), "enter")
        assert "name 1 to 16 channels" in text(app)
        assert server.asked == []


async def test_a_floor_shows_who_is_left_without_a_way_up_and_wants_their_number() -> None:
    server = played()
    app = console(server)
    async with driven(app, NARROW) as pilot:
        await press(pilot, *NEWEST, "F")
        await settle(pilot)
        assert kind(app) == "Floor"
        assert server.asked_about == ["web-proxy 1.5.0"]
        for words in ("floor now: 1.4.0", "24 hosts below 1.5.0", "edge-00040.ams", "2 hosts left without a way up"):
            assert words in text(app), words
        await press(pilot, *"3", "enter")
        assert server.asked == []
        await press(pilot, "backspace", "2", "enter")
        await settle(pilot)
        assert server.asked == [("floor", "web-proxy", 31, "1.5.0", 2)]


async def test_a_floor_whose_meaning_is_not_known_is_not_asked() -> None:
    server = played()
    server.papers["floor"] = RequestError("no answer", code=Code.UNAVAILABLE, remedy="is it there?")
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, *NEWEST, "F")
        await settle(pilot)
        assert kind(app) == "ReleasesScreen"
        assert "no answer (UNAVAILABLE)" in text(app)


async def test_a_question_never_comes_under_the_keys_of_somebody_who_went_on() -> None:
    class Slow(PlayedServer):
        held = asyncio.Event()

        async def preview_floor(self, product: str, version: str) -> FloorPreview:
            await self.held.wait()
            return await super().preview_floor(product, version)

    for keys in (("2",), ("slash",), ("Y",)):
        Slow.held = asyncio.Event()
        server = Slow()
        server.say(convert.update(scenes.snapshot()))
        app = console(server)
        async with driven(app) as pilot:
            await press(pilot, *NEWEST, "F", *keys)
            server.held.set()
            await settle(pilot)
            await settle(pilot)
            assert kind(app) != "Floor", keys


@pytest.mark.parametrize(
    ("key", "verb"), [("Y", "yank"), ("V", "revoke"), ("O", "retire"), ("P", "promote"), ("F", "floor")]
)
@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_where_the_keys_are_offline_the_publishers_command_is_said_and_nothing_is_sent(
    key: str, verb: str, size: tuple[int, int]
) -> None:
    server = played()
    server.papers["signing"] = papers.signing(papers.OFFLINE)
    app = console(server)
    async with driven(app, size) as pilot:
        await press(pilot, *NEWEST, key)
        await settle(pilot)
        assert kind(app) == "Elsewhere"
        assert "The keys of web-proxy are not on this server" in text(app)
        assert f"fleetroll release {verb} --product web-proxy --version 1.5.0" in text(app)
        await press(pilot, "y")
        assert kind(app) == "Elsewhere"
        await press(pilot, "enter")
        assert kind(app) == "ReleasesScreen"
        assert server.asked == []
        assert server.asked_about == []


async def test_where_nobody_has_said_who_signs_the_server_is_asked() -> None:
    server = played()
    server.papers["signing"] = RequestError("no", code=Code.PERMISSION_DENIED)
    server.refusal = RequestError("the key is offline", code=Code.NOT_ALLOWED, remedy="sign it where the key is")
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, *NEWEST, "Y", "y")
        await settle(pilot)
        assert server.asked == [("yank", "web-proxy", 31, "1.5.0")]
        assert "Not done: yank web-proxy 1.5.0" in text(app)
        assert "sign it where the key is" in text(app)


async def test_a_token_that_may_not_spread_may_still_ask_to_stop() -> None:
    server = PlayedServer()
    message = scenes.snapshot()
    message.snapshot.token.CopyFrom(scenes.token("VIEWER"))
    server.say(convert.update(message))
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, *NEWEST, "P")
        assert "this needs the token of an admin; yours is viewer" in text(app)
        assert "P Promote" not in seen(app).splitlines()[-1]
        await press(pilot, "Y", "y")
        await settle(pilot)
        assert server.asked == [("yank", "web-proxy", 31, "1.5.0")]


async def test_a_frozen_or_stale_view_spreads_nothing() -> None:
    server, ticks = played(), Ticks()
    app = console(server, ticks)
    async with driven(app) as pilot:
        await press(pilot, *NEWEST, "z", "P")
        assert "the view is frozen" in text(app)
        await press(pilot, "Y")
        assert kind(app) == "Withdraw", "what stops works"
        await press(pilot, "escape", "z")
        ticks.at += 12
        await press(pilot, "P")
        assert "what is shown may be old" in text(app)


async def test_a_question_about_a_release_that_is_gone_is_about_nothing() -> None:
    server, ticks = played(), Ticks()
    app = console(server, ticks)
    async with driven(app) as pilot:
        await press(pilot, *NEWEST, "Y")
        whole = papers.catalogue()
        server.papers["catalogue"] = Catalogue(whole.releases[:3], whole.products, whole.policies)
        ticks.at += 61
        await settle(pilot)
        await settle(pilot)
        assert "the server tells of it no more" in text(app)
        await press(pilot, "y")
        assert server.asked == []
        assert "Nothing was sent" in text(app)


async def test_what_changed_since_the_question_is_said_in_it() -> None:
    server, ticks = played(), Ticks()
    app = console(server, ticks)
    async with driven(app) as pilot:
        await press(pilot, *NEWEST, "P")
        whole = papers.catalogue()
        changed = tuple(
            convert_papers.release(papers.release("web-proxy", "1.5.0", 3, "YANKED", state_reason="leaks"))
            if each.version == "1.5.0"
            else each
            for each in whole.releases
        )
        server.papers["catalogue"] = Catalogue(changed, whole.products, whole.policies)
        ticks.at += 61
        await settle(pilot)
        await settle(pilot)
        assert "changed since you asked" in text(app)
        assert "state listed → yanked: leaks" in text(app)


async def test_letters_in_the_line_of_channels_are_no_keys() -> None:
    server = played()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, *NEWEST, "P", *"yHn")
        assert app.screen.query_one("#channels", Input).value == "canary stableyHn"
        assert app.armed_at is None
        assert server.asked == []


async def test_h_halts_from_a_question_about_a_release_too() -> None:
    server = played()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, *NEWEST, "Y", "H", "H")
        await settle(pilot)
        assert server.asked == [("press", "")]


async def test_a_count_of_hosts_goes_on_behind_a_question() -> None:
    server = played()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, *NEWEST, "Y")
        server.say(Page(float(scenes.NOW), Stand(), last=True))
        server.say(Changed(float(scenes.NOW), Stand()))
        await settle(pilot)
        assert kind(app) == "Withdraw"
