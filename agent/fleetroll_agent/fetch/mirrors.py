"""Mirrors: where an admin lets hosts fetch artefacts from, beside the server. A mirror is a source like any other."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from fleetroll_agent.fetch.files import FileReader
from fleetroll_agent.fetch.patterns import file_path, parse_pattern
from fleetroll_agent.fetch.values import Skipped
from fleetroll_agent.fetch.web import WebReader
from fleetroll_agent.fetch.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class Reader(Protocol):
    """One target of one mirror. ``begin``, ``read`` and ``close`` block, in one thread; ``leave`` does not."""

    def begin(self, offset: int) -> int:
        """Find the bytes from ``offset`` on; return how many come before them."""

    def read(self) -> bytes:
        """Return the next bytes; empty at the end."""

    def leave(self) -> None:
        """Make a read in another thread end soon, where that is possible."""

    def close(self) -> None:
        """Give back what is open."""


class MirrorSource:
    """A mirror, by the pattern of its addresses."""

    def __init__(self, pattern: str, cap: int | None = None) -> None:
        """Take ``pattern``, an address with ``{path}`` in place of a target's path.

        Args:
            pattern: as it stands in the settings.
            cap: the host's bandwidth cap in bytes per second, so that not even the system reads ahead of it;
                None = no cap.

        Raises:
            RequestError: INVALID_ARGUMENT: it is no such address (whoever wrote it).
        """
        self._pattern = parse_pattern(pattern)
        self._cap = cap

    @property
    def name(self) -> str:
        """Return the pattern."""
        return self._pattern.text

    def open(self, path: str, offset: int) -> AsyncIterator[bytes]:
        """Yield the bytes of the target ``path`` from ``offset`` on; what comes before them as :class:`Skipped`.

        Raises:
            SourceFailed: the mirror can't, or can't go on.
        """
        return pieces(lambda: reader_of(self._pattern.url(path), self._cap), offset)


def reader_of(url: str, cap: int | None = None) -> Reader:
    """Return what reads the file at an address of a mirror, under a cap in bytes per second; None = no cap."""
    return FileReader(file_path(url)) if url.startswith("file:") else WebReader(url, cap)


async def pieces(make: Callable[[], Reader], offset: int) -> AsyncIterator[bytes]:
    """Yield the bytes of a reader from ``offset`` on, read in a thread; what comes before them as :class:`Skipped`.

    Raises:
        SourceFailed: it can't be made, can't begin, or can't go on.
    """
    reader = make()
    worker = Worker("fleetroll-mirror")
    try:
        skip = await worker.do(partial(reader.begin, offset))
        while piece := await worker.do(reader.read):
            if skip:
                yield Skipped(piece[:skip])
            if len(piece) > skip:
                yield piece[skip:]
            skip = max(0, skip - len(piece))
    finally:
        reader.leave()
        worker.end(reader.close)
