"""Sources of downloads that break, stall, lie and flood."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.fetch import DownloadLimits, SourceFailed, SourcesInTurn, fetch_target
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from fleetroll_agent.fetch import TargetSource

DATA = bytes(range(256)) * 40
PATH = "agent/1.1.0/linux-x86_64-cp311.tar.zst"


@dataclass(frozen=True)
class Target:
    path: str = PATH
    length: int = len(DATA)
    sha256: str = hashlib.sha256(DATA).hexdigest()


@dataclass
class Source:
    """Sends ``data`` in pieces and misbehaves as told."""

    data: bytes = DATA
    piece: int = 1000
    fail_at: int | None = None
    error: BaseException = field(default_factory=lambda: SourceFailed("connection lost"))
    clock: FakeClock | None = None
    seconds_per_piece: float = 0.0
    hang_at: int | None = None
    name: str = "a mirror"
    offsets: list[int] = field(default_factory=list)
    sent: int = 0
    closed: int = 0

    async def open(self, path: str, offset: int) -> AsyncIterator[bytes]:
        assert path == PATH
        self.offsets.append(offset)
        try:
            for at in range(offset, len(self.data), self.piece):
                if self.fail_at is not None and at >= self.fail_at:
                    raise self.error
                if self.hang_at is not None and at >= self.hang_at:
                    await asyncio.Event().wait()
                if self.clock is not None:
                    self.clock.advance(self.seconds_per_piece)
                piece = self.data[at : at + self.piece]
                self.sent += len(piece)
                yield piece
        finally:
            self.closed += 1


async def fetch(
    source: TargetSource | SourcesInTurn, dest: Path, clock: FakeClock | None = None, **limits: float
) -> Path:
    bounds = DownloadLimits(**limits) if limits else None  # type: ignore[arg-type]
    return await fetch_target(source, Target(), dest, clock or FakeClock(), bounds)


def beside(dest: Path) -> set[str]:
    return {path.name for path in dest.parent.iterdir()}


async def interrupted(dest: Path, at: int) -> Source:
    """Leave a part of about ``at`` bytes."""
    source = Source(fail_at=at)
    with pytest.raises(AgentError):
        await fetch(source, dest)
    return source
