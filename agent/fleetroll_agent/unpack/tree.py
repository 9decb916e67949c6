"""Writing below one directory and nowhere else: each step goes through a handle of its parent, no link is followed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Tree:
    """An open directory. Paths are relative, already checked, with ``/`` between their parts."""

    def __init__(self, root: Path) -> None:
        """Open ``root``; ``OSError`` when it is no directory, or a link to one."""
        self._root = os.open(root, _DIRECTORY)
        self._open = ("", self._root)

    def __enter__(self) -> Self:
        """Give the open directory."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the handles."""
        self._switch("", self._root)
        os.close(self._root)

    def is_empty(self) -> bool:
        """Tell whether nothing is in the directory yet."""
        return not os.listdir(self._root)  # noqa: PTH208 (a handle, no path)

    def make_dir(self, path: str, mode: int) -> None:
        """Make one directory; ``FileExistsError`` when the name is taken."""
        parent, _, name = path.rpartition("/")
        handle = self._parent(parent)
        os.mkdir(name, 0o700, dir_fd=handle)
        os.chmod(name, mode, dir_fd=handle)

    def write(self, path: str, mode: int, pieces: Iterable[bytes]) -> None:
        """Make one file of ``pieces``; ``FileExistsError`` when the name is taken, by a link too."""
        parent, _, name = path.rpartition("/")
        handle = os.open(name, _NEW_FILE, 0o600, dir_fd=self._parent(parent))
        with os.fdopen(handle, "wb", buffering=0) as stream:
            for piece in pieces:
                _write_all(stream.fileno(), piece)
            os.fchmod(stream.fileno(), mode)

    def _parent(self, path: str) -> int:
        """Return a handle of the directory ``path``, opened part by part; the last one is kept for its siblings."""
        if path != self._open[0]:
            self._switch("", self._root)
            handle = self._root
            for part in path.split("/") if path else ():
                handle = os.open(part, _DIRECTORY, dir_fd=handle)
                self._switch(path, handle)
            self._open = (path, handle)
        return self._open[1]

    def _switch(self, path: str, handle: int) -> None:
        """Keep ``handle`` as the open directory and close the one before."""
        before = self._open[1]
        self._open = (path, handle)
        if before not in {self._root, handle}:
            os.close(before)


def _write_all(handle: int, data: bytes) -> None:
    """Write all of ``data``: a nearly full disk takes a part first and fails only then."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
