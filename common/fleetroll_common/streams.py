"""Standard streams that can't be written: a full disk or a reader that has gone costs lines, and never the program."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO


class LogSink:
    """A file for a logger, on the standard error that there is at the moment.

    What a program does must not depend on whether its log can be written: a line that can't is dropped and counted.
    """

    def __init__(self) -> None:
        """Have lost nothing."""
        self.lost = 0

    def write(self, text: str) -> int:
        """Write a line, or count it as lost."""
        try:
            stream: TextIO | None = sys.stderr
            return stream.write(text) if stream is not None else 0
        except (OSError, ValueError):  # ValueError: it was closed
            self.lost += 1
            return 0

    def flush(self) -> None:
        """Hand over what was written; what can't be is dropped."""
        try:
            if sys.stderr is not None:
                sys.stderr.flush()
        except (OSError, ValueError):
            self.lost += 1


def let_go(stream: TextIO | None) -> None:
    """Give up, at a program's end, what a stream did not take: the interpreter would make it the exit code."""
    try:
        if stream is not None:
            stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[union-attr]  # it was flushed
