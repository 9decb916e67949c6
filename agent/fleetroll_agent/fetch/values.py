"""What a download is told, where its bytes come from, and which of its failures are worth another try."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fleetroll_common.values.errors import FleetrollError

_TRANSIENT = frozenset({Code.DOWNLOAD_FAILED, Code.DISK_FULL, Code.LOCKED, Code.UNAVAILABLE})
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


class TargetSource(Protocol):
    """Where bytes come from. Nothing that it says is believed."""

    def open(self, path: str, offset: int) -> AsyncIterator[bytes]:
        """Yield the bytes of the target ``path`` from ``offset`` on, in pieces of at most 1 MiB.

        Raises:
            SourceFailed: it can't, or can't go on (while iterating).
        """


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """How long one call may take; the numbers are the fleet's defaults for the state DOWNLOADING.

    Attributes:
        stall_seconds: without a byte for so long, the connection is given up.
        base_seconds: what every download may take.
        slowest_bytes_per_second: the rate below which a download is too slow, whatever its size.
    """

    stall_seconds: float = 30.0
    base_seconds: float = 300.0
    slowest_bytes_per_second: int = 64 * 1024

    def overall_seconds(self, length: int) -> float:
        """Return how long a download of ``length`` bytes may take."""
        return self.base_seconds + length / self.slowest_bytes_per_second


def is_transient(error: FleetrollError) -> bool:
    """Tell whether another try may succeed without anybody changing the release."""
    return error.code in _TRANSIENT
