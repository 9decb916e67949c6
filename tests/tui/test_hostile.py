"""Words of others on every screen and in every dialog: none steers, none is clicked, none moves a column."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from wcwidth import wcwidth

from fleetroll.v1 import events_pb2, rollouts_pb2
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_tui import convert
from fleetroll_tui.feed.journal import Entry, line_of
from fleetroll_tui.model.readings import Reading
from fleetroll_tui.model.releases import EMPTY
from fleetroll_tui.model.updates import Lost
from fleetroll_tui.text import clean, clean_lines
from tests.attacks.words import ATTACKS, harm, spoil
from tests.tui import papers, scenes
from tests.tui.driving import NARROW, WIDE, PlayedServer, console, driven, settle
from tests.tui.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from textual.pilot import Pilot

    from fleetroll_tui.app import ConsoleApp
    from fleetroll_tui.model.values import Attempt

Message = events_pb2.WatchEventsResponse
WAYS = (
    (),
    ("tab",), ("tab",),
    ("2",), ("p",), ("enter",), ("tab",), ("tab",), ("tab",), ("m",), ("m",), ("y",), ("p",),
    ("X",), ("x", "enter"), ("escape",), ("H",),
    ("question_mark",), ("escape",), ("colon",), ("escape",),
    ("3",), ("slash", "left_square_bracket", "x"), ("enter",), ("escape",), ("space",), ("enter",),
    ("tab",), ("tab",), ("tab",),
    ("4",), ("Y",), ("escape",), ("enter",), ("tab",), ("G",), ("tab",), ("tab",), ("y",), ("P",), ("escape",),
    ("0",), ("A",), ("escape",), ("E",), ("escape",), ("tab",), ("tab",), ("y",),
)  # fmt: skip
"""Keys, step by step; every screen after each is looked at."""
QUESTIONS = (
    ("4", "slash", *"state:listed", "enter"),
    *(("V",), ("y",), ("P",), ("x", "enter"), ("escape",), ("F",), ("x", "enter")),
)
"""Keys to every question about a release."""
LEAST_STEPS = 49
FIRST_WALKS = ("csi", "markup behind slashes", "ten thousand", "right to left", "wide behind an odd cell", "lines")
"""The attacks that walk through every screen in the first tier: one of each way that a screen has to hold against."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let all attacks walk in the second tier; each goes through the dialogs and a real terminal in the first too."""
    if "walker" in metafunc.fixturenames:
        metafunc.parametrize("walker", ATTACKS if metafunc.config.getoption("--full") else FIRST_WALKS)


def spoilt_recording(words: str) -> list[Entry]:
    """A fleet in which every text is spoilt, with a kill switch pressed by such a one."""
    entries = []
    for entry in scenes.recording():
        message = Message.FromString(entry.message.SerializeToString())
        if message.HasField("snapshot") and not entry.stream:
            switch = rollouts_pb2.KillSwitch(scope="fleet/eu-edge", active=True, in_use=3)
            switch.decision.CopyFrom(scenes.decision("ana", "because"))
            message.snapshot.kill_switches.append(switch)
        spoil(message, words)
        entries.append(Entry(entry.after, spoilt_id(entry.stream, words), message))
    return entries


def spoilt_id(text: str, words: str) -> str:
    return words + text + words if text else ""


