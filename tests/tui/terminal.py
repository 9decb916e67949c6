"""A real program in a pseudo-terminal, and a terminal in memory that shows what a person would see.

The program has the terminal as its controlling one: a new size reaches it as a signal of the kernel. A thread takes
its output in all the time, as a terminal does; each wait looks at the screen until it shows what is waited for.
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Self

import pyte
from wcwidth import wcwidth

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

NARROW = (80, 24)
ON_THE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
"""Makes standard input the controlling terminal, then becomes the program."""
PRIVATE = re.compile(r"\x1b\[[<>=][0-9;:]*[@-~]")
"""Sequences about keyboards and pastes, which the emulator would take for others."""
OWN = re.compile(r"\x1b\[[?>=<]?[0-9;:]*\$?[ABCDHJKmhlnpqtu]|\x1b[78=>]|\x1b\]22;default\x07")
"""What the console itself may write beside letters: colours, places, erasing, modes, questions, the mouse's look."""
ALTERNATE, CURSOR = 1049 << 5, 25 << 5
"""Modes as the emulator keeps them: private ones are shifted."""
FRAME = frozenset("│╭╮╰╯")
FOREIGN = frozenset({"NO_COLOR", "LC_ALL", "LC_CTYPE", "COLUMNS", "LINES"})
"""What this process may have in its environment, or a test's tool have put there, and a program in a terminal has not:
a size that is said there is believed more than the terminal's own."""
WAIT_SECONDS = 20.0
END_SECONDS = 15.0
NAMED = {"esc": "\x1b", "enter": "\r", "tab": "\t", "down": "\x1b[B", "up": "\x1b[A", "space": " ", "ctrl+c": "\x03"}


def shown(screen: pyte.Screen) -> list[str]:
    """The rows as text. A half of a wide letter whose other half was written over is blank, as on real terminals."""
    rows = []
    for number in range(screen.lines):
        letters, half = [], False
        for column in range(screen.columns):
            data = screen.buffer[number][column].data
            if not half:
                letters.append(data or " ")
            half = not half and bool(data) and wcwidth(data[0]) == 2
        rows.append("".join(letters))
    return rows


class Terminal:
    """One program and its terminal."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        screens: Path,
        size: tuple[int, int] = NARROW,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start the program; ``screens`` is the file that a failed test leaves, with every screen it looked at."""
        self.raw = bytearray()
        self.seen: list[tuple[str, str]] = []
        self._screens = screens
        self._lock = Lock()
        self._screen = pyte.Screen(*size)
        self._stream = pyte.Stream(self._screen)
        self._master, self._slave = pty.openpty()
        self._shape(*size)
        self.before = termios.tcgetattr(self._slave)
        self._process = subprocess.Popen(
            (sys.executable, "-c", ON_THE_TERMINAL, *command),
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
            env=_environment(environment or {}),
        )
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        """End the program whatever state it is in; leave the screens behind a failure."""
        if kind is not None:
            self.seen.append(("when it failed", self.text()))
            self._screens.write_text(self.told(), "utf-8")
            print(self.told())
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(END_SECONDS)
        self._close()

    def told(self) -> str:
        """Every screen that was looked at."""
        return "\n".join(f"==== {title} ====\n{text}\n" for title, text in self.seen)

    # What is shown.

    def text(self) -> str:
        """The screen as lines."""
        with self._lock:
            return "\n".join(line.rstrip() for line in shown(self._screen))

    def line_with(self, words: str) -> str:
        """The first line that has these words; "" for none."""
        return next((line for line in self.text().splitlines() if words in line), "")

    def light_of(self, words: str) -> int:
        """How bright the first letter of these words is, 0 to 765.

        Raises:
            AssertionError: they are not on the screen.
        """
        with self._lock:
            for row, line in enumerate(shown(self._screen)):
                at = line.find(words)
                if at >= 0:
                    colour = self._screen.buffer[row][at].fg
                    return sum(int(colour[part : part + 2], 16) for part in (0, 2, 4))
        raise AssertionError(f"{words} is not on the screen")

    def crooked(self) -> list[str]:
        """Lines whose frame is not closed at the last column: some letter took other room than was counted for it."""
        last = self._screen.columns - 1
        with self._lock:
            rows = [(self._screen.buffer[row], line) for row, line in enumerate(shown(self._screen))]
            return [line for cells, line in rows if (cells[0].data in FRAME) != (cells[last].data in FRAME)]

    @property
    def on_alternate(self) -> bool:
        with self._lock:
            return ALTERNATE in self._screen.mode

    @property
    def cursor_shown(self) -> bool:
        with self._lock:
            return CURSOR in self._screen.mode and not self._screen.cursor.hidden

    @property
    def modes_now(self) -> list[Any]:
        """How the terminal treats what is typed: echo, lines, signals."""
        return termios.tcgetattr(self._slave)

    def wait(self, title: str, *words: str, gone: Sequence[str] = (), seconds: float = WAIT_SECONDS) -> str:
        """Wait until the screen has all these words and none of ``gone``; return it."""
        return self.wait_until(
            title, lambda text: all(each in text for each in words) and not any(each in text for each in gone), seconds
        )

    def wait_until(self, title: str, holds: Callable[[str], bool], seconds: float = WAIT_SECONDS) -> str:
        """Wait until something holds of the screen; return it.

        Raises:
            AssertionError: it did not in time, or the program ended.
        """
        deadline = time.monotonic() + seconds
        while not holds(text := self.text()):
            assert self._process.poll() is None, f"{title}: the program ended\n{text}"
            assert time.monotonic() < deadline, f"{title}: not within {seconds:g} s\n{text}"
            time.sleep(0.02)
        self.seen.append((title, text))
        return text

    # What is done.

    def press(self, *keys: str) -> None:
        """Press keys one after the other; names of :data:`NAMED`, or letters."""
        for key in keys:
            os.write(self._master, NAMED.get(key, key).encode())
            time.sleep(0.15 if key == "esc" else 0.02)  # an escape alone is told from a sequence by time

    def send(self, raw: bytes) -> None:
        """Send bytes as they are."""
        os.write(self._master, raw)

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size; the kernel tells the program."""
        with self._lock:
            self._screen.resize(lines, columns)
        self._shape(columns, lines)

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to the program."""
        self._process.send_signal(number)

    def ended(self) -> int:
        """Wait for the program's own end; return its exit code, with all of its output taken in."""
        code = self._process.wait(END_SECONDS)
        deadline, size = time.monotonic() + 2.0, -1
        while size != len(self.raw) and time.monotonic() < deadline:
            size = len(self.raw)
            time.sleep(0.1)
        return code

    def _shape(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        rest = ""
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:
                return
            if not data:
                return
            text = rest + decoder.decode(data)
            # A sequence that is not whole yet waits for its end.
            cut = text.rfind("\x1b")
            whole = cut < 0 or len(text) - cut > 32 or re.match(r"\x1b(\[[^@-~]*[@-~]|[^\[])", text[cut:])
            text, rest = (text, "") if whole else (text[:cut], text[cut:])
            with self._lock:
                self.raw += data
                self._stream.feed(PRIVATE.sub("", text))

    def _close(self) -> None:
        """Give both ends back; the reader ends with the last of them."""
        os.close(self._slave)
        self._reader.join(END_SECONDS)
        with contextlib.suppress(OSError):
            os.close(self._master)


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    """A terminal as most have it, and nothing of the caller's own settings."""
    kept = {key: value for key, value in os.environ.items() if key not in FOREIGN}
    return {**kept, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8", **more}
