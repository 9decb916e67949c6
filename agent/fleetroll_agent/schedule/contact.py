"""``contact.json`` of the state folder: a host's last contact with its server, for the process that starts next."""

from __future__ import annotations

import math
from dataclasses import dataclass
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
        at: the instant in Unix seconds; None = nobody knows.
        quarantined: the server's last word was that this host takes no updates.
    """

    at: float | None = None
    quarantined: bool = False


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
        at, quarantined = said.get("at"), said.get("quarantined") is True
        if isinstance(at, (int, float)) and not isinstance(at, bool) and math.isfinite(at):
            return Contact(float(at), quarantined)
        return Contact(None, quarantined)

    def write(self, contact: Contact) -> None:
        """Replace it; a disk that refuses is told once, and costs no more than a longer silence after a restart."""
        try:
            write_durably(self._path, dump_record({"at": contact.at, "quarantined": contact.quarantined}))
        except OSError as error:
            if not self._refused:
                log.warning("contact_not_written", reason=error.strerror)
            self._refused = True
        else:
            self._refused = False
