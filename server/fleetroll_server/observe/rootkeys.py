"""Says, at start and daily, when this server can read the root keys: who steals it then has the fleet for good."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from pathlib import Path

DAY_SECONDS = 86_400.0
_log = structlog.get_logger(__name__)


class RootKeyWatch:
    """Looks whether the root keys are still in reach. A background service."""

    def __init__(self, folder: Path | None) -> None:
        """Look into ``folder``; None looks nowhere."""
        self._folder = folder
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin with a look."""
        self._task = asyncio.create_task(self._watch(), name="root-key-watch")

    async def drain(self) -> None:
        """Nothing is to be done."""

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        """Look, say it, wait a day."""
        while True:
            found = readable_root_keys(self._folder)
            if found:
                _log.warning(
                    "root_keys.readable",
                    files=[str(path) for path in found],
                    remedy="take the root keys away from this machine",
                )
            await asyncio.sleep(DAY_SECONDS)


def readable_root_keys(folder: Path | None) -> list[Path]:
    """Return the root key files that this process could read."""
    if folder is None:
        return []
    try:
        return sorted(path for path in folder.glob("root-*.key") if os.access(path, os.R_OK))
    except OSError:
        return []
