"""Root keys of an ``init`` that was killed: no server was ever made of them, and the next one takes them away.

Before the first of them is written, their public halves stand in the folder that is being built, durably. The rename
that makes it the data folder ends the proof in the same instant: what is found in a folder that is still being built is
worthless, and nothing else is ever taken for it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fleetroll_common.durable import sync_dir, write_durably
from fleetroll_common.durable.files import temporary_name
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.carrying.signing_copy import FIRST_ROOT
from fleetroll_publishing.history import public_of
from fleetroll_publishing.keys import read_label

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fleetroll_publishing.keys import PrivateKey

MARK = "root-keys.begun"


def begin(building: Path, root_keys: Path, keys: Sequence[PrivateKey]) -> None:
    """Say durably which keys are about to be written into ``root_keys``, which is empty.

    Raises:
        OSError: the disk refused.
    """
    publics = [public_of(key.public) for key in keys]
    write_durably(building / MARK, json.dumps({"folder": str(root_keys), "publics": publics}).encode())


def take_away(building: Path, root_keys: Path, unlock_file: str) -> None:
    """Take away what a killed run has left in ``root_keys``, where all that lies there is of that run; else nothing.

    Raises:
        OSError: the disk refused.
    """
    try:
        said = json.loads((building / MARK).read_bytes())
    except (OSError, ValueError):
        return
    if said["folder"] != str(root_keys) or not root_keys.is_dir():
        return
    found = list(root_keys.iterdir())
    if not all(_is_of_it(path, said["publics"], unlock_file) for path in found):
        return
    for path in found:
        path.unlink()
    sync_dir(root_keys)


def _is_of_it(path: Path, publics: Sequence[str], unlock_file: str) -> bool:
    """Tell whether a file is of the killed run: one of its keys, what lay beside them, or what was being written."""
    beside = (unlock_file, FIRST_ROOT)
    names = [*beside, *(f"root-{number}.key" for number in range(1, len(publics) + 1))]
    if path.name in {*beside, *(temporary_name(path.with_name(name)).name for name in names)}:
        return path.is_file()
    try:
        return path.name in names and public_of(read_label(path).public) in publics
    except RequestError:
        return False
