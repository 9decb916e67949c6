"""The console in tmux, by keys alone: what the pseudo-terminal of the other tests shows is what a real one shows.

Not collected by itself: ``make e2e`` names it, and needs tmux.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.e2e.consoles import CANARY, CONSOLE, NEXT, OTHER, SOAKS, WAITS, fleet, nothing_goes_on, start, state, where
from tests.e2e.fleet.host import wait
from tests.e2e.fleet.releases import FAILS_SELF_TEST, GOOD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.fleet.fleet import Fleet

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

__all__ = ["fleet", "nothing_goes_on"]


class Tmux:
    """One tmux server with one window, 80 x 24, and what is in it."""

    def __init__(self, socket: Path, shell: str) -> None:
        """Start it with a shell in it, as a person has it."""
        self._command = ("tmux", "-S", str(socket), "-f", "/dev/null")
        self.seen: list[str] = []
        self("new-session", "-d", "-x", "80", "-y", "24", shell)

    def __call__(self, *words: str) -> str:
        """Give tmux a command; return what it prints."""
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            (*self._command, *words), check=True, capture_output=True, text=True, timeout=20, env=environment
        )
        return done.stdout

    def type(self, text: str) -> None:
        """Type letters."""
        self("send-keys", "-l", text)

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names for them."""
        self("send-keys", *keys)

    def wait(self, title: str, *words: str, gone: str = "") -> str:
        """Wait until the window shows all these words, and not ``gone``; return it."""
        deadline = time.monotonic() + WAITS
        while not all(word in (text := self("capture-pane", "-p")) for word in words) or (gone and gone in text):
            assert time.monotonic() < deadline, f"{title}: not within {WAITS:g} s\n{text}"
            time.sleep(0.05)
        self.seen.append(f"==== {title} ====\n{text}")
        return text


@contextmanager
def tmux(folder: Path) -> Iterator[Tmux]:
    """A tmux of its own; what it showed is left where the test fails."""
    made = Tmux(folder / "tmux.socket", "/bin/sh")
    try:
        yield made
    except BaseException:
        print("\n".join(made.seen))
        raise
    finally:
        made("kill-server")


def test_by_keys_alone_the_failed_host_is_found_its_reason_read_and_a_rollout_paused_and_continued(
    fleet: Fleet, tmp_path: Path
) -> None:
    running = start(fleet, GOOD, OTHER, soak=SOAKS)
    start(fleet, FAILS_SELF_TEST, CANARY, NEXT, waves=(1,))
    with tmux(tmp_path) as window:
        window.type(f"PS1='shell% '; clear; {shlex.join((*CONSOLE, *where(fleet)))}; echo it ended with $?")
        window.press("Enter")
        window.wait("live", "● live", "admin")
        window.press("2")
        window.wait("one has halted", f"agent-{FAILS_SELF_TEST}", "✖ halted", "◐ running")
        window.press("/")
        window.type(FAILS_SELF_TEST)
        window.press("Enter", "Enter")
        window.wait("why", "HALTED  WAVE_NOT_PASSED: wave 1: 1 bad of 1")
        window.press("Tab")
        window.wait("its hosts", CANARY, "SELF_TEST_FA")
        window.press("Enter", "Tab", "Tab")
        window.wait("its last words", "SELF_TEST_FAILED", "libfrob.so.2", "Its last output")
        window.press("2", "Escape")
        window.wait("all of them", f"agent-{GOOD}", f"agent-{FAILS_SELF_TEST}")
        window.press("/")
        window.type("state:running")
        window.press("Enter", "p")
        wait("the server has paused it", lambda: state(fleet, running) == "PAUSED", WAITS)
        window.press("Escape", "/")
        window.type(GOOD)
        window.press("Enter")
        window.wait("paused", "‖ paused", "c Continue")
        window.press("c")
        window.wait("asked", f"Continue agent-{GOOD}?", "n No")
        window.press("y")
        wait("the server lets it go on", lambda: state(fleet, running) == "RUNNING", WAITS)
        window.press("q")
        window.wait("the shell is back", "it ended with 0", "shell%", gone="Halt fleet")
    print(f"tmux: {len(window.seen)} screens looked at, one host found and read, one rollout paused and continued")
