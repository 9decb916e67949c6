"""The releases on the screen: counted live, asked for again in time, and what is said where they are not to be had."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_tui.model.releases import Catalogue, InUse
from fleetroll_tui.model.updates import Changed, Stand
from fleetroll_tui.model.values import Happening, Product
from fleetroll_tui.widgets.table import VirtualTable
from tests.tui import papers, scenes
from tests.tui.driving import (
    MIDDLE,
    NARROW,
    WIDE,
    PlayedServer,
    Ticks,
    console,
    driven,
    host,
    played,
    press,
    seen,
    settle,
)

NOW = float(scenes.NOW)


def row(text: str, words: str) -> str:
    return next(line for line in text.splitlines() if words in line)


@pytest.mark.parametrize("size", [WIDE, MIDDLE, NARROW])
async def test_every_release_is_listed_with_its_state_in_a_word(size: tuple[int, int]) -> None:
    app = console(played())
    async with driven(app, size) as pilot:
        await press(pilot, "4")
        text = seen(app)
    assert "7 releases" in text
    assert "of 3 products" in text
    for words in ("✖ yanked", "✔ listed", "⊘ revoked", "\N{EN DASH} retired"):
        assert words in text
    assert "24      6" in row(text, "1.5.0"), "24 hosts run it, 6 are meant to"


async def test_the_digest_and_the_key_have_their_columns_where_there_is_room() -> None:
    app = console(played())
    async with driven(app, WIDE) as pilot:
        await press(pilot, "4")
        line = row(seen(app), "2.0.0")
        release = next(each for each in app.session.papers.releases if each.version == "2.0.0")
        assert release.artefacts[0].sha256[:8] in line
        assert release.keys[0][:8] in line
        assert "ana" in line


async def test_the_hosts_of_a_release_are_counted_as_they_change() -> None:
    server = played()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "4")
        before = app.session.fleet.hosts.things["ag-00030"]
        moved = replace(before, products=(Product("web-proxy", "1.5.0", "1.5.0"),))
        server.say(Changed(NOW, Stand(hosts=(moved,))))
        await settle(pilot)
        assert "25      6" in row(seen(app), "1.5.0")
        assert "22      0" in row(seen(app), "1.4.2")


async def test_the_list_is_asked_for_on_a_visit_on_an_event_and_after_a_minute_while_it_is_seen() -> None:
    server, ticks = played(), Ticks()
    app = console(server, ticks)
    async with driven(app) as pilot:
        assert "catalogue" not in server.read, "nobody looks at it"
        await press(pilot, "4")
        assert server.read.count("catalogue") == 1
        await settle(pilot)
        assert server.read.count("catalogue") == 1

        fresh = papers.catalogue()
        server.papers["catalogue"] = Catalogue(fresh.releases[:3], fresh.products, fresh.policies)
        ticks.at += 3
        server.say(Changed(NOW, Stand(), (Happening("ev-1", NOW, "release.retired"),)))
        await settle(pilot)
        assert server.read.count("catalogue") == 2
        assert "3 releases" in seen(app)

        ticks.at += 59
        await settle(pilot)
        assert server.read.count("catalogue") == 2
        ticks.at += 2
        await settle(pilot)
        assert server.read.count("catalogue") == 3
        await press(pilot, "2")
        ticks.at += 200
        await settle(pilot)
        assert server.read.count("catalogue") == 3, "nobody looks at it"


async def test_how_old_the_list_is_is_said_and_why_it_is_not_newer() -> None:
    server, ticks = played(), Ticks()
    app = console(server, ticks)
    async with driven(app) as pilot:
        await press(pilot, "4")
        assert "read 0 s ago" in seen(app)
        server.papers["catalogue"] = RequestError("no answer", code=Code.UNAVAILABLE, remedy="is it there?")
        ticks.at += 61
        await settle(pilot)
        await settle(pilot)
        assert "◌ read 1 min 1 s ago: no answer (UNAVAILABLE). is it there?" in seen(app)
        assert "7 releases" in seen(app), "what was had stays"
        server.papers["catalogue"] = papers.catalogue()
        ticks.at += 11
        await settle(pilot)
        await settle(pilot)
        assert "◌ read" not in seen(app)


async def test_where_no_list_is_to_be_had_it_is_said_once_with_the_remedy() -> None:
    server, ticks = played(), Ticks()
    server.papers["catalogue"] = RequestError("the token may not", code=Code.PERMISSION_DENIED, remedy="ask an admin")
    app = console(server, ticks)
    async with driven(app) as pilot:
        await press(pilot, "4")
        await settle(pilot)
        assert "the releases could not be read: the token may not (PERMISSION_DENIED). ask an admin" in seen(app)
        ticks.at += 300
        await settle(pilot)
        assert server.read.count("catalogue") == 1, "it would be refused again"
        await press(pilot, "2", "4")
        assert server.read.count("catalogue") == 2, "a new visit tries again"


async def test_a_defect_in_an_answer_is_said_and_ends_nothing() -> None:
    server = played()
    server.papers["catalogue"] = KeyError("secret")
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "4")
        await settle(pilot)
        text = seen(app)
        assert "the releases could not be read: a defect: KeyError" in text
        assert "secret" not in text
        await press(pilot, "2")
        assert app.is_running


async def test_in_a_recording_there_are_no_releases_and_no_keys() -> None:
    app = console()
    async with driven(app) as pilot:
        await press(pilot, "4")
        assert "this is a recording: releases and keys are not in it" in " ".join(seen(app).split())
        await press(pilot, "0")
        assert "could not be read" in seen(app)


async def test_the_list_is_filtered_sorted_and_copied_like_every_other() -> None:
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, "4", "slash", *"product:shop state:revoked", "enter")
        assert "1 of 7 releases" in seen(app)
        await press(pilot, "y")
        assert app.clipboard == "re-shop-1.9.3"
        await press(pilot, "escape", "s", "s", "s")
        assert "by hosts" in seen(app)
        table = app.screen.query_one("#releases", VirtualTable)
        assert table.rows.id_at(0) == "re-web-proxy-1.5.0"
        await press(pilot, "S")
        assert table.rows.id_at(6) == "re-web-proxy-1.5.0"


async def test_the_cursor_never_comes_to_stand_on_another_release_by_itself() -> None:
    server, ticks = played(), Ticks()
    app = console(server, ticks)
    async with driven(app) as pilot:
        await press(pilot, "4", "j")
        table = app.screen.query_one("#releases", VirtualTable)
        assert table.key == "re-agent-0.9.0"
        whole = papers.catalogue()
        gone = tuple(each for each in whole.releases if each.id != "re-agent-0.9.0")
        server.papers["catalogue"] = Catalogue(gone, whole.products, whole.policies)
        ticks.at += 61
        await settle(pilot)
        await settle(pilot)
        assert "6 releases" in seen(app)
        assert table.key == ""
        await press(pilot, "Y")
        assert server.asked == []
        assert type(app.screen).__name__ == "ReleasesScreen"


async def test_one_release_shows_notes_whole_digests_where_it_runs_and_the_policy() -> None:
    server = played()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "4", "slash", *"1.5.0", "enter", "enter")
        text = seen(app)
        release = next(each for each in app.session.papers.releases if each.version == "1.5.0")
        for artefact in release.artefacts:
            for words in (artefact.sha256, artefact.manifest_sha256, artefact.path):
                assert words in text
        for words in (
            "✔ LISTED",
            "releases \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} web-proxy 1.5.0",
            "TLS sessions are **kept** over a restart",
            "on top of >=1.4.0",
            "24 run it, 6 more are meant to; 24 older, 0 newer, of 48 hosts",
            "24 in fleet eu-edge",
            "rollout web-proxy-1.5.0 in eu-edge  ◐ running",
            "1.4.0   nothing below it is installed anew",
            "Stops at  1.4.2",
            "\N{EN DASH} retired 1.3.9",
            "held by this server",
        ):
            assert words in text, words
        await settle(pilot)
        assert "24 hosts meant to run it" in seen(app)
        assert server.asked_about == ["web-proxy"]


async def test_a_withdrawn_release_says_why_and_what_breaks_comes_before_the_notes() -> None:
    app = console(played())
    async with driven(app, NARROW) as pilot:
        await press(pilot, "4", "enter")
        assert "✖ YANKED  does not start where /tmp is mounted noexec" in seen(app)
        await press(pilot, "4", "j", "j", "enter")
        text = seen(app)
        assert "its migrate step" in text
        assert "breaks something" in text
        assert "Carts are emptied." in text


async def test_in_a_narrow_terminal_one_pane_is_seen_at_a_time_and_the_digests_are_whole() -> None:
    app = console(played())
    async with driven(app, NARROW) as pilot:
        await press(pilot, "4", "G", "k", "k", "enter", "tab")
        release = next(each for each in app.session.papers.releases if each.version == "1.5.0")
        assert release.artefacts[0].sha256 in seen(app)
        assert "TLS sessions" not in seen(app)
        await press(pilot, "y")
        lines = [f"{each.sha256}  {each.path}" for each in release.artefacts]
        assert app.clipboard == "\n".join(lines)
        await press(pilot, "tab")
        assert "24 in fleet eu-edge" in seen(app)
        await press(pilot, "tab")
        assert "Stops at" in seen(app)
        await press(pilot, "y")
        assert app.clipboard == release.id


async def test_long_notes_scroll_by_the_keys_of_lists() -> None:
    server = played()
    whole = papers.catalogue()
    long = replace(whole.releases[0], notes="\n".join(f"line {number}" for number in range(500)) + "\nthe end")
    server.papers["catalogue"] = Catalogue((long, *whole.releases[1:]), whole.products, whole.policies)
    app = console(server)
    async with driven(app, NARROW) as pilot:
        await press(pilot, "4", "enter")
        assert "line 3" in seen(app)
        await press(pilot, "G")
        await settle(pilot)
        assert "the end" in seen(app)
        await press(pilot, "g", "j")
        await settle(pilot)
        assert "line 0" not in seen(app)
        assert "line 1" in seen(app)


async def test_a_release_that_is_told_no_more_says_so_and_shows_nothing_of_it() -> None:
    server, ticks = played(), Ticks()
    app = console(server, ticks)
    async with driven(app) as pilot:
        await press(pilot, "4", "enter")
        whole = papers.catalogue()
        server.papers["catalogue"] = Catalogue(whole.releases[1:], whole.products, whole.policies)
        ticks.at += 61
        await settle(pilot)
        await settle(pilot)
        text = seen(app)
        assert "there is no release re-agent-0.9.1: esc goes back" in text
        assert "noexec" not in text


async def test_the_answer_about_one_product_is_never_shown_for_another() -> None:
    class Slow(PlayedServer):
        held = asyncio.Event()

        async def in_use(self, product: str) -> dict[str, InUse]:
            if product == "agent":
                await self.held.wait()
                return {"1.5.0": InUse("1.5.0", wanted=999)}
            return await super().in_use(product)

    server = Slow()
    for update in list(played().said[""]._queue):  # type: ignore[attr-defined]
        server.say(update)
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "4", "enter", "4", "G", "k", "k", "enter")
        assert app.session.papers.product == "web-proxy"
        server.held.set()
        await settle(pilot)
        assert app.session.papers.product == "web-proxy"
        assert "999" not in seen(app)


async def test_a_frozen_view_keeps_its_releases_and_goes_on_to_be_filtered() -> None:
    server, ticks = played(), Ticks()
    app = console(server, ticks)
    async with driven(app) as pilot:
        await press(pilot, "4", "z")
        whole = papers.catalogue()
        server.papers["catalogue"] = Catalogue(whole.releases[:1], whole.products, whole.policies)
        server.say(Changed(NOW, Stand(hosts=(host(900, products=(Product("web-proxy", "1.5.0"),)),))))
        ticks.at += 61
        await settle(pilot)
        await settle(pilot)
        assert "7 releases" in seen(app)
        assert "24      6" in row(seen(app), "1.5.0")
        await press(pilot, "z")
        assert "1 releases" in seen(app)
