"""The artefact of any product but the agent: what a person gives, a folder or one file, and nothing else.

Nothing is run, compiled or stamped. The same source gives the same bytes: of modes only the owner's execute bit counts,
times and owners don't, and what a work tree's ``.git`` holds stays behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.artefact.build import RELEASE_LEVEL, BuiltArtefact, write_artefact
from fleetroll_publishing.artefact.content import Content, read_tree

if TYPE_CHECKING:
    from pathlib import Path

_LEFT_BEHIND = frozenset({".git"})


def build_product_artefact(
    source: Path, out: Path, *, entry_point: str = "", level: int = RELEASE_LEVEL
) -> BuiltArtefact:
    """Build the artefact of ``source`` at ``out``. Blocks: call it in a thread.

    Args:
        source: a folder of plain files and folders, or one file.
        out: the file to make, outside of ``source``; an existing one is replaced.
        entry_point: path of the product's first file in the folder; of one file it is its name.
        level: of compression, 1 to 19.

    Raises:
        RequestError: the source can't be read or shipped, what can't is named; ENTRY_MISSING: it holds no such file, or
            none was named (caller's fault).
    """
    try:
        content, entry = _content(source, out, entry_point)
    except OSError as error:
        message = f"path: {error.filename or source} can't be read: {error.strerror}"
        raise RequestError(message, code=Code.NOT_FOUND, remedy="name a folder or a file", field="path") from error
    return write_artefact(content, out, entry_point=entry, level=level)


def _content(source: Path, out: Path, entry_point: str) -> tuple[Content, str]:
    """Return what is shipped, and its first file."""
    if not source.is_dir():
        content = Content()
        content.add_file(source.name, source)
        return content, entry_point or source.name
    if source.resolve() in out.resolve().parents:
        message = f"out: {out.parent} lies inside of {source}: the next build would ship this one"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="name a folder outside of it", field="out")
    if not entry_point:
        message = "entry_point: a folder does not tell which of its files is the first"
        raise RequestError(message, code=Code.ENTRY_MISSING, remedy="name it with --entry", field="entry_point")
    return read_tree(source, without=_LEFT_BEHIND), entry_point
