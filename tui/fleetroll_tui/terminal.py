"""The terminal: bytes that are no text and reports that make no sense are dropped, and end nothing; its end does.

The framework lets whatever its reader meets end the program: a letter in another encoding, a mouse report in the old
form, a key number that is none. Of a terminal that is gone it reads nothing again and again, and its writer dies, after
which whoever writes waits for ever.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from textual.events import Paste

from fleetroll_tui.text import one_line

if TYPE_CHECKING:
    from typing import IO

    from textual.driver import Driver
    from textual.message import Message

UNREADABLE = (ValueError, OverflowError, BlockingIOError)
"""What the framework's reader raises for such bytes; a decoding error is a ValueError."""
PAUSE_SECONDS = 0.01
"""Before reading on: whatever the cause is, it never takes a whole processor."""
LOOK_MILLISECONDS = 100
"""How soon the watch over the terminal ends after the reader; the terminal's own end wakes it at once."""

MOST_PASTED = 10_000
"""More than any line takes."""
_DRIVER: Any = object
"""What :class:`Forgiving` stands before: one of the framework's drivers."""


class Output:
    """What the framework writes to: a terminal that is gone takes nothing more, and fails nobody."""

    def __init__(self, file: IO[str]) -> None:
        """Write to a file."""
        self._file = file

    def write(self, text: str) -> None:
        """Write text, if there is somebody to read it."""
        with contextlib.suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        """Write what waits, if there is somebody to read it."""
        with contextlib.suppress(OSError):
            self._file.flush()

    def fileno(self) -> int:
        """Return the file's number."""
        return self._file.fileno()


def hang_up() -> None:
    """End the program as the kernel does where the terminal is its controlling one."""
    os.kill(os.getpid(), signal.SIGHUP)


def gone(terminal: int, milliseconds: int = 0) -> bool:
    """Tell whether nobody is at the other end of a terminal, or will be no more in that time."""
    poll = select.poll()
    poll.register(terminal, 0)  # the end is told without being asked for
    return any(told & (select.POLLHUP | select.POLLERR) for _, told in poll.poll(milliseconds))


def watch_over(terminal: int, read: Event) -> None:
    """Hang up when the terminal is gone; return then, or once it is read no more."""
    while not read.wait(PAUSE_SECONDS):
        if gone(terminal, LOOK_MILLISECONDS):
            hang_up()
            return


class Forgiving(_DRIVER):  # type: ignore[misc]  # its other base is chosen while the program runs
    """Reads on while there is a terminal."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Write to what can't fail."""
        super().__init__(*arguments, **options)
        if hasattr(self, "_file"):
            self._file: Any = Output(self._file)

    def _sigcont_application(self, *_: object) -> None:
        """Go on, soon: in the midst of whatever the signal interrupted, nothing can be written."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._go_on)

    def _go_on(self) -> None:
        """Take the terminal again. Who was not stopped in order has it, and gives it back first, or two would read.

        The kernel lets whoever it hangs up go on too, to hear of it; and whoever has ended takes nothing.
        """
        reads = self._key_thread is not None and self._key_thread.is_alive()
        if gone(self.fileno) or not (reads or self._must_signal_resume):
            return
        if reads:
            self.suspend_application_mode()
        super()._sigcont_application()

    def run_input_thread(self) -> None:
        """Read until the end; what came together with the unreadable is lost."""
        done = Event()
        watch = Thread(target=watch_over, args=(self.fileno, done), name="terminal", daemon=True)
        watch.start()
        try:
            self._read_on()
        finally:
            done.set()
            watch.join()

    def process_message(self, message: Message) -> None:
        """Hand on what was read. What is pasted is one clean line, for the lines of the framework's own screens too."""
        if isinstance(message, Paste):
            message.text = one_line(message.text, MOST_PASTED)
        super().process_message(message)

    def _read_on(self) -> None:
        while not self.exit_event.is_set():
            try:
                super().run_input_thread()
            except UNREADABLE:
                self.exit_event.wait(PAUSE_SECONDS)
            except OSError:  # EIO
                hang_up()
                return


def forgiving(driver: type[Driver]) -> type[Driver]:
    """Return a driver that reads on after what it could not read, and ends with its terminal.

    One without a reader is returned as it is.
    """
    return type("ForgivingDriver", (Forgiving, driver), {}) if hasattr(driver, "run_input_thread") else driver