class HostileServer(PlayedServer):
    """A server whose every word is spoilt, in what it tells and in what it answers."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words
        for entry in spoilt_recording(words):
            self.say(convert.update(entry.message), entry.stream)
        self.refusal = RequestError(words, code=Code.INVALID_ARGUMENT, remedy=words)
        self.papers = papers.spoilt(words)

    async def attempts(self, host_id: str) -> tuple[Attempt, ...]:
        made = scenes.attempt(24)
        made.step = "step"
        spoil(made, self.words)
        return (convert.attempt(made),)


def look(app: ConsoleApp, size: tuple[int, int]) -> int:
    """See that what goes to the terminal is harmless, cannot be clicked, and fills each line exactly."""
    strips = app.screen._compositor.render_strips()
    assert len(strips) == size[1]
    segments = 0
    for strip in strips:
        text = "".join(segment.text for segment in strip)
        assert harm(text) == set()
        assert cell_len(text) == size[0], text
        for segment in strip:
            segments += 1
            assert segment.control is None
            if segment.style is not None:
                assert segment.style.link is None
                assert set(segment.style.meta) & {"@click", "@mouse.over"} == set(), segment
                assert set(map(str, segment.style.meta.values())) & {"app.quit", "quit"} == set()
    return segments


async def walk(pilot: Pilot[int], size: tuple[int, int]) -> int:
    app: Any = pilot.app
    looked = 0
    for keys in WAYS:
        for key in keys:
            await pilot.press(key)
        await settle(pilot)
        assert app.is_running
        look(app, size)
        looked += 1
    return looked


async def test_no_word_steers_is_clicked_or_moves_a_column_on_any_screen(walker: str) -> None:
    words = ATTACKS[walker]
    size = NARROW if list(ATTACKS).index(walker) % 2 else WIDE
    app = console(HostileServer(words), environment=words, who=words)
    async with driven(app, size) as pilot:
        assert app.session.fleet.loaded
        looked = await walk(pilot, size)
    assert looked >= LEAST_STEPS
    print(f"hostile text: {looked} screens walked through, {walker}")


@pytest.mark.parametrize("name", ATTACKS)
async def test_no_word_does_harm_in_a_dialog_that_changes_and_is_refused(name: str) -> None:
    words = ATTACKS[name]
    size = WIDE if list(ATTACKS).index(name) % 2 else NARROW
    server = HostileServer(words)
    server.refusal = RequestError(words, code=Code.STALE_DECISION, remedy=words)
    server.said[""].put_nowait(convert.update(lifted(words)))
    app = console(server)
    async with driven(app, size) as pilot:
        for keys in (("2",), ("j",), ("enter",), ("c",)):
            await pilot.press(*keys)
            await settle(pilot)
            look(app, size)
        assert type(app.screen).__name__ == "Confirm"
        server.say(convert.update(changed(words)))
        await settle(pilot)
        look(app, size)
        await pilot.press("y")
        await settle(pilot)
        await settle(pilot)
        assert type(app.screen).__name__ == "Refused"
        look(app, size)


async def test_no_word_does_harm_in_questions_about_releases_and_where_none_are_to_be_had(walker: str) -> None:
    words = ATTACKS[walker]
    size = WIDE if list(ATTACKS).index(walker) % 2 else NARROW
    server = HostileServer(words)
    server.papers["signing"] = RequestError(words, code=Code.PERMISSION_DENIED, remedy=words)
    app = console(server)
    asked = set()
    async with driven(app, size) as pilot:
        for keys in QUESTIONS:
            for key in keys:
                await pilot.press(key)
            await settle(pilot)
            look(app, size)
            asked.add(type(app.screen).__name__)
        await pilot.press("escape")
        server.papers["catalogue"] = RequestError(words, code=Code.UNIMPLEMENTED, remedy=words)
        app.session.papers.catalogue = Reading(EMPTY)
        for key in ("4", "0"):
            await pilot.press(key)
            await settle(pilot)
            look(app, size)
    assert {"Withdraw", "Promote", "Floor"} <= asked


def lifted(words: str) -> Message:
    switch = rollouts_pb2.KillSwitch(scope="fleet/eu-edge", active=False)
    return _changes(words, kill_switches=[switch])


def changed(words: str) -> Message:
    rollout = scenes.halted()
    rollout.decision_revision += 1
    rollout.state_decision.CopyFrom(scenes.decision("ben", "another reason", "START_FAILED"))
    rollout.waves[0].gate = "another gate"
    return _changes(words, rollouts=[rollout])


def _changes(words: str, **things: Any) -> Message:
    message = scenes.message(changes=events_pb2.Changes(**things))
    spoil(message, words)
    return message


@pytest.mark.parametrize("name", ATTACKS)
async def test_no_word_of_what_stands_in_a_servers_place_does_harm(name: str) -> None:
    words = ATTACKS[name]
    server = PlayedServer()
    server.say(Lost(words, words, words, final=True))
    app = console(server)
    async with driven(app, NARROW) as pilot:
        for key in ("1", "2", "3"):
            await pilot.press(key)
            await settle(pilot)
            look(app, NARROW)


async def test_a_name_that_looks_like_markup_is_shown_as_it_is() -> None:
    words = ATTACKS["markup behind slashes"]
    app = console(HostileServer(words))
    async with driven(app, WIDE) as pilot:
        await pilot.press("2", "enter")
        await settle(pilot)
        await pilot.press("X")
        await settle(pilot)
        text = "\n".join("".join(each.text for each in strip) for strip in app.screen._compositor.render_strips())
        assert f"Cancel {words[:30]}" in text, "in the frame of the dialog too"


def test_every_letter_that_is_let_through_takes_the_room_that_two_tables_say() -> None:
    """The console's and the command line's table of widths, and one that knows neither."""
    wrong, passed = {}, 0
    for number in range(sys.maxunicode + 1):
        letter = chr(number)
        shown = clean(letter)
        if shown == letter:
            passed += 1
            if cell_len(letter) != wcwidth(letter) or harm(letter):
                wrong[f"U+{number:04X}"] = (cell_len(letter), wcwidth(letter))
    assert wrong == {}
    print(f"hostile text: {passed} letters pass, each as wide as both tables say")


@given(st.text(st.characters(codec=None), max_size=80))
def test_lone_surrogates_and_all_else_are_shown_by_number(text: str) -> None:
    shown = clean("\ud800" + text + "\udfff")
    assert harm(shown) == set()
    assert shown.startswith("\\xd800")
    assert all(harm(line) == set() for line in clean_lines(text + "\udc80\n" + text))


@pytest.mark.timeout(240)
def test_the_bytes_that_reach_a_real_terminal_have_no_word_of_theirs_and_borders_stay_in_their_columns(
    tmp_path: Path,
) -> None:
    """One fleet with every attack in it, in a pseudo-terminal that measures letters by a table of its own."""
    recording = tmp_path / "recording.jsonl"
    entries = [entry for words in ATTACKS.values() for entry in spoilt_recording(words)]
    stand = Message(snapshot=events_pb2.Snapshot(last=True))
    for entry in entries:
        if not entry.stream and entry.message.HasField("snapshot"):
            stand.snapshot.MergeFrom(entry.message.snapshot)
    happened = [Entry(0.0, "", each.message) for each in entries if each.message.HasField("changes")]
    crews = [entry for entry in entries if entry.stream]
    lines = [line_of(entry) for entry in (Entry(0.0, "", stand), *happened, *crews)]
    recording.write_text("\n".join(lines) + "\n", "utf-8")
    command = (sys.executable, "-m", "fleetroll_tui", "--replay", str(recording))
    size, looked = (160, 45), 0
    with Terminal(command, screens=tmp_path / "screens.txt", size=size) as terminal:
        terminal.wait("overview", "▷ recording", "Waiting for you", seconds=40)
        terminal.press("2")
        terminal.wait("rollouts", f"{4 * len(ATTACKS)} rollouts")
        for number in range(len(ATTACKS)):
            terminal.press("2")
            terminal.wait("the list", f"{4 * len(ATTACKS)} rollouts", gone=("╭─ Waves",), seconds=20)
            terminal.press("g", *("j" for _ in range(number)), "enter")
            terminal.wait(f"rollout {number}", "╭─ Waves", "╭─ Events", seconds=20)
            terminal.wait_until("frames are closed", lambda _: terminal.crooked() == [], seconds=5)
            looked += 1
        terminal.press("3")
        terminal.wait("hosts", "by name")
        for number in range(len(ATTACKS)):
            terminal.press("3")
            terminal.wait("the list", "by name", gone=("Log, newest first",), seconds=20)
            terminal.press("g", *("j" for _ in range(number)), "enter")
            terminal.wait(f"host {number}", "Log, newest first", seconds=20)
            terminal.wait_until("frames are closed", lambda _: terminal.crooked() == [], seconds=5)
            looked += 1
        terminal.press("q")
        assert terminal.ended() == 0
        assert foreign(bytes(terminal.raw)) == []
    print(f"hostile text: {looked} screens in a terminal, {len(ATTACKS)} attacks, no byte of theirs")


def foreign(raw: bytes) -> list[str]:
    """What of a terminal's input is none of the console's own: all but text, colours, places and modes."""
    from tests.tui.terminal import OWN  # noqa: PLC0415

    rest = OWN.sub("", raw.decode("utf-8"))
    return sorted(harm(rest.replace("\r", "").replace("\x08", "")))
