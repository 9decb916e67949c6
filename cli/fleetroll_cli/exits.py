"""Exit codes of the command line: fixed, so that scripts can tell what happened."""

from __future__ import annotations

import os
from enum import IntEnum
from typing import TYPE_CHECKING

from fleetroll.v1 import rollouts_pb2
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from collections.abc import Sequence


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    """Done; of a rollout: completed."""
    ERROR = 1
    """Anything that has no code of its own."""
    USAGE = 2
    """The command line is wrong."""
    HALTED = 30
    """The rollout stopped by itself."""
    CANCELLED = 31
    """The rollout was ended by a person or replaced."""
    ROLLED_BACK = 32
    """The rollout was taken back."""


_BY_STATE = {
    rollouts_pb2.ROLLOUT_STATE_COMPLETED: Exit.OK,
    rollouts_pb2.ROLLOUT_STATE_HALTED: Exit.HALTED,
    rollouts_pb2.ROLLOUT_STATE_CANCELLED: Exit.CANCELLED,
    rollouts_pb2.ROLLOUT_STATE_SUPERSEDED: Exit.CANCELLED,
    rollouts_pb2.ROLLOUT_STATE_ROLLED_BACK: Exit.ROLLED_BACK,
}


def of_rollout(state: rollouts_pb2.RolloutState.ValueType, *, ended: bool = False) -> Exit | None:
    """Return the exit code of a rollout that has its outcome; nothing while it goes on or is paused.

    Args:
        state: as the server says it; one that only a newer server knows has no code of its own.
        ended: whether the server says that it has ended.
    """
    return Exit.ERROR if ended and is_newer(state) else _BY_STATE.get(state)


def is_newer(state: rollouts_pb2.RolloutState.ValueType) -> bool:
    """Tell whether only a newer version than this one knows a state."""
    return state not in rollouts_pb2.RolloutState.values()


def explained(error: ValueError | OSError, words: Sequence[str]) -> tuple[str, Exit]:
    """Return sentence and exit code for what no command refused by name.

    Args:
        error: what a library raised.
        words: the command line; a word that is no text is the one at fault.
    """
    if isinstance(error, UnicodeError):
        for number, word in enumerate(words, 1):
            if not _is_text(word):
                why = f"argument {number}: {os.fsencode(word)[:80]!r} is not UTF-8"
                return f"{why} ({Code.INVALID_ARGUMENT}); write it in UTF-8", Exit.USAGE
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else "output: "
        return f"{where}{error.strerror or error} ({Code.INTERNAL}); is there space, and is it readable?", Exit.ERROR
    return f"a value can't be sent: {error} ({Code.INVALID_ARGUMENT}); correct the options", Exit.ERROR


def _is_text(word: str) -> bool:
    """Tell whether a word of the command line is text; bytes that are none stand in it as lone surrogates."""
    try:
        word.encode()
    except UnicodeError:
        return False
    return True
