"""Downloads that take too long, are cancelled, or meet a host that fails."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.fetch import DownloadLimits, SourceFailed, fetch_target, is_transient
from fleetroll_common.durable import files
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

from tests.faults.sources import DATA, Source, Target, beside, fetch, interrupted


async def test_a_piece_that_took_longer_than_the_stall_limit_ends_the_call(dest: Path) -> None:
    clock = FakeClock()
    with pytest.raises(AgentError) as caught:
        await fetch(Source(clock=clock, seconds_per_piece=30.0), dest, clock)
    assert caught.value.details["reason"] == "no byte came for 30 s"


async def test_steady_pieces_just_below_the_stall_limit_are_accepted(dest: Path) -> None:
    clock = FakeClock()
    await fetch(Source(clock=clock, seconds_per_piece=27.0), dest, clock, slowest_bytes_per_second=37)
    assert dest.read_bytes() == DATA


async def test_a_trickle_is_ended_by_the_overall_limit(dest: Path) -> None:
    clock = FakeClock()
    with pytest.raises(AgentError) as caught:
        await fetch(Source(piece=100, clock=clock, seconds_per_piece=7.0), dest, clock, base_seconds=40.0)
    assert caught.value.details["reason"] == "it took longer than 40 s"
    assert int(caught.value.details["received_bytes"]) > 0


async def test_empty_pieces_are_no_progress(dest: Path) -> None:
    clock = FakeClock()

    class Empty:
        async def open(self, path: str, offset: int) -> AsyncIterator[bytes]:
            while True:
                clock.advance(7.0)
                yield b""

    with pytest.raises(AgentError) as caught:
        await fetch_target(Empty(), Target(), dest, clock)
    assert caught.value.details["reason"] == "no byte came for 30 s"


async def test_a_source_that_says_nothing_is_left_after_the_stall_limit(dest: Path) -> None:
    source = Source(hang_at=2000)
    with pytest.raises(AgentError) as caught:
        await fetch(source, dest, stall_seconds=0.02)
    assert caught.value.details["received_bytes"] == "2000"
    assert source.closed == 1


def test_the_overall_limit_grows_with_the_size() -> None:
    limits = DownloadLimits()
    assert limits.overall_seconds(0) == 300
    assert limits.overall_seconds(64 * 1024 * 60) == 360


@pytest.mark.parametrize(
    ("cap", "seconds"), [(None, 64.0), (1024 * 1024, 64.0), (128 * 1024, 64.0), (64 * 1024, 128.0)]
)
def test_a_cap_below_twice_the_slowest_rate_makes_the_overall_limit_longer(cap: int | None, seconds: float) -> None:
    assert DownloadLimits().overall_seconds(4 * 1024 * 1024, cap) == 300 + seconds


async def test_a_cancelled_download_keeps_its_part_and_closes_everything(dest: Path) -> None:
    source = Source(hang_at=2000)
    task = asyncio.ensure_future(fetch(source, dest))
    part = dest.with_name(f"{dest.name}.part")
    while not part.exists() or part.stat().st_size < 2000:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.closed == 1
    again = Source()
    await fetch(again, dest)
    assert again.offsets == [2000]


async def test_a_cancellation_that_comes_together_with_a_piece_is_not_lost(dest: Path) -> None:
    task: asyncio.Future[Path]

    class Canceller(Source):
        async def open(self, path: str, offset: int) -> AsyncIterator[bytes]:
            yield DATA[:1000]
            task.cancel()
            yield DATA[1000:]

    task = asyncio.ensure_future(fetch(Canceller(), dest))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not dest.exists()


async def test_a_source_that_complains_while_it_is_closed_is_not_heard(dest: Path) -> None:
    class Sulking(Source):
        async def open(self, path: str, offset: int) -> AsyncIterator[bytes]:
            try:
                yield DATA[:1000]
                await asyncio.Event().wait()
            finally:
                raise SourceFailed("sulking")

    with pytest.raises(AgentError) as caught:
        await fetch(Sulking(), dest, stall_seconds=0.02)
    assert caught.value.code == "DOWNLOAD_FAILED"


async def test_progress_is_told_after_each_piece(dest: Path) -> None:
    told: list[int] = []
    await fetch_target(Source(piece=4000), Target(), dest, FakeClock(), on_bytes=told.append)
    assert told == [4000, 8000, 10240]


async def test_a_full_disk_is_named_and_the_part_gives_its_space_back(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "no space")

    await interrupted(dest, 3000)
    monkeypatch.setattr("fleetroll_agent.fetch.partial.os.write", full)
    with pytest.raises(AgentError) as caught:
        await fetch(Source(), dest)
    monkeypatch.undo()
    assert caught.value.code == "DISK_FULL"
    assert is_transient(caught.value)
    assert beside(dest) == set()


async def test_a_disk_that_cannot_sync_gives_no_final_name(dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync
    part = dest.with_name(f"{dest.name}.part")

    def fail(handle: int) -> None:
        if os.fstat(handle).st_size == len(DATA):
            raise OSError(errno.EIO, "broken")
        real(handle)

    monkeypatch.setattr("fleetroll_agent.fetch.partial.os.fsync", fail)
    with pytest.raises(AgentError) as caught:
        await fetch(Source(), dest)
    monkeypatch.undo()
    assert caught.value.code == "INTERNAL"
    assert not dest.exists()
    assert part.exists()


async def test_the_final_name_comes_after_the_bytes_are_durable(dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    real_sync, real_replace, real_dir = os.fsync, type(dest).replace, files.sync_dir

    def sync(handle: int) -> None:
        if os.fstat(handle).st_size == len(DATA):
            order.append("bytes")
        real_sync(handle)

    def replace(source: Path, target: Path) -> Path:
        if target == dest:
            order.append("name")
        return real_replace(source, target)

    def sync_dir(path: Path) -> None:
        order.append("folder")
        real_dir(path)

    monkeypatch.setattr("fleetroll_agent.fetch.partial.os.fsync", sync)
    monkeypatch.setattr(type(dest), "replace", replace)
    monkeypatch.setattr("fleetroll_agent.fetch.partial.sync_dir", sync_dir)
    await fetch(Source(), dest)
    assert order == ["bytes", "name", "folder"]


@pytest.mark.parametrize(
    ("code", "again"),
    [
        (Code.DOWNLOAD_FAILED, True),
        (Code.DISK_FULL, True),
        (Code.LOCKED, True),
        (Code.UNAVAILABLE, True),
        (Code.WRONG_HASH, False),
        (Code.UNSIGNED, False),
        (Code.WRONG_PLATFORM, False),
        (Code.HOSTILE_ARCHIVE, False),
        (Code.INTERNAL, False),
    ],
)
def test_network_space_and_locks_are_worth_another_try_and_nothing_else(code: Code, *, again: bool) -> None:
    assert is_transient(FleetrollError("x", code=code)) is again
