"""Downloads from sources that break, stall, lie and flood."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_agent.fetch import SourceFailed, fetch_target, is_transient
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, TrustError

if TYPE_CHECKING:
    from pathlib import Path

from tests.faults.sources import DATA, PATH, Source, Target, beside, fetch, interrupted


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
