"""What enrolment asks about a host before it installs anything: can its launcher start something, with which Python.

The answers are the launcher's own: the same reading of record and slots that its start begins with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.launcher import files
from fleetroll_agent.launcher.errors import NothingToRunError
from fleetroll_agent.launcher.executor import Executor
from fleetroll_agent.launcher.main import load, note
from fleetroll_agent.launcher.posix import PosixFamily
from fleetroll_agent.launcher.pythons import Pythons
from fleetroll_agent.launcher.steady import choose
from fleetroll_agent.slots import SlotStore
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, RequestError, TrustError
from fleetroll_common.values.platform import Platform

if TYPE_CHECKING:
    from pathlib import Path

_NO_LOCK = -1
"""Nothing is started here, so no child inherits it."""


def can_start(folder: Path) -> bool:
    """Tell whether a launcher of this state folder would start an agent. Blocks; the caller MUST hold the state's lock.

    A boot record alone is not enough: it may be damaged, and the slots that it names may be lost.
    """
    state, pythons = str(folder), Pythons()
    if not files.read_slots(state):
        return False  # without asking every Python of the host what it is
    try:
        record = load(state, pythons).record
    except NothingToRunError:
        return False
    launcher = Executor(state, PosixFamily(), pythons, _NO_LOCK, note)
    return not launcher.obstacle(record.current) or choose(launcher.candidates(), record) is not None


def check_slot(folder: Path) -> None:
    """Refuse a state folder whose current slot is not as it was signed: it would start, and end, again and again.

    Blocks while every file of the slot is read; the caller MUST hold the state's lock. A slot that is not complete is
    passed over: the launcher takes another one, or :func:`can_start` says that there is none.

    Raises:
        TrustError: WRONG_HASH: files are changed, missing, or nobody signed them; the remedy says what to remove.
        AgentError: a fault of the disk.
    """
    slots = SlotStore(folder)
    try:
        path = folder / files.SLOTS_PATH / load(str(folder), Pythons()).record.current.name
        drift = slots.check(path)
    except NothingToRunError:
        return
    except AgentError as error:
        if error.code is Code.NOT_FOUND:
            return
        raise
    if not drift.is_clean:
        first = (*drift.missing, *drift.changed, *drift.extra)[0]
        text = f"the slot {path.name} is not as it was signed: {first!r}"
        raise TrustError(text, code=Code.WRONG_HASH, remedy=f"remove {path} and run enroll again", path=str(path))


def check_interpreter(path: str) -> None:
    """Refuse a Python that could not run this host's releases. Blocks for as long as it takes to start it.

    Raises:
        RequestError: INVALID_ARGUMENT: it does not run, or is of another abi than this program's.
    """
    abi, wanted = Pythons().abi_of(path), Platform.current().abi
    if abi == wanted:
        return
    what = f"is a Python of {abi}" if abi else "is no Python that runs here"
    text = f"interpreter: {path!r} {what}; the releases for this host need {wanted}"
    remedy = f"name a Python of {wanted} with --interpreter, or run enroll with the Python that shall run the agent"
    raise RequestError(text, code=Code.INVALID_ARGUMENT, remedy=remedy, field="interpreter", value=path)
