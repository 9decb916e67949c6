"""Whatever is done to an archive: it is refused and leaves nothing, or what it leaves is what its manifest lists."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import event, given
from hypothesis import strategies as st

from fleetroll_agent.unpack import unpack
from fleetroll_common.values.errors import TrustError
from tests.faults.archives import CONTENT, HERE, Archive, compress, honest, snapshot

TAR = honest().tar()
MEMBERS = len(honest().members)

flips = st.tuples(st.just("flip"), st.integers(0, len(TAR) - 1), st.integers(1, 255))
cuts = st.tuples(st.just("cut"), st.integers(0, len(TAR) - 1), st.integers(1, 1024))
blocks = st.tuples(st.just("copy"), st.integers(0, len(TAR) // 512 - 1), st.integers(0, len(TAR) // 512 - 1))
inserts = st.tuples(st.just("insert"), st.integers(0, len(TAR) - 1), st.binary(min_size=1, max_size=600))
changes = st.lists(st.one_of(flips, cuts, blocks, inserts), min_size=1, max_size=4)


def mutate(tar: bytes, steps: list[tuple[str, int, int | bytes]]) -> bytes:
    """Apply the steps."""
    work = bytearray(tar)
    for name, at, argument in steps:
        if name == "flip" and at < len(work):
            work[at] ^= int(argument)
        elif name == "cut":
            del work[at : at + int(argument)]
        elif name == "copy":
            work[at * 512 : at * 512 + 512] = tar[int(argument) * 512 : int(argument) * 512 + 512]
        elif isinstance(argument, bytes):
            work[at:at] = argument
    return bytes(work)


def outcome(raw: bytes, expected: Archive, signed_tar: bytes | None = None) -> dict[str, str] | None:
    """Unpack ``raw``; return what was written, or None when it was refused. Around it nothing may change."""
    root = Path(tempfile.mkdtemp(prefix="fleetroll-fuzz-"))
    try:
        (root / "into").mkdir()
        (root / "archive").write_bytes(raw)
        before = snapshot(root)
        custom = expected.custom()
        if signed_tar is not None:
            custom = Archive(expected.members, signed=_numbers(signed_tar)).custom()
        try:
            unpack(root / "archive", root / "into", expected=custom, platform=HERE)
        except TrustError:
            assert snapshot(root) == before
            return None
        written = snapshot(root / "into")
        around = {path: kind for path, kind in snapshot(root).items() if not path.startswith("into/")}
        assert around == before
        return written
    finally:
        shutil.rmtree(root)


def _numbers(tar: bytes) -> dict[str, object]:
    """Return the facts that a publisher would sign about exactly this tar; the manifest is where it always is."""
    import hashlib  # noqa: PLC0415 (one use)

    size = (
        int(tar[124:135], 8) if tar[124:135].isdigit() and b"8" not in tar[124:135] and b"9" not in tar[124:135] else 0
    )
    return {
        "tar_sha256": hashlib.sha256(tar).hexdigest(),
        "tar_bytes": max(1, len(tar)),
        "manifest_sha256": hashlib.sha256(tar[512 : 512 + size]).hexdigest(),
    }


@given(changes)
def test_a_mutated_tar_is_refused_or_harmless_even_when_its_own_numbers_are_signed(
    steps: list[tuple[str, int, int | bytes]],
) -> None:
    tar = mutate(TAR, steps)
    written = outcome(compress(tar), honest(), tar)
    event("taken" if written else "refused")
    if written is not None:
        assert tar == TAR
        assert set(written) == {*CONTENT, "MANIFEST", "pkg"}


@given(changes)
def test_a_mutated_tar_is_refused_under_the_honest_signature(steps: list[tuple[str, int, int | bytes]]) -> None:
    tar = mutate(TAR, steps)
    assert (outcome(compress(tar), honest()) is not None) == (tar == TAR)


@given(st.binary(max_size=400), st.integers(0, 400))
def test_mutated_compression_is_refused(noise: bytes, at: int) -> None:
    whole = compress(TAR)
    raw = whole[:at] + noise + whole[at + len(noise) :]
    written = outcome(raw, honest())
    assert (written is not None) == (raw == whole)
