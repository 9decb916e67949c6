"""The file of a backup: what is damaged, cut off, moved or of another file is found, and nothing of it is believed."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.keys import Cost, Passphrase
from fleetroll_server.upkeep import backup_format
from fleetroll_server.upkeep.backup_format import BackupReader, BackupWriter

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = Passphrase("a good passphrase", Cost(1, 8192))
BODIES = [bytes([number]) * 3000 for number in range(20)]


@pytest.fixture(autouse=True)
def small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_format, "FRAME_BYTES", 64)


@pytest.fixture(params=["sealed", "plain"])
def passphrase(request: pytest.FixtureRequest) -> Passphrase | None:
    return SECRET if request.param == "sealed" else None


def written(passphrase: Passphrase | None, bodies: list[bytes] = BODIES) -> bytes:
    file = io.BytesIO()
    writer = BackupWriter(file, {"taken_at": "now"}, passphrase)
    for number, body in enumerate(bodies):
        writer.add({"kind": "rows", "number": number}, body)
    writer.close()
    return file.getvalue()


def read(data: bytes, passphrase: Passphrase | None) -> list[bytes]:
    reader = BackupReader(io.BytesIO(data), passphrase)
    assert reader.facts["taken_at"] == "now"
    return [record.body for record in reader.records()]


def frames(data: bytes) -> tuple[bytes, list[bytes]]:
    """The header, and each frame with its length."""
    header, _, rest = data.partition(b"\n")
    found = []
    while rest:
        size = 4 + int.from_bytes(rest[:4], "big")
        found.append(rest[:size])
        rest = rest[size:]
    return header + b"\n", found


def test_what_was_written_is_read(passphrase: Passphrase | None) -> None:
    data = written(passphrase)
    assert read(data, passphrase) == BODIES
    assert len(frames(data)[1]) > 3


def test_an_encrypted_one_shows_nothing_of_what_it_holds() -> None:
    assert b"rows" not in written(SECRET, [b"rows" * 9])


CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "a frame is missing": lambda all_: [all_[0], *all_[2:]],
    "the first frame is missing": lambda all_: all_[1:],
    "the last frame is missing": lambda all_: all_[:-1],
    "two frames are exchanged": lambda all_: [all_[1], all_[0], *all_[2:]],
    "a frame comes twice": lambda all_: [all_[0], *all_],
    "the last frame comes twice": lambda all_: [*all_, all_[-1]],
    "something follows": lambda all_: [*all_, b"more"],
    "a bit is another": lambda all_: [all_[0], all_[1][:-1] + bytes([all_[1][-1] ^ 1]), *all_[2:]],
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_file_is_no_backup(passphrase: Passphrase | None, what: str) -> None:
    header, all_ = frames(written(passphrase))
    with pytest.raises(RequestError, match="no whole backup"):
        read(header + b"".join(CHANGES[what](all_)), passphrase)


def test_it_is_cut_off_at_any_byte(passphrase: Passphrase | None) -> None:
    data = written(passphrase, BODIES[:2])
    for size in range(len(data)):
        with pytest.raises(RequestError):
            read(data[:size], passphrase)


def test_a_frame_of_another_file_is_none_of_this_one() -> None:
    header, all_ = frames(written(None))
    other = BackupWriter(io.BytesIO(), {"taken_at": "then"}, None)
    stolen = other._frames.seal(0, b"x", last=False)
    with pytest.raises(RequestError):
        read(header + len(stolen).to_bytes(4, "big") + stolen + b"".join(all_[1:]), None)


@pytest.mark.parametrize(
    ("made", "given", "says"),
    [
        (SECRET, None, "encrypted"),
        (None, SECRET, "not encrypted"),
        (SECRET, Passphrase("another passphrase", Cost(1, 8192)), "passphrase"),
    ],
)
def test_the_wrong_passphrase_is_said(made: Passphrase | None, given: Passphrase | None, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        read(written(made), given)


@pytest.mark.parametrize("data", [b"", b"\n", b"x" * 9000, b'{"crc32":"00000000","record":{}}\n'])
def test_what_is_no_backup_at_all_is_refused(data: bytes) -> None:
    with pytest.raises(RequestError, match="no whole backup"):
        read(data, SECRET)
