"""A minute of archives that are bent at random, each refused in the extractor's own words or written as signed.

``make fuzz MINUTES=10 SEED=1`` does it for longer. The seed is fixed here: what is found by chance is found by hand.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from fleetroll_agent.unpack import unpack
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import TrustError
from tests.attacks.archives.fuzzing import bends, frames, judge
from tests.attacks.archives.fuzzing.judge import Fault, Ground
from tests.faults.archives import HERE, compress, honest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 60.0
LEAST_ARCHIVES = 500
"""A slow machine that is busy with other things makes more."""

# The file takes a minute, and begins first; a longer run is bounded by its own time.
pytestmark = [pytest.mark.long, pytest.mark.timeout(24 * 3600)]


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program."""
    command = [sys.executable, "-m", "tests.attacks.archives.fuzzing.run", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


def test_a_minute_of_bent_archives_makes_no_fault() -> None:
    minutes, seed = os.environ.get("MINUTES"), os.environ.get("SEED") or "1"
    seconds = float(minutes) * 60 if minutes else SECONDS
    ended = fuzz("--seconds", str(seconds), "--seed", seed)
    assert ended.returncode == 0, ended.stderr[-4000:] + ended.stdout
    found = re.search(r"seed \d+, (\d+) archives in .*HOSTILE_ARCHIVE (\d+).*taken (\d+); faults 0", ended.stdout)
    assert found, ended.stdout
    made, refused, taken = map(int, found.groups())
    assert made >= LEAST_ARCHIVES
    # Neither everything nor nothing is refused: both halves of the judgement were put to use.
    assert refused > made / 3
    assert taken > made / 50
    print(ended.stdout, end="")


def test_a_case_is_made_again_by_its_number() -> None:
    for number in range(40):
        one, same = (bends.make(Random(f"7:{number}")) for _ in range(2))
        assert (one.raw, one.told, one.archive.signed) == (same.raw, same.told, same.archive.signed)


def test_what_one_process_makes_another_makes_too() -> None:
    one, same = (fuzz("--seconds", "30", "--seed", "3", "--first", "5", "--count", "60") for _ in range(2))
    assert one.returncode == 0, one.stderr
    assert re.sub(r"in \d+ s", "", one.stdout) == re.sub(r"in \d+ s", "", same.stdout)


def test_the_bomb_is_one(tmp_path: Path) -> None:
    assert len(frames.bomb()) < 32_768
    assert zstandard.get_frame_parameters(frames.bomb()).window_size <= 2 * 1024 * 1024
    made = sum(len(piece) for piece in zstandard.ZstdDecompressor().read_to_iter(frames.bomb()))
    assert made == frames.BOMB_BYTES


def test_a_frame_that_was_made_by_hand_is_read_as_any() -> None:
    tar = honest().tar()
    assert zstandard.ZstdDecompressor().decompressobj().decompress(frames.stored(tar)) == tar


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """Return a place for the judge."""
    return Ground(tmp_path)


def judged(ground: Ground, monkeypatch: pytest.MonkeyPatch, bad: Callable[..., object]) -> str:
    """Judge an extractor by an honest archive."""
    monkeypatch.setattr(judge, "unpack", bad)
    archive = honest()
    return ground.judge(compress(archive.tar()), archive.custom())


def _refusing(said: str, code: Code = Code.HOSTILE_ARCHIVE, remedy: str = "do") -> Callable[..., None]:
    def bad(*_arguments: Any, **_names: Any) -> None:
        raise TrustError(said, code=code, remedy=remedy)

    return bad


def _leaving(archive: Path, into: Path, **_names: Any) -> None:
    (into / "rest").write_text("x")
    _refusing("no")()


def _outside(archive: Path, into: Path, **_names: Any) -> None:
    (into.parent / "evil").write_text("x")
    (into.parent / "evil").unlink()
    _refusing("no")()


def _nothing(*_arguments: Any, **_names: Any) -> None:
    """Take it, and write nothing."""


def _linking(archive: Path, into: Path, **_names: Any) -> None:
    (into / "entry.py").symlink_to(archive)


def _crashing(*_arguments: Any, **_names: Any) -> None:
    raise MemoryError


BAD: dict[str, tuple[Callable[..., object], str]] = {
    "leaves something": (_leaving, "left"),
    "writes outside for a moment": (_outside, "around the draft"),
    "writes nothing": (_nothing, "not what was signed"),
    "makes a link": (_linking, "neither file nor folder"),
    "fails in another way": (_crashing, "no refusal but MemoryError"),
    "says it with control characters": (_refusing("\x1b[2J"), "a refusal that is none"),
    "says it with letters that look like others": (_refusing("\u0435vil"), "a refusal that is none"),
    "says it with another code": (_refusing("no", Code.INTERNAL), "a refusal that is none"),
    "says very much": (_refusing("x" * 2000), "characters"),
}


@pytest.mark.parametrize("kind", BAD)
def test_the_judge_sees_an_extractor_that(ground: Ground, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    bad, found = BAD[kind]
    with pytest.raises(Fault, match=found):
        judged(ground, monkeypatch, bad)


def test_the_judge_sees_an_archive_that_must_not_be_taken(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """An extractor that does not look at the end: what it wrote is right, and the archive is not."""
    archive, real = honest(), unpack

    def careless(path: Path, into: Path, **names: Any) -> None:
        path.write_bytes(compress(archive.tar()))
        real(path, into, **names)

    monkeypatch.setattr(judge, "unpack", careless)
    with pytest.raises(Fault, match="not one whole frame"):
        ground.judge(compress(archive.tar()) + compress(b"evil"), archive.custom())


def test_the_judge_takes_what_the_extractor_rightly_takes(ground: Ground) -> None:
    archive = honest()
    assert ground.judge(compress(archive.tar()), archive.custom()) == "taken"
    assert ground.judge(b"", archive.custom()) == "HOSTILE_ARCHIVE"
    assert archive.custom().platform == HERE
    shutil.rmtree(ground.root)
