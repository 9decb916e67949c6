"""An interrupt ends a command, also one whose interruption was swallowed.

Python raises an interrupt wherever the main thread happens to be. In a destructor or in a callback of C code it is
printed and forgotten, and a command that follows would go on as if nobody had asked.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import FrameType

INTERRUPTED = 128 + signal.SIGINT
"""The exit code that shells give a command which ctrl+c ended."""
ENDING_SECONDS = 3.0
"""What a command gets to end in order."""


def end_when_interrupted() -> None:
    """From now on an interrupt ends the program within :data:`ENDING_SECONDS`, unless it is ignored, as by nohup."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """Raise it, and see to it that it is not in vain."""
    signal.signal(signal.SIGALRM, _end)
    signal.setitimer(signal.ITIMER_REAL, ENDING_SECONDS)
    raise KeyboardInterrupt


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    """End at once: what was printed went out line by line, and nothing is written that could be half."""
    os._exit(INTERRUPTED)
