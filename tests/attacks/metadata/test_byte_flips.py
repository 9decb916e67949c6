"""One byte changed on the way, anywhere, in any file: never taken for the signed one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.trust.library import DeserializationError
from fleetroll_common.trust.updater import require_plain
from fleetroll_common.values.codes import Code
from tests.faults.repositories import Host, Repository

REASONS = (Code.METADATA_INVALID, Code.UNSIGNED, Code.METADATA_MIXED)
LISTS = ("timestamp.json", "snapshot.json", "targets.json", "floor.json", "root_history/2.root.json")


def newer() -> Repository:
    """Make a repository in which every file is new to the host, and one description has a letter beyond ASCII."""
    repository = Repository()
    repository.signed_by_thief("targets", lambda _: None)
    repository.adopt()
    repository.rotate_online("second ")

    def accent(role: object) -> None:
        role.targets["agent/1.0.0/linux-x86_64-cp311.tar.zst"].unrecognized_fields["custom"]["notes"] = "é"  # type: ignore[attr-defined]

    repository.signed_by_thief("products/agent", accent)
    repository.adopt()
    return repository


OLD = Repository()
NEW = newer()
FILES = {
    "root": "2.root.json",
    "timestamp": "timestamp.json",
    "snapshot": "5.snapshot.json",
    "targets": "2.targets.json",
    "products/agent": "3.products%2Fagent.json",
}


def refuse_flipped(role: str, position: int, flip: int) -> None:
    name = FILES[role]
    data = bytearray(NEW.files[name])
    data[position % len(data)] ^= flip
    with tempfile.TemporaryDirectory() as folder:
        host = Host(Path(folder), OLD)
        host.update()
        host.client._source = host.source = other = Repository()
        other.files = NEW.files
        other.forged = {name: bytes(data)}
        host.refuses(*REASONS, kept=LISTS, lists=role != "products/agent")


@pytest.mark.parametrize("role", FILES)
def test_the_unchanged_files_are_accepted(tmp_path: Path, role: str) -> None:
    """Else the tests below would prove nothing."""
    host = Host(tmp_path, OLD)
    host.update()
    host.client._source = NEW
    assert host.update() == ("1.0.0",)
    assert FILES[role] in NEW.files


@pytest.mark.timeout(300)
@given(role=st.sampled_from(sorted(FILES)), position=st.integers(0, 2**20), flip=st.integers(1, 255))
def test_any_changed_byte_is_refused(role: str, position: int, flip: int) -> None:
    refuse_flipped(role, position, flip)


@pytest.mark.parametrize("role", ["root", "timestamp"])
def test_every_letter_in_the_other_case_is_refused(role: str) -> None:
    """The one change that lenient readers forgive (hex digits, dates), in the two files that no list has a hash of."""
    data = NEW.files[FILES[role]]
    letters = [index for index, byte in enumerate(data) if chr(byte).isalpha()]
    date = data.index(b'"expires"')
    chosen = letters[::13] + [index for index in letters if date + 9 < index < date + 34]
    assert len(chosen) > 12
    for position in chosen:
        refuse_flipped(role, position, 0x20)


@pytest.mark.parametrize(
    "data", [b"", b"null", b"[]", b"{}", b'{"signed": 1}', b"\xff", b'{"signed": {"_type": "root"}, "signatures": 3}']
)
def test_what_is_no_metadata_is_refused(tmp_path: Path, data: bytes) -> None:
    repository = Repository()
    host = Host(tmp_path, repository)
    host.update()
    repository.forged["timestamp.json"] = data
    host.refuses(Code.METADATA_INVALID)


def test_a_date_in_small_letters_is_another_file() -> None:
    """The metadata library's reader would take it for the signed one."""
    data = NEW.files["timestamp.json"]
    start = data.index(b'"expires"')
    end = data.index(b"Z", start)
    with pytest.raises(DeserializationError):
        require_plain(data[:end] + b"z" + data[end + 1 :])
