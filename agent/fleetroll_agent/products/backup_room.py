"""Room for a product's backup, as far as agent.toml says how much it takes: what a command writes nobody else knows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.space import RESERVE_BYTES, require_room
from fleetroll_agent.slots.disk import typed_disk_errors

if TYPE_CHECKING:
    from fleetroll_agent.settings.product import Product

_MIB = 1024 * 1024


def backup_place(state: Path, product: Product) -> Path:
    """Return where room for the backup is asked for: where agent.toml says, else beside the product.

    A folder that is not there yet is the command's to make: then its nearest parent that is there.
    """
    place = product.backup_folder or _folder_of(product.link) or _folder_of(product.path) or str(state)
    real = Path(os.path.realpath(place))  # a link to what is not made yet leads to another disk, perhaps
    return next(folder for folder in (real, *real.parents) if folder.exists())


def require_backup_room(state: Path, product: Product) -> None:
    """Refuse to begin, or to go on, where the backup has no room. Blocks.

    Where the state folder lies on the same disk, what the agent's own records need stays free as well.

    Raises:
        AgentError: DISK_FULL: it has too little; the message says how much.
    """
    if product.hooks.backup is None or not product.backup_mib:
        return
    with typed_disk_errors("looking for the place of the backup"):
        place = backup_place(state, product)
        shared = place.stat().st_dev == state.stat().st_dev
    require_room(place, product.backup_mib * _MIB + (RESERVE_BYTES if shared else 0), what=f"backup of {product.name}")


def _folder_of(path: str | None) -> str:
    return "" if path is None else str(Path(path).parent)
