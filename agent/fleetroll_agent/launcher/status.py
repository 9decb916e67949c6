"""What the launcher is doing, in a small file for ``doctor`` and people. A hint: decides no start."""

import json
import os
from typing import Any, Dict

from fleetroll_agent.launcher.files import STATUS_NAME
from fleetroll_agent.launcher.state import Phase, State
from fleetroll_agent.launcher.versions import LEVEL


def describe(state: State, child_pid: int, program: str = "") -> Dict[str, Any]:
    """Return the status of ``state``; ``program`` is the launcher's name in its own place, empty when it has none.

    ``status`` is ``running``, ``starting``, ``ending``, ``waiting``, ``stopped``, or the trouble in lower case, such as
    ``no_interpreter``; ``trial`` tells whether the child is on trial.
    """
    record = state.record
    slot = record.trial.slot if state.on_trial and record.trial is not None else record.current
    word = "stopped" if state.phase is Phase.DONE else state.phase.value
    return {
        "status": state.trouble.lower() or word,
        "detail": state.detail,
        "trial": state.on_trial,
        "version": slot.version,
        "slot": slot.name,
        "child_pid": child_pid,
        "launcher_pid": os.getpid(),
        "launcher_program": program,
        "launcher_level": LEVEL,
        "record_is_durable": state.rewrite_at is None,
    }


class StatusFile:
    """Writes the status when it changed. Never raises: a full disk must not stop the agent for want of a status."""

    def __init__(self, state_folder: str) -> None:
        """Write into ``state_folder``."""
        self._path = os.path.join(state_folder, STATUS_NAME)
        self._written: Dict[str, Any] = {}

    def write(self, status: Dict[str, Any]) -> None:
        """Replace the file by ``status``, if it says something new."""
        if status == self._written:
            return
        try:
            with open(self._path + ".new", "w") as stream:
                json.dump(status, stream, sort_keys=True)
                stream.write("\n")
            os.replace(self._path + ".new", self._path)
        except OSError:
            return
        self._written = status
