"""Exit codes of the command line: fixed, so that scripts can tell what happened."""

from __future__ import annotations

from enum import IntEnum

from fleetroll.v1 import rollouts_pb2


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


def of_rollout(state: rollouts_pb2.RolloutState.ValueType) -> Exit | None:
    """Return the exit code of a rollout that has its outcome; nothing while it goes on or is paused."""
    return _BY_STATE.get(state)
