"""Downloads that are cut anywhere, by a source, a kill or a power cut, and go on without a byte too many."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from contextlib import suppress
from enum import Enum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_agent.fetch import fetch_target
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.errors import AgentError
from tests.faults.downloading import DATA_LARGE, LINE, PIECE, TARGET
from tests.faults.sources import DATA, Source, Target, beside, fetch, interrupted

ROOT = Path(__file__).resolve().parents[3]


class Loss(Enum):
    """What a power cut or another hand made of the part."""

    SHORTER = "the last bytes never reached the disk"
    ZEROS = "the length reached the disk, the last bytes did not"
    EMPTY = "the file is there, nothing in it"
    GONE = "the name is gone"
    LONGER = "there is more than the target has"
    OTHER = "it is the part of another target"
    NOTELESS = "nobody knows what it is a part of"


def spoil(dest: Path, loss: Loss, at: int) -> int:
    """Change the part at the byte ``at`` of it; return how many of its bytes may be used again."""
    part, note = dest.with_name(f"{dest.name}.part"), dest.with_name(f"{dest.name}.note")
    size = part.stat().st_size
    kept = min(at, size)
    if loss in {Loss.SHORTER, Loss.EMPTY}:
        kept = kept if loss is Loss.SHORTER else 0
        os.truncate(part, kept)
    elif loss is Loss.ZEROS:
        part.write_bytes(DATA[:kept] + bytes(size - kept))
        kept = size if DATA[kept:size] == bytes(size - kept) else 0
    elif loss is Loss.GONE:
        part.unlink()
        kept = 0
    elif loss is Loss.LONGER:
        part.write_bytes(DATA + bytes(at + 1))
        kept = 0
    else:
        note.unlink()
        kept = 0
    return kept


async def other_part(dest: Path, at: int) -> None:
    """Leave a part of ``at`` bytes of another target under the same name."""
    other = bytes(reversed(DATA))
    target = Target(length=len(other), sha256=hashlib.sha256(other).hexdigest())
    with pytest.raises(AgentError):
        await fetch_target(Source(other, piece=at, fail_at=at), target, dest, FakeClock())


@given(cuts=st.lists(st.integers(0, len(DATA)), max_size=4), piece=st.integers(37, 3000))
async def test_a_source_that_breaks_again_and_again_sends_every_byte_once(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], piece: int
) -> None:
    """However often and wherever the line breaks, the pieces add up to the file."""
    dest, sent = tmp_path_factory.mktemp("cache") / "x", 0
    for cut in cuts:
        source = Source(piece=piece, fail_at=cut)
        with suppress(AgentError):
            await fetch(source, dest)
        sent += source.sent
    last = Source(piece=piece)
    await fetch(last, dest)
    assert dest.read_bytes() == DATA
    assert sent + last.sent == len(DATA)


@given(first=st.integers(1, len(DATA) - 1), at=st.integers(0, len(DATA)), loss=st.sampled_from(Loss))
async def test_a_part_that_is_damaged_in_any_way_is_used_as_far_as_it_is_right_or_replaced(
    tmp_path_factory: pytest.TempPathFactory, first: int, at: int, loss: Loss
) -> None:
    """No damage of the part ends in wrong bytes under the right name, or in blame for the source."""
    dest = tmp_path_factory.mktemp("cache") / "x"
    if loss is Loss.OTHER:
        await other_part(dest, first)
        kept = 0
    else:
        await interrupted_at(dest, first)
        kept = spoil(dest, loss, at)
    size = dest.with_name("x.part").stat().st_size if loss is Loss.ZEROS else kept
    source = Source(piece=1000)
    await fetch(source, dest)
    assert dest.read_bytes() == DATA
    assert beside(dest) == {"x"}
    assert source.sent == len(DATA) - size + (len(DATA) if loss is Loss.ZEROS and not kept else 0)


async def interrupted_at(dest: Path, at: int) -> None:
    """Leave a part of exactly ``at`` bytes."""
    with pytest.raises(AgentError):
        await fetch(Source(piece=at, fail_at=at), dest)


async def test_a_process_that_is_killed_while_it_writes_leaves_a_part_that_the_next_goes_on_with(
    tmp_path: Path,
) -> None:
    """Kill -9 at five places of one download: no byte that lay on the disk is fetched again, and none is wrong."""
    dest = tmp_path / "large"
    part = dest.with_name("large.part")
    sizes = [0]
    for share in (0.001, 0.2, 0.5, 0.7, 0.9):
        kill_when_it_is_at(dest, int(share * len(DATA_LARGE)))
        assert not dest.exists()
        sizes.append(part.stat().st_size)
    assert sizes == sorted(set(sizes))
    source = Source(DATA_LARGE, PIECE)
    await fetch_target(source, TARGET, dest, FakeClock())
    assert source.offsets == [sizes[-1]]
    assert dest.read_bytes() == DATA_LARGE


def kill_when_it_is_at(dest: Path, size: int) -> None:
    """Run a download and kill it once it has told of ``size`` bytes; it goes on writing meanwhile."""
    command = [sys.executable, "-m", "tests.faults.downloading", str(dest)]
    paths = [str(ROOT), *(str(ROOT / name) for name in ("agent", "common", "generated"))]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=ROOT, bufsize=0) as child:
        while int(child.stdout.read(LINE)) < size:
            pass
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL


async def test_a_kill_between_the_last_byte_and_the_name_costs_no_byte(dest: Path) -> None:
    """What is whole but has no name yet is hashed, and gets it."""
    await interrupted(dest, 5000)
    dest.with_name(f"{dest.name}.part").write_bytes(DATA)
    source = Source()
    await fetch(source, dest)
    assert source.offsets == []
    assert beside(dest) == {dest.name}
