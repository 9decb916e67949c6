"""The server on the screen: its keys and certificates with their ends, and a RECOVERY that is seen everywhere."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_tui import convert
from fleetroll_tui.feed.base import NoAnswerError
from fleetroll_tui.model.anchors import Anchors
from fleetroll_tui.model.recovery import Recovery
from fleetroll_tui.model.updates import Changed, Resync, Stand
from fleetroll_tui.model.values import Happening
from fleetroll_tui.widgets.lines import Lines
from tests.tui import papers, scenes
from tests.tui.driving import MIDDLE, NARROW, WIDE, PlayedServer, Ticks, console, driven, played, press, seen, settle

NOW = float(scenes.NOW)


def text(app: object) -> str:
    return " ".join(seen(app).replace("│", " ").split())  # type: ignore[arg-type]


def recovering(seen_hosts: int = 12) -> PlayedServer:
    server = played()
    server.papers["recovery"] = papers.recovery(seen_hosts)
    return server


@pytest.mark.parametrize("size", [WIDE, MIDDLE, NARROW])
async def test_every_role_shows_its_end_its_keys_their_age_and_who_holds_them(size: tuple[int, int]) -> None:
    app = console(played())
    async with driven(app, size) as pilot:
        await press(pilot, "0")
        lines = seen(app).splitlines()

        def row(role: str) -> str:
            return next(line for line in lines if role in line and ("here" in line or "offline" in line))

        assert "✔ good 300d" in row("root")
        assert "offline" in row("root")
        assert "400d" in row("root")
        assert "▲ soon 21d" in row("products/shop")
        assert "▲ 220d late" in row("products/shop"), "a key that should have been exchanged"
        assert "◷ ends 52d" in row("products/web")
        assert "here" in row("timestamp")
        assert "0.4.0" in seen(app)
        assert "schema 0014" in seen(app)


@pytest.mark.parametrize(
    ("mode", "promise"),
    [
        (papers.MANAGED, "Whoever takes this server over can sign anything, and hosts install it"),
        (papers.OFFLINE, "can't make a host install anything that the publishers did not sign"),
    ],
)
async def test_what_the_signing_mode_promises_is_said_in_one_sentence(mode: str, promise: str) -> None:
    server = played()
    server.papers["signing"] = papers.signing(mode)
    app = console(server)
    async with driven(app, NARROW) as pilot:
        await press(pilot, "0")
        assert promise in text(app)


async def test_root_keys_that_the_server_can_read_are_a_loud_warning() -> None:
    server = played()
    server.papers["signing"] = replace(papers.signing(), readable_root_keys=("/root/root-1.key", "/root/root-2.key"))
    app = console(server)
    async with driven(app, NARROW) as pilot:
        await press(pilot, "0")
        assert "ROOT KEYS CAN BE READ BY THE SERVER: /root/root-1.key, /root/root-2.key" in text(app)
        assert "Take them away from this machine now." in text(app)
        assert "timestamp" in text(app), "the keys keep their place"


async def test_addresses_and_certificates_say_how_many_hosts_know_them() -> None:
    app = console(played())
    async with driven(app, NARROW) as pilot:
        await press(pilot, "0", "tab")
        for words in (
            "serial 3, signed by this server",
            "fleet-2.example:8443",
            "old ✔ good for 7000 d",
            "not known to hosts",
            "40 of 48 hosts go by serial 3",
            "8 hosts still by serial 2",
        ):
            assert words in text(app), words


async def test_a_certificate_that_was_not_renewed_in_time_stands_out() -> None:
    told = {29: "good for 29 d", 20: "soon, 20 d left", 3: "critical, 3 d left", -1: "expired 1 d ago"}
    for days, words in told.items():
        server = played()
        server.papers["anchors"] = replace(papers.anchors(), leaf_expires_at=NOW + days * papers.DAY)
        app = console(server)
        async with driven(app) as pilot:
            await press(pilot, "0")
            assert words in text(app)


async def test_without_signed_anchors_or_reports_it_is_said() -> None:
    server = played()
    server.papers["anchors"] = Anchors()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "0")
        assert "none are signed: hosts go by what they got at enrolment" in text(app)
        assert "no host has said what it goes by" in text(app)
        assert "the server is not in RECOVERY" in text(app)


async def test_the_id_of_a_key_is_copied_whole() -> None:
    app = console(played())
    async with driven(app, NARROW) as pilot:
        await press(pilot, "0", "j", "j", "j", "y")
        assert app.clipboard == papers.signing().roles[1].keys[0].id
        await press(pilot, "tab", "y")
        assert "nothing to copy here" in text(app)


@pytest.mark.parametrize("keys", ["1", "2", "3", "4", "0"])
@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_a_recovery_is_seen_on_every_screen(keys: str, size: tuple[int, int]) -> None:
    app = console(recovering())
    async with driven(app, size) as pilot:
        await press(pilot, keys)
        words = " ".join(str(app.screen.query_one("#standing", Lines).content).split())
        assert "RECOVERY since 13:58:20Z: a backup was restored. 12 of 48 hosts seen." in words
        assert "RECOVERY since 13:58:20Z: a backup was restored. 12 of 48 hosts seen." in text(app)
        assert "0 shows what to do" in text(app)


async def test_a_recovery_is_asked_about_often_while_it_goes_on_and_at_a_new_log_at_once() -> None:
    server, ticks = recovering(), Ticks()
    app = console(server, ticks)
    async with driven(app) as pilot:
        assert server.read.count("recovery") == 1
        server.papers["recovery"] = papers.recovery(30)
        ticks.at += 6
        await settle(pilot)
        await settle(pilot)
        assert "30 of 48 hosts seen" in text(app)
        server.papers["recovery"] = Recovery()
        ticks.at += 6
        await settle(pilot)
        await settle(pilot)
        assert "RECOVERY" not in text(app)
        count = server.read.count("recovery")
        ticks.at += 30
        await settle(pilot)
        assert server.read.count("recovery") == count, "once a minute is enough now"

        server.papers["recovery"] = papers.recovery()
        server.say(Resync(NOW, "the database went back", log_replaced=True))
        server.say(convert.update(scenes.snapshot()))
        await settle(pilot)
        await settle(pilot)
        assert "RECOVERY since" in text(app)


async def test_whoever_may_not_ask_learns_of_a_recovery_by_its_event() -> None:
    server = played()
    server.papers["recovery"] = RequestError("needs server.read", code=Code.PERMISSION_DENIED)
    app = console(server)
    async with driven(app) as pilot:
        server.say(Changed(NOW, Stand(), (Happening("ev-1", NOW - 60, "recovery.began"),)))
        await settle(pilot)
        assert "RECOVERY since 14:12:20Z: nothing is offered, no host gets Go. Your token may not read more." in text(
            app
        )
        server.say(Changed(NOW, Stand(), (Happening("ev-2", NOW, "recovery.ended"),)))
        await settle(pilot)
        assert "RECOVERY since" not in text(app)


async def test_an_older_server_without_recovery_is_left_in_peace() -> None:
    server, ticks = played(), Ticks()
    server.papers["recovery"] = RequestError("no such call", code=Code.UNIMPLEMENTED)
    app = console(server, ticks)
    async with driven(app) as pilot:
        for _ in range(3):
            ticks.at += 100
            await settle(pilot)
        assert server.read.count("recovery") == 1
        server.say(convert.update(scenes.snapshot()))
        await settle(pilot)
        assert server.read.count("recovery") == 2, "behind a new connection another one may be"


async def test_in_a_recovery_the_server_screen_opens_on_what_is_to_be_done() -> None:
    app = console(recovering())
    async with driven(app, NARROW) as pilot:
        await press(pilot, "0")
        for words in (
            "what was stopped since is NOT known",
            "1 h 0 min from 12:58:20Z on of which no stop is known",
            "36 not: they may be past Go, and are in no budget",
            "3 attempts taken over",
            "2 join tokens suspended",
            "A admits the 5 hosts",
            "E ends the RECOVERY",
        ):
            assert words in text(app), words
        await press(pilot, "G")
        await settle(pilot)
        assert "edge-90004.ams" in text(app)


async def test_ending_a_recovery_wants_the_number_of_hosts_not_seen_and_sends_the_one_that_was_shown() -> None:
    server, ticks = recovering(), Ticks()
    app = console(server, ticks)
    async with driven(app, NARROW) as pilot:
        await press(pilot, "0", "E")
        assert "36 hosts not seen." in text(app)
        server.papers["recovery"] = papers.recovery(13)
        ticks.at += 6
        await settle(pilot)
        await settle(pilot)
        assert "hosts not seen 36 → 35" in text(app)
        await press(pilot, *"35", "enter")
        assert server.asked == []
        await press(pilot, "backspace", "6", "enter")
        await settle(pilot)
        assert server.asked == [("end_recovery", 36)], "the server refuses what is no longer so"
        assert server.reasons == ["ended in the console"]


async def test_admitting_sends_exactly_the_hosts_that_were_shown() -> None:
    server = recovering()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "0", "A")
        assert "5 hosts have updates from now on" in text(app)
        late = papers.recovery()
        younger = (*late.younger, replace(late.younger[0], id="ag-stranger", name="stranger"))
        app.session.papers.recovery.had(replace(late, younger=younger), app.session.ticks())
        await settle(pilot)
        assert "hosts younger than the backup 5 → 6" in text(app)
        await press(pilot, "r", *"all mine", "enter", "y")
        await settle(pilot)
        assert server.asked == [("admit", tuple(host.id for host in papers.recovery().younger))]
        assert server.reasons == ["all mine"]


async def test_without_a_recovery_there_is_nothing_to_end_or_admit() -> None:
    server = played()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "0", "E")
        assert "the server is not in RECOVERY" in text(app)
        await press(pilot, "A")
        assert "no host is younger than the backup" in text(app)
        assert server.asked == []


async def test_whoever_is_no_admin_ends_no_recovery() -> None:
    server = PlayedServer()
    message = scenes.snapshot()
    message.snapshot.token.CopyFrom(scenes.token("OPERATOR"))
    server.say(convert.update(message))
    server.papers["recovery"] = papers.recovery()
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "0", "E")
        assert "this needs the token of an admin; yours is operator" in text(app)
        assert type(app.screen).__name__ == "ServerScreen"


async def test_a_decision_without_an_answer_says_that_nobody_knows() -> None:
    server = recovering()
    server.refusal = NoAnswerError("no answer", code=Code.UNAVAILABLE, remedy="look again")
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "0", "A", "y")
        await settle(pilot)
        assert "Not known whether it was done" in text(app)


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ({"timestamp": -0.1}, "EXPIRED timestamp expired 2 h 24 min ago: nothing new is installed"),
        ({"products/shop": 3}, "ENDS SOON products/shop ends in 3 d: nothing new is installed after that"),
    ],
)
async def test_a_signature_whose_end_is_near_is_said_on_every_screen(ends: dict[str, float], words: str) -> None:
    server = played()
    server.papers["signing"] = papers.signing(ends=ends)
    app = console(server)
    async with driven(app, NARROW) as pilot:
        for key in "1243":
            await press(pilot, key)
            assert words in text(app)


async def test_what_ends_in_a_month_is_no_band() -> None:
    app = console(played())
    async with driven(app):
        assert "ENDS SOON" not in text(app)


async def test_many_roles_at_their_end_leave_room_for_what_the_screen_is_about() -> None:
    server = played()
    server.papers["signing"] = papers.signing(ends=dict.fromkeys(papers.ROLES, -1.0))
    app = console(server)
    async with driven(app, NARROW) as pilot:
        await press(pilot, "4")
        assert "and 4 more roles" in text(app)
        assert "web-proxy" in text(app)


async def test_a_frozen_view_shows_a_recovery_that_began_since() -> None:
    server, ticks = played(), Ticks()
    app = console(server, ticks)
    async with driven(app) as pilot:
        await press(pilot, "2", "z")
        server.papers["recovery"] = papers.recovery()
        ticks.at += 61
        await settle(pilot)
        await settle(pilot)
        assert "RECOVERY since" in text(app)
