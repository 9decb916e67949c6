"""Does what the core asks for, in its order. Every failure that changes what may follow comes back as an event."""

import os
from typing import Callable, List, Optional, Tuple

from fleetroll_agent.launcher import files
from fleetroll_agent.launcher.errors import SpawnError
from fleetroll_agent.launcher.events import (
    Action,
    Actions,
    Candidate,
    Event,
    Exit,
    Kill,
    MarkBad,
    MarkGood,
    Persist,
    PersistFailed,
    Send,
    Spawn,
    SpawnFailed,
    Terminate,
    UnmarkGood,
)
from fleetroll_agent.launcher.pipe import encode
from fleetroll_agent.launcher.ports import Family
from fleetroll_agent.launcher.pythons import Pythons
from fleetroll_agent.launcher.record import encode as encode_record
from fleetroll_agent.launcher.values import SlotRef

Note = Callable[[str], None]


class Executor:
    """Brings actions to disk and process."""

    def __init__(self, state: str, family: Family, pythons: Pythons, lock_handle: int, note: Note) -> None:
        """Work on the state folder ``state``, whose lock is ``lock_handle``."""
        self._state = state
        self._family = family
        self._pythons = pythons
        self._lock_handle = lock_handle
        self._note = note

    def do(self, actions: Actions) -> Optional[Event]:
        """Do ``actions`` in order; return what went wrong, with the rest of them undone, or None."""
        for action in actions:
            event = self._one(action)
            if event is not None:
                return event
        return None

    def obstacle(self, slot: SlotRef) -> str:
        """Return the code for which ``slot`` can't be started, empty when it can."""
        try:
            self._command(slot)
        except SpawnError as error:
            return error.code
        return ""

    def _one(self, action: Action) -> Optional[Event]:
        if isinstance(action, Persist):
            return self._persist(action)
        if isinstance(action, Spawn):
            return self._spawn(action)
        if isinstance(action, Send):
            self._family.send(encode(action.message))
        elif isinstance(action, Terminate):
            self._family.terminate()
        elif isinstance(action, Kill):
            self._family.kill()
        elif not isinstance(action, Exit):
            self._hint(action)
        return None

    def _persist(self, action: Persist) -> Optional[Event]:
        try:
            files.replace_file(files.record_path(self._state), encode_record(action.record))
        except OSError as error:
            detail = "the boot record could not be written: {}".format(error.strerror)
            self._note(detail)
            return PersistFailed(action.purpose, detail)
        self._note("record {} ({})".format(action.record.seq, action.purpose.value))
        return None

    def _hint(self, action: Action) -> None:
        """Leave or remove a hint. It is read only when the record is lost, so its failure stops nothing."""
        try:
            if isinstance(action, MarkGood):
                files.mark_good(self._state, action.slot.name, action.seq)
            elif isinstance(action, UnmarkGood):
                files.unmark_good(self._state, action.slot.name)
            elif isinstance(action, MarkBad):
                files.mark_bad(self._state, action.digests)
        except OSError as error:
            self._note("a hint in a slot could not be written: {}".format(error.strerror))

    def _spawn(self, action: Spawn) -> Optional[Event]:
        try:
            command = self._command(action.slot)
            self._family.start(command, self._lock_handle)
        except SpawnError as error:
            self._note(str(error))
            return SpawnFailed(error.code, error.message, self.candidates())
        except OSError as error:
            self._note("the agent could not be started: {}".format(error.strerror))
            return SpawnFailed("START_FAILED", "the agent could not be started: {}".format(error.strerror))
        self._note("started {} from {}".format(action.slot.version, action.slot.name))
        return None

    def _command(self, slot: SlotRef) -> List[str]:
        """Return how to start ``slot``.

        Raises:
            SpawnError: ENTRY_MISSING for a slot that is not this digest, complete; NO_INTERPRETER for its Python.
        """
        facts = files.read_slot(self._state, slot.name)
        if facts is None or (facts.digest, facts.version, facts.abi) != (slot.digest, slot.version, slot.abi):
            raise SpawnError("slot {} does not hold {}, complete".format(slot.name, slot.version), "ENTRY_MISSING")
        if not slot.python or self._pythons.abi_of(slot.python) != slot.abi:
            message = "{} is no longer a Python of {}".format(slot.python or "no interpreter", slot.abi)
            raise SpawnError(message, "NO_INTERPRETER", "install it, or enrol this host anew")
        entry = os.path.join(files.slot_path(self._state, slot.name), facts.entry)
        return [slot.python, "-I", "-S", "-B", entry, "run", "--state", self._state]

    def candidates(self) -> Tuple[Candidate, ...]:
        """Return every complete slot that an interpreter of this host can run."""
        pythons = self._pythons.by_abi()
        return tuple(
            Candidate(
                SlotRef(slot.name, slot.version, slot.digest, pythons[slot.abi], slot.abi),
                slot.good,
                slot.bad,
            )
            for slot in files.read_slots(self._state)
            if slot.abi in pythons
        )
