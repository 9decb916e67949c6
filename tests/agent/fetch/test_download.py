"""Downloads from sources that break, stall, lie and flood."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_agent.fetch import DownloadLimits, SourceFailed, fetch_target, is_transient
from fleetroll_common.durable import files
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError, TrustError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

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


async def fetch(source: Source, dest: Path, clock: FakeClock | None = None, **limits: float) -> Path:
    bounds = DownloadLimits(**limits) if limits else None  # type: ignore[arg-type]
    return await fetch_target(source, Target(), dest, clock or FakeClock(), bounds)


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "agent.tar.zst"


def beside(dest: Path) -> set[str]:
    return {path.name for path in dest.parent.iterdir()}


async def interrupted(dest: Path, at: int) -> Source:
    """Leave a part of about ``at`` bytes."""
    source = Source(fail_at=at)
    with pytest.raises(AgentError):
        await fetch(source, dest)
    return source


async def test_the_signed_bytes_get_their_name_and_nothing_else_is_left(dest: Path) -> None:
    source = Source()
    assert await fetch(source, dest) == dest
    assert dest.read_bytes() == DATA
    assert beside(dest) == {dest.name}
    assert source.closed == 1


async def test_what_is_there_already_is_not_fetched_again(dest: Path) -> None:
    await fetch(Source(), dest)
    source = Source()
    await fetch(source, dest)
    assert source.offsets == []


async def test_a_final_file_that_is_damaged_is_fetched_again(dest: Path) -> None:
    dest.write_bytes(DATA[:-1] + b"x")
    await fetch(Source(), dest)
    assert dest.read_bytes() == DATA


async def test_a_broken_download_keeps_its_part_and_says_how_far_it_came(dest: Path) -> None:
    source = Source(fail_at=3000)
    with pytest.raises(AgentError) as caught:
        await fetch(source, dest)
    assert caught.value.code == "DOWNLOAD_FAILED"
    assert is_transient(caught.value)
    assert caught.value.details == {"path": PATH, "received_bytes": "3000", "reason": "connection lost"}
    assert beside(dest) == {f"{dest.name}.part", f"{dest.name}.note"}
    assert source.closed == 1


async def test_it_goes_on_at_the_byte_where_it_broke(dest: Path) -> None:
    await interrupted(dest, 3000)
    source = Source()
    await fetch(source, dest)
    assert source.offsets == [3000]
    assert source.sent == len(DATA) - 3000
    assert dest.read_bytes() == DATA


@given(st.integers(0, len(DATA)), st.integers(1, 3000))
async def test_it_goes_on_at_any_byte(tmp_path_factory: pytest.TempPathFactory, length: int, piece: int) -> None:
    dest = tmp_path_factory.mktemp("cache") / "x"
    await interrupted(dest, 1)
    dest.with_name("x.part").write_bytes(DATA[:length])
    source = Source(piece=piece)
    await fetch(source, dest)
    assert dest.read_bytes() == DATA
    assert source.sent == len(DATA) - length


async def test_a_whole_part_needs_no_source(dest: Path) -> None:
    await interrupted(dest, 1)
    dest.with_name(f"{dest.name}.part").write_bytes(DATA)
    source = Source()
    await fetch(source, dest)
    assert source.offsets == []


async def test_a_part_that_lost_bytes_in_a_power_cut_is_replaced_before_the_source_is_blamed(dest: Path) -> None:
    await interrupted(dest, 4000)
    dest.with_name(f"{dest.name}.part").write_bytes(DATA[:2000] + bytes(2000))
    source = Source()
    await fetch(source, dest)
    assert source.offsets == [4000, 0]
    assert dest.read_bytes() == DATA


@pytest.mark.parametrize("note", [None, b"", b"garbage", b'{"crc32":"00000000","record":{}}\n'])
async def test_a_part_without_a_readable_note_is_thrown_away(dest: Path, note: bytes | None) -> None:
    await interrupted(dest, 4000)
    path = dest.with_name(f"{dest.name}.note")
    if note is None:
        path.unlink()
    else:
        path.write_bytes(note)
    source = Source()
    await fetch(source, dest)
    assert source.offsets == [0]


async def test_a_part_of_another_artefact_is_thrown_away(dest: Path) -> None:
    other = b"other" * 1000
    target = Target(length=len(other), sha256=hashlib.sha256(other).hexdigest())
    with pytest.raises(AgentError):
        await fetch_target(Source(data=other, fail_at=2000), target, dest, FakeClock())
    source = Source()
    await fetch(source, dest)
    assert source.offsets == [0]
    assert dest.read_bytes() == DATA


async def test_a_part_longer_than_the_target_is_thrown_away(dest: Path) -> None:
    await interrupted(dest, 4000)
    dest.with_name(f"{dest.name}.part").write_bytes(DATA + b"x")
    source = Source()
    await fetch(source, dest)
    assert source.offsets == [0]


async def test_a_link_in_place_of_the_part_is_not_written_through(dest: Path, tmp_path: Path) -> None:
    await interrupted(dest, 4000)
    victim = tmp_path / "victim"
    victim.write_bytes(DATA[:100])
    part = dest.with_name(f"{dest.name}.part")
    part.unlink()
    part.symlink_to(victim)
    with pytest.raises(AgentError):
        await fetch(Source(), dest)
    assert victim.read_bytes() == DATA[:100]


async def test_wrong_bytes_are_refused_and_removed(dest: Path) -> None:
    source = Source(data=DATA[:-1] + b"x")
    with pytest.raises(TrustError) as caught:
        await fetch(source, dest)
    assert caught.value.code == "WRONG_HASH"
    assert not is_transient(caught.value)
    assert source.offsets == [0]
    assert beside(dest) == set()


async def test_a_source_that_lies_from_the_middle_on_is_refused_after_one_more_look(dest: Path) -> None:
    await interrupted(dest, 5000)
    source = Source(data=DATA[:-1] + b"x")
    with pytest.raises(TrustError):
        await fetch(source, dest)
    assert source.offsets == [5000, 0]
    assert beside(dest) == set()


async def test_endless_data_ends_at_the_signed_length(dest: Path) -> None:
    source = Source(data=DATA * 50, piece=4096)
    with pytest.raises(TrustError) as caught:
        await fetch(source, dest)
    assert "more than the signed" in str(caught.value)
    assert source.sent <= len(DATA) + 4096
    assert beside(dest) == set()


async def test_bytes_behind_the_signed_length_are_not_even_read(dest: Path) -> None:
    source = Source(data=DATA + b"more" * 1000, piece=len(DATA))
    await fetch(source, dest)
    assert source.sent == len(DATA)
    assert dest.read_bytes() == DATA


async def test_a_source_that_ends_early_may_be_asked_again(dest: Path) -> None:
    with pytest.raises(AgentError) as caught:
        await fetch(Source(data=DATA[:2500]), dest)
    assert caught.value.details["reason"] == "the source ended early"
    assert caught.value.details["received_bytes"] == "2500"


@pytest.mark.parametrize(
    "error", [ConnectionResetError("reset"), OSError("no route"), TimeoutError(), SourceFailed("x")]
)
async def test_every_failure_of_the_network_is_transient_and_never_taken_for_the_disk(
    dest: Path, error: Exception
) -> None:
    with pytest.raises(AgentError) as caught:
        await fetch(Source(fail_at=1000, error=error), dest)
    assert caught.value.code == "DOWNLOAD_FAILED"
    assert caught.value.details["reason"]


async def test_a_refusal_of_the_source_itself_passes_through(dest: Path) -> None:
    refusal = TrustError("revoked", code=Code.NOT_LISTED)
    with pytest.raises(TrustError) as caught:
        await fetch(Source(fail_at=1000, error=refusal), dest)
    assert caught.value is refusal


# --- time ------------------------------------------------------------------------------------------------------------


async def test_a_piece_that_took_longer_than_the_stall_limit_ends_the_call(dest: Path) -> None:
    clock = FakeClock()
    with pytest.raises(AgentError) as caught:
        await fetch(Source(clock=clock, seconds_per_piece=30.0), dest, clock)
    assert caught.value.details["reason"] == "no byte came for 30 s"


async def test_steady_pieces_just_below_the_stall_limit_are_accepted(dest: Path) -> None:
    clock = FakeClock()
    await fetch(Source(clock=clock, seconds_per_piece=27.0), dest, clock)
    assert dest.read_bytes() == DATA


async def test_a_trickle_is_ended_by_the_overall_limit(dest: Path) -> None:
    clock = FakeClock()
    with pytest.raises(AgentError) as caught:
        await fetch(Source(piece=100, clock=clock, seconds_per_piece=29.0), dest, clock)
    assert caught.value.details["reason"] == "it took longer than 300 s"
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


# --- a host that fails -----------------------------------------------------------------------------------------------


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
