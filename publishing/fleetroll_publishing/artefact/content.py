"""What goes into an artefact, before it is one: paths, executable or not, bytes."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path

_EXECUTABLE = 0o755
_PLAIN = 0o644


@dataclass(slots=True)
class Content:
    """Files by path (mode 0o644 or 0o755, bytes) and folders that are to exist although they are empty."""

    files: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    empty_folders: list[str] = field(default_factory=list)

    def add(self, path: str, data: bytes, *, executable: bool = False) -> None:
        """Add one file.

        Raises:
            RequestError: there is one under this path already (caller's fault).
        """
        if path in self.files:
            message = f"artefact: two sources give the file {path}"
            raise RequestError(message, code=Code.ALREADY_EXISTS, remedy="take one of them out", path=path)
        self.files[path] = (_EXECUTABLE if executable else _PLAIN, data)

    def add_file(self, path: str, source: Path) -> None:
        """Add the regular file ``source``: of its mode only the owner's execute bit counts, so no umask shows.

        Raises:
            RequestError: ``source`` is a link, a device or the like, or has set-id bits (caller's fault).
        """
        mode = source.lstat().st_mode
        if not stat.S_ISREG(mode) or mode & (stat.S_ISUID | stat.S_ISGID):
            message = f"artefact: {path} is a link or special file; only plain files and folders can be shipped"
            raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="replace it by a plain file", path=path)
        self.add(path, source.read_bytes(), executable=bool(mode & stat.S_IXUSR))


def read_tree(folder: Path, without: frozenset[str] = frozenset()) -> Content:
    """Return all of ``folder``, but for what has one of the names ``without``, wherever it lies.

    Raises:
        RequestError: it is no folder, or holds something that is neither file nor folder (caller's fault).
    """
    if not folder.is_dir():
        message = f"artefact: {folder.name} is no folder"
        raise RequestError(message, code=Code.NOT_FOUND, remedy="name the folder that holds the product", field="tree")
    content = Content()
    _read_into(content, folder, "", without)
    return content


def _read_into(content: Content, folder: Path, prefix: str, without: frozenset[str]) -> None:
    """Add what is below ``folder``, sorted."""
    children = sorted(child for child in folder.iterdir() if child.name not in without)
    if not children and prefix:
        content.empty_folders.append(prefix.rstrip("/"))
    for child in children:
        path = f"{prefix}{child.name}"
        if child.is_dir() and not child.is_symlink():
            _read_into(content, child, f"{path}/", without)
        else:
            content.add_file(path, child)
