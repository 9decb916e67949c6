"""``contact.json`` of the state folder: for how long a host has had no server, for the process that starts next.

The wall clock has no part in it: a clock that is set, or that a flat battery sends to another year, makes no silence.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import structlog

from fleetroll_common.durable import DamagedRecord, dump_record, load_record, write_durably

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger(__name__)

CONTACT_NAME = "contact.json"


@dataclass(frozen=True, slots=True)
class Contact:
    """What is known of it.

    Attributes:
        boot_id: the boot in which it was written; empty = nobody knows.
        boot_seconds: when, by that boot's clock that counts suspend.
        silent_seconds: for how long no server had been there by then, >= 0; what passes while the machine is off does
            not count.
        quarantined: the server's last word was that this host takes no updates.
    """

    boot_id: str = ""
    boot_seconds: float = 0.0
    silent_seconds: float = 0.0
    quarantined: bool = False

    def silent_before(self, boot_id: str, boot_seconds: float) -> float:
        """Return for how long there had been no server when a process began; within one boot its clock goes on."""
        if not boot_id or boot_id != self.boot_id:
            return self.silent_seconds
        return self.silent_seconds + max(0.0, boot_seconds - self.boot_seconds)


class ContactFile:
    """The file. Whatever is wrong with it means that nobody knows: then the silence begins with this process."""

    def __init__(self, state: Path) -> None:
        """Use the file in the state folder."""
        self._path = state / CONTACT_NAME
        self._refused = False

    def read(self) -> Contact:
        """Return what it says."""
        try:
            said = load_record(self._path.read_bytes())
        except (OSError, DamagedRecord):
            return Contact()
        quarantined = said.get("quarantined") is True
        boot_id, at = said.get("boot_id"), _seconds(said.get("boot_seconds"))
        silent = _seconds(said.get("silent_seconds"))
        if not isinstance(boot_id, str) or at is None or silent is None:
            return Contact(quarantined=quarantined)
        return Contact(boot_id, at, silent, quarantined)

    def write(self, contact: Contact) -> None:
        """Replace it; a disk that refuses is told once, and costs no more than a longer silence after a restart."""
        try:
            write_durably(self._path, dump_record(asdict(contact)))
        except OSError as error:
            if not self._refused:
                log.warning("contact_not_written", reason=error.strerror)
            self._refused = True
        else:
            self._refused = False


def _seconds(value: object) -> float | None:
    """Return a span or an instant >= 0; None for what is none."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < math.inf:
        return None
    return float(value)
