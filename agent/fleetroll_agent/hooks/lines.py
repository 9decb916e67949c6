"""From bytes in pieces to lines that may be shown. Pure but for the clock that the rate is counted on.

In this order, so that a secret never leaves: pieces are joined to lines, a line is decoded, redacted, made harmless,
cut. Only what is shown is worked on: of a flood nearly all lines are just counted.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_common.values.plain import plain

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Sequence

    from fleetroll_common.values.clock import Clock

LINE_BYTES = 8 * 1024
"""Of one line; what comes behind is dropped. 2000 letters of at most 4 bytes fit."""
LINE_CHARS = 2000
LINES_PER_SECOND = 200
TAIL_CHARS = 4000
TAIL_LINES = 200
HIDDEN = "***"

_TAB_CHARS = 4
_REPLACED = "\ufffd"


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it may be shown, at most 2000 characters; ``exact`` = just what was written, nothing hidden."""

    text: str
    exact: bool


def clean(raw: bytes, redact: Sequence[re.Pattern[str]]) -> Line:
    """Return the line ``raw`` without secrets and without anything that a terminal could obey.

    One that was cut at :data:`LINE_BYTES` is not shown at all when there are patterns: they did not see its end.
    """
    whole = len(raw) <= LINE_BYTES
    if not whole and redact:
        return Line(
            f"[a line of more than {LINE_BYTES} bytes is not shown: secrets could not be looked for]", exact=False
        )
    said = raw.decode("utf-8", "replace").rstrip()
    text = said
    for pattern in redact:
        text = pattern.sub(HIDDEN, text)
    shown = plain(text.expandtabs(_TAB_CHARS), LINE_CHARS - 1)
    return Line(shown, exact=whole and shown == said and _REPLACED not in said)


def on_one_line(texts: Iterable[str], most: int) -> str:
    """Return lines that may be shown as one, at most ``most`` characters; blank ones are left out."""
    whole = " | ".join(" ".join(text.split()) for text in texts if text.strip())
    return whole if len(whole) <= most else f"{whole[: most - 1]}\u2026"


class Splitter:
    """Joins pieces to lines of at most LINE_BYTES + 1 bytes: one that is that long was longer.

    Line feeds and carriage returns end lines, so that a progress bar is seen while it moves.
    """

    def __init__(self) -> None:
        """Begin with an empty line."""
        self._begun = b""
        self._after_return = False

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the lines that ``piece`` ends."""
        if self._after_return and piece.startswith(b"\n"):
            piece = piece[1:]
        self._after_return = piece.endswith(b"\r")
        *ended, rest = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        if not ended:
            self._begun = (self._begun + rest)[: LINE_BYTES + 1]
            return []
        ended[0] = (self._begun + ended[0])[: LINE_BYTES + 1]
        self._begun = rest[: LINE_BYTES + 1]
        return ended

    def end(self) -> list[bytes]:
        """Return the last line where nothing closed it."""
        rest, self._begun = self._begun, b""
        return [rest] if rest else []


class Sink:
    """Passes lines on, at most 200 in a second, and keeps the end of all of them.

    Attributes:
        dropped: lines that were not passed on.
    """

    def __init__(self, on_line: Callable[[str], None], redact: Sequence[re.Pattern[str]], clock: Clock) -> None:
        """Pass cleaned lines to ``on_line``; a note takes the place of those that were too many."""
        self.dropped = 0
        self._on_line, self._redact, self._clock = on_line, redact, clock
        self._second = clock.monotonic()
        self._passed = self._unsaid = 0
        self._tail: deque[bytes] = deque(maxlen=TAIL_LINES)
        self._last = b""

    def take(self, lines: Sequence[bytes]) -> None:
        """Take the next lines, in their order."""
        now = self._clock.monotonic()
        if now - self._second >= 1:
            self.say_dropped()
            self._second, self._passed = now, 0
        passed = lines[: LINES_PER_SECOND - self._passed]
        for line in passed:
            self._on_line(clean(line[: LINE_BYTES + 1], self._redact).text)
        self._passed += len(passed)
        self.dropped += len(lines) - len(passed)
        self._unsaid += len(lines) - len(passed)
        self._keep(lines)

    def say_dropped(self) -> None:
        """Say how many lines are missing here, if any."""
        if self._unsaid:
            self._on_line(f"[{self._unsaid} lines left out: more than {LINES_PER_SECOND} in a second]")
        self._unsaid = 0

    def tail(self) -> str:
        """Return the end of the output, at most 4000 characters."""
        return "\n".join(clean(line, self._redact).text for line in self._tail)[-TAIL_CHARS:]

    def last(self) -> Line:
        """Return the last line that is not blank; an empty one when there is none."""
        return clean(self._last, self._redact)

    def _keep(self, lines: Sequence[bytes]) -> None:
        self._tail.extend(line[: LINE_BYTES + 1] for line in lines[-TAIL_LINES:])
        self._last = next((line for line in reversed(lines) if line.strip()), self._last)[: LINE_BYTES + 1]
