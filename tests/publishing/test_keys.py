"""Key files: made once, private, and opened by the right protection alone."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.durable import dump_record
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.keys import Cost, Passphrase, PrivateKey, Protection, SecretKey, load_key, save_key

if TYPE_CHECKING:
    from pathlib import Path

KEY = PrivateKey(bytes(range(32)))
CHEAP = Cost(operations=1, memory_bytes=8192)
WORDS = Passphrase("correct horse", CHEAP)
SECRET = SecretKey(b"s" * 32)
PROTECTIONS = [WORDS, SECRET]


@pytest.mark.parametrize("protection", PROTECTIONS)
def test_a_key_comes_back_as_it_was_saved(tmp_path: Path, protection: Protection) -> None:
    path = tmp_path / "root-1.key"
    save_key(path, KEY, "root", protection)
    assert load_key(path, protection) == KEY


def test_a_file_opens_with_its_own_cost_whatever_the_present_default_is(tmp_path: Path) -> None:
    save_key(tmp_path / "k", KEY, "root", WORDS)
    assert load_key(tmp_path / "k", Passphrase("correct horse")) == KEY


@pytest.mark.parametrize("protection", PROTECTIONS)
def test_a_file_is_private_and_holds_no_seed_in_clear(tmp_path: Path, protection: Protection) -> None:
    path = tmp_path / "k"
    save_key(path, KEY, "products/agent", protection)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert KEY.seed.hex() not in text
    assert KEY.public.keyval["public"] in text
    assert json.loads(text)["record"]["label"] == "products/agent"
    assert [entry.name for entry in tmp_path.iterdir()] == ["k"]


def test_two_files_of_one_key_have_nothing_secret_in_common(tmp_path: Path) -> None:
    boxes = []
    for name in ("a", "b"):
        save_key(tmp_path / name, KEY, "root", WORDS)
        boxes.append(json.loads((tmp_path / name).read_text())["record"])
    assert boxes[0]["box"] != boxes[1]["box"]
    assert boxes[0]["lock"]["salt"] != boxes[1]["lock"]["salt"]


@pytest.mark.parametrize("taken", ["file", "dangling link"])
def test_a_file_is_never_overwritten(tmp_path: Path, taken: str) -> None:
    path = tmp_path / "k"
    if taken == "file":
        path.write_bytes(b"precious")
    else:
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(RequestError) as caught:
        save_key(path, KEY, "root", SECRET)
    assert caught.value.code is Code.ALREADY_EXISTS
    assert path.is_symlink() or path.read_bytes() == b"precious"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("saved", "offered"),
    [
        (WORDS, Passphrase("wrong horse", CHEAP)),
        (WORDS, SECRET),
        (SECRET, WORDS),
        (SECRET, SecretKey(b"t" * 32)),
    ],
)
def test_another_protection_does_not_open_it(tmp_path: Path, saved: Protection, offered: Protection) -> None:
    save_key(tmp_path / "k", KEY, "root", saved)
    with pytest.raises(RequestError) as caught:
        load_key(tmp_path / "k", offered)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert "is not opened" in caught.value.message


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        load_key(tmp_path / "k", SECRET)
    assert caught.value.code is Code.NOT_FOUND


def test_a_damaged_file_is_told_from_a_wrong_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "k"
    save_key(path, KEY, "root", SECRET)
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(RequestError) as caught:
            load_key(path, SECRET)
        assert "is damaged" in caught.value.message


def rewritten(path: Path, **changes: Any) -> None:
    """Change fields of a key file, checksum included, as somebody with an editor of records can."""
    record = json.loads(path.read_text())["record"]
    path.write_bytes(dump_record(record | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "something"},
        {"public": "00" * 32},
        {"box": "00" * 72},
        {"box": 7},
        {"lock": {}},
        {"lock": {"by": "argon2id"}},
        {"lock": {"by": "argon2id", "salt": "00", "operations": 1, "memory_bytes": 8192}},
        {"lock": {"by": "argon2id", "salt": "00" * 16, "operations": 10**9, "memory_bytes": 8192}},
        {"lock": {"by": "argon2id", "salt": "00" * 16, "operations": 1, "memory_bytes": 2**50}},
    ],
)
def test_a_file_that_was_made_up_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    """A cost out of bounds is refused before it is paid."""
    save_key(tmp_path / "k", KEY, "root", WORDS)
    rewritten(tmp_path / "k", **changes)
    with pytest.raises(RequestError) as caught:
        load_key(tmp_path / "k", WORDS)
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("label", "protection"),
    [
        ("", SECRET),
        ("Root", SECRET),
        ("root", Passphrase("short", CHEAP)),
        ("root", Passphrase("long enough", Cost(0, 8192))),
        ("root", Passphrase("long enough", Cost(1, 1))),
        ("root", SecretKey(b"short")),
    ],
)
def test_what_cannot_be_saved_leaves_no_file(tmp_path: Path, label: str, protection: Protection) -> None:
    with pytest.raises(RequestError) as caught:
        save_key(tmp_path / "k", KEY, label, protection)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert list(tmp_path.iterdir()) == []


def test_generated_keys_differ_and_keep_silent() -> None:
    one, two = PrivateKey.generate(), PrivateKey.generate()
    assert one != two
    assert one.seed.hex() not in repr(one)
    assert repr(one.seed) not in repr(one)
    assert "correct" not in repr(WORDS)
    assert "ssss" not in repr(SECRET)


def test_a_seed_of_another_length_is_no_key() -> None:
    with pytest.raises(RequestError):
        PrivateKey(b"short")
