"""The terminal's input: bytes that are no text and reports that make no sense are dropped, and end nothing.

The framework lets whatever its reader meets end the program: a letter in another encoding, a mouse report in the old
form, a key number that is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.driver import Driver

UNREADABLE = (ValueError, OverflowError)
"""What the framework's reader raises for such bytes; a decoding error is a ValueError."""
PAUSE_SECONDS = 0.01
"""Before reading on: whatever the cause is, it never takes a whole processor."""


def forgiving(driver: type[Driver]) -> type[Driver]:
    """Return a driver that goes on reading after what it could not read; one without a reader as it is."""
    if not hasattr(driver, "run_input_thread"):
        return driver
    base: Any = driver

    class Forgiving(base):  # type: ignore[misc]  # its base is chosen while the program runs
        """Reads on."""

        def run_input_thread(self) -> None:
            """Read until the end; what came together with the unreadable is lost."""
            while not self.exit_event.is_set():
                try:
                    super().run_input_thread()
                except UNREADABLE:
                    self.exit_event.wait(PAUSE_SECONDS)

    return Forgiving
