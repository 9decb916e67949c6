"""What a download is told, where its bytes come from, and which of its failures are worth another try."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fleetroll_common.values.errors import FleetrollError

TRANSIENT = frozenset({Code.DOWNLOAD_FAILED, Code.DISK_FULL, Code.LOCKED, Code.UNAVAILABLE})
"""Network, space, lock, a busy server: the attempt tries again by itself. A wrong hash gets no second chance."""


class Wanted(Protocol):
    """The signed facts about a target: its path, its length in bytes, its sha256 in lower-case hex."""

    @property
    def path(self) -> str:
        """Return the path among the targets."""

    @property
    def length(self) -> int:
        """Return the length in bytes."""

    @property
    def sha256(self) -> str:
        """Return the hash."""


class SourceFailed(Exception):  # noqa: N818 (what happened, to whom; it becomes a typed error at once)
    """The source can't go on: connection lost, server busy, target not there yet. The message says which."""


class Absent(SourceFailed):
    """The source has no such file, by its own plain word; silence, refusals and faults are something else."""


class Skipped(bytes):
    """Bytes before the offset, from a source that can only begin at the start.

    They are thrown away, but they came over the line: they count for the cap, and they are progress.
    """

    __slots__ = ()


class TargetSource(Protocol):
    """Where bytes come from. Nothing that it says is believed."""

    def open(self, path: str, offset: int) -> AsyncIterator[bytes]:
        """Yield the bytes of the target ``path`` from ``offset`` on, in pieces of at most 1 MiB.

        It reads no further than it is asked for the next piece: whoever waits between two slows the sender down.

        Raises:
            SourceFailed: it can't, or can't go on (while iterating).
        """


@runtime_checkable
class NamedSource(TargetSource, Protocol):
    """One of several sources, with the name by which messages blame it."""

    @property
    def name(self) -> str:
        """Return what a person knows it by, such as the pattern in the settings."""


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """How long one call may take; the numbers are the fleet's defaults for the state DOWNLOADING.

    Attributes:
        stall_seconds: without a byte for so long, the connection is given up.
        base_seconds: what every download may take.
        slowest_bytes_per_second: the rate below which a source is too slow, whatever the target's size.

    Under a bandwidth cap half of it takes the place of a higher ``slowest_bytes_per_second``: the host then does the
    waiting itself, and two downloads may share the cap.
    """

    stall_seconds: float = 30.0
    base_seconds: float = 300.0
    slowest_bytes_per_second: int = 64 * 1024

    def least_bytes_per_second(self, cap: int | None = None) -> float:
        """Return the least rate; ``cap`` in bytes per second, None = no cap."""
        return self.slowest_bytes_per_second if cap is None else min(self.slowest_bytes_per_second, cap / 2)

    def overall_seconds(self, length: int, cap: int | None = None) -> float:
        """Return how long a download of ``length`` bytes may take under ``cap``."""
        return self.base_seconds + length / self.least_bytes_per_second(cap)


def is_transient(error: FleetrollError) -> bool:
    """Tell whether another try may succeed without anybody changing the release."""
    return error.code in TRANSIENT
