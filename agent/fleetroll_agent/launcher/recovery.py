"""Which record is believed after whatever happened: a valid one, a complete replacement of it, else the slots."""

from enum import Enum
from typing import Dict, NamedTuple, Optional, Sequence

from fleetroll_agent.launcher.errors import NothingToRunError, RecordDamagedError
from fleetroll_agent.launcher.files import SlotFacts
from fleetroll_agent.launcher.record import decode
from fleetroll_agent.launcher.values import MAX_BAD, Record, SlotRef
from fleetroll_agent.launcher.versions import version_key


class Source(str, Enum):
    """Where the record came from."""

    RECORD = "record"
    REPLACEMENT = "replacement"
    SLOTS = "slots"


class Recovery(NamedTuple):
    """A record to go on with, and where it came from."""

    record: Record
    source: Source


def from_bytes(main: Optional[bytes], replacement: Optional[bytes]) -> Optional[Recovery]:
    """Return the record that the file or its replacement holds; None when both are absent or damaged.

    Args:
        main: content of the record's file, None when there is none.
        replacement: the same of the file beside it that was about to replace it.
    """
    for data, source in ((main, Source.RECORD), (replacement, Source.REPLACEMENT)):
        if data is None:
            continue
        try:
            return Recovery(decode(data), source)
        except RecordDamagedError:
            continue
    return None


def from_slots(slots: Sequence[SlotFacts], pythons: Dict[str, str]) -> Recovery:
    """Return a record made of the slot that was committed latest; attempts of before are never armed again.

    Args:
        slots: the complete slots.
        pythons: path of an interpreter by abi.

    Raises:
        NothingToRunError: no slot was ever kept (the host was never enrolled, or its state is lost).
    """
    good = [slot for slot in slots if slot.good >= 0 and not slot.bad]
    if not good:
        raise NothingToRunError(
            "there is no boot record and no complete slot that was ever kept",
            "NOT_FOUND",
            "enrol this host, or restore its state folder",
        )
    newest = max(good, key=lambda slot: (slot.good, version_key(slot.version), slot.name))
    record = Record(
        seq=newest.good + 1,
        current=SlotRef(newest.name, newest.version, newest.digest, pythons.get(newest.abi, ""), newest.abi),
        bad=tuple(sorted({slot.digest for slot in slots if slot.bad}))[-MAX_BAD:],
        recovered=True,
    )
    return Recovery(record, Source.SLOTS)
