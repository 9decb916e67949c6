"""A terminal that is gone: the console ends as if it were hung up, whether the kernel sends a signal or not."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING

import pytest

from tests.tui.scenes import FILE
from tests.tui.terminal import ON_THE_TERMINAL, Terminal

if TYPE_CHECKING:
    from pathlib import Path

CONSOLE = (sys.executable, "-m", "fleetroll_tui", "--replay", str(FILE))
HUNG_UP = 129
SHOWN = b"Halt fleet"
END_SECONDS = 30.0


@pytest.mark.parametrize("first", [(), (sys.executable, "-c", ON_THE_TERMINAL)], ids=["of nobody", "controlling"])
def test_a_terminal_that_is_gone_ends_it_as_a_hang_up_does(first: tuple[str, ...]) -> None:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    program = subprocess.Popen((*first, *CONSOLE), stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    try:
        seen = b""
        deadline = time.monotonic() + 40
        while SHOWN not in seen:
            assert time.monotonic() < deadline, seen
            seen += os.read(master, 65536)
        os.close(master)
        assert program.wait(END_SECONDS) == HUNG_UP
    finally:
        program.kill()
        program.wait(END_SECONDS)


def test_a_signal_to_go_on_without_a_stop_before_is_no_second_start(tmp_path: Path) -> None:
    """Of two readers one would miss the end; and the modes that the second found are the console's own."""
    with Terminal(CONSOLE, screens=tmp_path / "screens.txt") as terminal:
        terminal.wait("overview", "▷ recording", "Waiting for you", seconds=40)
        for _ in range(40):  # some come in the midst of writing, or of what the one before asked for
            terminal.kill(signal.SIGCONT)
            time.sleep(0.01)
        for _ in range(200):  # a key that comes in between is lost with what was typed for others
            terminal.press("3")
            if "hosts   by" in terminal.text():
                break
            time.sleep(0.1)
        terminal.wait("hosts", "by name")
        terminal.press("q")
        assert terminal.ended() == 0
        assert terminal.modes_now == terminal.before
