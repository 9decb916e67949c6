"""Whatever a terminal sends, the console goes on; and where there is no terminal it says so."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from fleetroll_tui.model.updates import Lost
from tests.tui.driving import NARROW, PlayedServer, console, driven, played, press, seen
from tests.tui.scenes import FILE
from tests.tui.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = (sys.executable, "-m", "fleetroll_tui", "--replay", str(FILE))
UNREADABLE = {
    "a letter in another encoding": b"\xe9x",
    "a mouse report in the old form": b"\x1b[M \xa00",
    "a key that is no letter": b"\x1b[1114112u",
    "a key that is no number": b"\x1b[99999999999u",
}


def test_bytes_that_are_no_text_and_reports_without_sense_end_nothing(tmp_path: Path) -> None:
    with Terminal(COMMAND, screens=tmp_path / "screens.txt") as terminal:
        terminal.wait("overview", "▷ recording", "Waiting for you", seconds=40)
        for number, (title, sent) in enumerate(UNREADABLE.items()):
            terminal.send(sent)
            key, shown = ("2", "rollouts   by") if number % 2 else ("3", "hosts   by")
            for _ in range(40):  # keys that come in the same moment may be lost with it
                terminal.press(key)
                if shown in terminal.text():
                    break
                time.sleep(0.25)
            terminal.wait(title, shown, "Halt fleet")
        terminal.press("q")
        assert terminal.ended() == 0


@pytest.mark.parametrize(("missing", "options"), [("input", {"stdin": subprocess.DEVNULL}), ("output", {})])
def test_without_a_terminal_it_says_so(missing: str, options: dict[str, int]) -> None:
    master, slave = os.openpty()
    try:
        done = subprocess.run(
            COMMAND, **{"stdin": slave, **options}, stdout=slave if missing == "input" else subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, timeout=40, check=False,
        )  # type: ignore[call-overload]  # fmt: skip
    finally:
        os.close(master)
        os.close(slave)
    assert done.returncode == 1
    assert done.stderr == (
        f"fleetroll-console: standard {missing} is no terminal (INVALID_ARGUMENT); "
        "start it in a terminal (with ssh: -t), or use fleetroll events --follow\n"
    )


@pytest.mark.parametrize("keys", [("question_mark",), ("colon",), ("2", "enter", "X"), ("2", "slash"), ("2", "j", "c")])
async def test_ctrl_c_leaves_from_everywhere(keys: tuple[str, ...]) -> None:
    app = console(played())
    async with driven(app) as pilot:
        await press(pilot, *keys, "ctrl+c")
        assert app._exit


async def test_an_error_is_shown_whole_with_its_remedy_in_the_narrowest_screen() -> None:
    server = PlayedServer()
    why = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:8443: certificate verify failed"
    server.say(Lost("UNAVAILABLE", why, "is the server running, and are address and CA right?"))
    app = console(server)
    async with driven(app, NARROW) as pilot:
        await press(pilot, "3")
        words = " ".join(seen(app).split())
        assert "certificate verify failed" in words
        assert "are address and CA right?" in words


def test_a_program_sees_the_size_of_its_own_terminal_whatever_was_said_to_this_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "5")
    command = (sys.executable, "-c", "import shutil; print(*shutil.get_terminal_size())")
    with Terminal(command, screens=tmp_path / "screens.txt", size=(160, 45)) as terminal:
        terminal.ended()
        assert terminal.text().split() == ["160", "45"]
