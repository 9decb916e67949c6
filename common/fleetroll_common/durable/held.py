"""A folder that is held open, and names in it: whatever becomes of the ways that led there, it is the same folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that is held open.

    Attributes:
        handle: of the folder, open for reading; whoever opened it closes it.
        path: where it was found. For words only: by now something else may stand there.
    """

    handle: int
    path: Path

    @property
    def name(self) -> str:
        """Return what it was called."""
        return self.path.name

    def entry(self, name: str) -> HeldName:
        """Return the name ``name`` in it: one part, neither empty nor ``.`` or ``..``."""
        if name in ("", ".", "..") or "/" in name:
            message = f"{name!r} is no name in a folder"
            raise ValueError(message)
        return HeldName(self, name)


@dataclass(frozen=True, slots=True)
class HeldName:
    """A name in a folder that is held open; nothing needs to stand under it."""

    folder: Folder
    name: str

    @property
    def path(self) -> Path:
        """Return where it was found, for words only."""
        return self.folder.path / self.name

    def __str__(self) -> str:
        """Return the same as text."""
        return str(self.path)
