"""What is pasted or typed into a line: nothing of it reaches the terminal that could steer it, hide or turn round."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.widgets import Input

from fleetroll_tui.text import one_line
from tests.attacks.words import ATTACKS, harm
from tests.tui.driving import WIDE, console, driven, played, press, settle
from tests.tui.scenes import FILE
from tests.tui.terminal import Terminal
from tests.tui.test_hostile import foreign, look

if TYPE_CHECKING:
    from pathlib import Path

PASTED = "\x9b31medge\u202egpj\u200b\u2066x\x07"
SHOWN = r"\x9b31medge\x202egpj\x200b\x2066x\x07"


@pytest.mark.parametrize("name", ATTACKS)
async def test_no_pasted_word_does_harm_in_the_filter(name: str) -> None:
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, "3", "slash")
        line = app.screen.query_one("#filter-input", Input)
        line.post_message(events.Paste(ATTACKS[name]))
        await settle(pilot)
        look(app, WIDE)
        assert harm(line.value) == set()
        await pilot.press("a", "enter")
        await settle(pilot)
        look(app, WIDE)


async def test_pasted_letters_are_shown_by_number_where_the_cursor_was_and_of_many_lines_the_first_is_taken() -> None:
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, "3", "slash", *"ab", "left")
        line = app.screen.query_one("#filter-input", Input)
        line.post_message(events.Paste("e\u0301\t\u202e\nsecond"))
        await settle(pilot)
        await press(pilot, "x")
        assert line.value == r"aé \x202exb"
        await press(pilot, *"\u05d0")
        assert line.value == r"aé \x202ex\x5d0b", "typed ones too"
        app.copy_to_clipboard("\x9bm")
        await press(pilot, "ctrl+v")
        assert line.value == r"aé \x202ex\x5d0\x9bmb"
        line.value = "\u202e"
        assert line.value == r"\x202e"


@given(st.text(max_size=60), st.integers(0, 100))
def test_one_line_is_harmless_short_and_itself_when_cleaned_again(text: str, most: int) -> None:
    line = one_line(text, most)
    assert harm(line) == set()
    assert "\n" not in line
    assert one_line(line, len(line)) == line
    assert one_line("edge-1 | état", 100) == "edge-1 | état"


def test_no_pasted_byte_reaches_a_real_terminal_from_the_filter_or_the_palette(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "fleetroll_tui", "--replay", str(FILE))
    with Terminal(command, screens=tmp_path / "screens.txt", size=(160, 45)) as terminal:
        terminal.wait("overview", "▷ recording", "Waiting for you", seconds=40)
        terminal.press("3")
        terminal.wait("hosts", "by name")
        for name, keys in (("filter", ("/",)), ("palette", ("esc", ":"))):
            terminal.press(*keys, *"zzz")
            terminal.wait(f"{name} is written in", "zzz")
            terminal.send(f"\x1b[200~{PASTED}\x1b[201~".encode())
            terminal.wait(name, "zzz" + SHOWN)
        terminal.press("esc", "q")
        assert terminal.ended() == 0
        assert foreign(bytes(terminal.raw)) == []
