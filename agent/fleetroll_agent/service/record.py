"""What ``service install`` did, in a small file of the launcher's place: how the upgrade starts the service again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from fleetroll_agent.launcher import files, own
from fleetroll_agent.service.facts import Init
from fleetroll_agent.slots.disk import typed_disk_errors
from fleetroll_common.durable import DamagedRecord, dump_record, load_record, write_durably

if TYPE_CHECKING:
    from pathlib import Path

_FILE = "service.json"


@dataclass(frozen=True, slots=True)
class Installed:
    """A service that was installed.

    Attributes:
        init: that starts it.
        name: of the service.
        python: absolute path of the Python that runs the launcher.
    """

    init: Init
    name: str
    python: str


def write_installed(state: Path, installed: Installed) -> None:
    """Write it down, durably; the launcher's place MUST be there.

    Raises:
        AgentError: the host's disk.
    """
    with typed_disk_errors("writing down what was installed"):
        write_durably(state / own.PLACE_NAME / _FILE, dump_record(asdict(installed)))


def read_installed(state: Path) -> Installed | None:
    """Return what was installed; None when nothing legible says so."""
    try:
        data = files.read_small(str(state / own.PLACE_NAME / _FILE))
        known = {} if data is None else load_record(data)
        return Installed(Init(known["init"]), str(known["name"]), str(known["python"]))
    except (OSError, DamagedRecord, KeyError, ValueError):
        return None
