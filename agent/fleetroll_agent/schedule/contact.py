"""``contact.json`` of the state folder: when this host had a server last, for the process that starts next."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import structlog

from fleetroll_common.durable import DamagedRecord, dump_record, load_record, write_durably

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger(__name__)

CONTACT_NAME = "contact.json"


class ContactFile:
    """The file. Whatever is wrong with it means that nobody knows: then the silence begins with this process."""

    def __init__(self, state: Path) -> None:
        """Use the file in the state folder."""
        self._path = state / CONTACT_NAME
        self._refused = False

    def read(self) -> float | None:
        """Return the instant in Unix seconds; None when it is not known."""
        try:
            at = load_record(self._path.read_bytes())["at"]
            if isinstance(at, (int, float)) and not isinstance(at, bool) and math.isfinite(at):
                return float(at)
        except (OSError, DamagedRecord, KeyError):
            pass
        return None

    def write(self, at: float) -> None:
        """Replace it; a disk that refuses is told once, and costs no more than a longer silence after a restart."""
        try:
            write_durably(self._path, dump_record({"at": at}))
        except OSError as error:
            if not self._refused:
                log.warning("contact_not_written", reason=error.strerror)
            self._refused = True
        else:
            self._refused = False
