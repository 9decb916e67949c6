"""The manifest itself is hostile, signed, and the tar agrees with it to the last byte."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fleetroll_common.values.manifest import Manifest
from tests.faults.archives import CONTENT, EVIL, Arena, entries, forged, member, row, signed_manifest

PATHS = {
    "absolute": "/etc/cron.d/evil",
    "parent": "../witness",
    "parent inside": "entry.py/../../witness",
    "parent at the end": "pkg/..",
    "dot": "./evil",
    "dot inside": "pkg/./evil",
    "empty part": "pkg//evil",
    "slash behind": "evil/",
    "empty": "",
    "back-slash": "pkg\\evil",
    "drive": "C:/evil",
    "alternate stream": "evil.py:hidden",
    "line break": "evil\n.py",
    "nul": "evil\0.py",
    "escape sequence": "\x1b]0;evil",
    "delete character": "evil\x7f",
    "direction override": "evil\u202eyp.py",
    "zero width": "ev\u200bil.py",
    "byte order mark": "\ufeffevil.py",
    "line separator": "evil\u2028.py",
    "look-alike letter": "еvil.py",  # noqa: RUF001 (that is the attack)
    "full-width dots": "\uff0e\uff0e/evil",
    "lone surrogate": "evil\udc80",
    "windows device": "CON",
    "windows device with suffix": "pkg/nul.txt",
    "windows port": "com1",
    "trailing dot": "evil.",
    "trailing space": "evil ",
    "leading space": " evil",
    "leading dash": "-rf",
    "leading tilde": "~root",
    "wildcard": "*",
    "too long": "a/" * 10 + "b" * 230,
    "part too long": "b" * 101,
    "too deep": "a/" * 24 + "b",
    "too long for a header": "/".join(["c" * 90, "d" * 90, "e" * 50]),
    "manifest again": "MANIFEST",
    "manifest in small letters": "manifest",
    "the slot's COMPLETE": "COMPLETE",
    "COMPLETE in the making": "complete.new",
    "the slot's GOOD": "GOOD",
    "the slot's BAD": "bad",
    "a folder called COMPLETE": "COMPLETE/evil",
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
def test_a_path_that_could_do_harm_is_refused(arena: Arena, path: str) -> None:
    parts = path.split("/")
    folders = sorted({"/".join(parts[:count]) for count in range(1, len(parts))} - {""})
    rows = sorted([row("entry.py"), row(path)], key=lambda item: item["path"])
    error = arena.refuse(forged(rows, folders, member("entry.py"), member(path)), "HOSTILE_ARCHIVE")
    assert "the path" in str(error)
    assert str(error).isascii()
    assert str(error).isprintable()


@pytest.mark.parametrize("path", ["../outside", "/tmp/outside", "a\\b", "CON", "x\u202e", "GOOD"])
def test_a_folder_that_could_do_harm_is_refused(arena: Arena, path: str) -> None:
    arena.refuse(forged([row("entry.py")], [path], member("entry.py")), "HOSTILE_ARCHIVE")


DOUBLES = {
    "same file twice": (["entry.py", "entry.py"], []),
    "files that differ in case": (["Entry.py", "entry.py"], []),
    "file and folder": (["entry.py", "pkg"], ["pkg"]),
    "file and folder that differ in case": (["PKG", "entry.py"], ["pkg"]),
    "folders that differ in case": (["Pkg/a", "entry.py", "pkg/b"], ["Pkg", "pkg"]),
    "folder twice": (["entry.py"], ["pkg", "pkg"]),
    "file below a file": (["entry.py", "entry.py/evil"], ["entry.py"]),
}


@pytest.mark.parametrize(("paths", "folders"), DOUBLES.values(), ids=DOUBLES.keys())
def test_one_name_for_two_things_is_refused(arena: Arena, paths: list[str], folders: list[str]) -> None:
    archive = forged([row(path) for path in paths], folders, *(member(path) for path in paths))
    assert "stands twice" in str(arena.refuse(archive, "HOSTILE_ARCHIVE"))


def test_a_file_whose_folder_is_not_listed_is_refused(arena: Arena) -> None:
    archive = forged([row("entry.py"), row("pkg/evil")], [], member("entry.py"), member("pkg/evil"))
    assert "not listed" in str(arena.refuse(archive, "HOSTILE_ARCHIVE"))


FIELDS = {
    "set-uid": {"mode": "4755"},
    "set-gid": {"mode": "2755"},
    "sticky": {"mode": "1644"},
    "world-writable": {"mode": "0666"},
    "unreadable": {"mode": "0000"},
    "mode as number": {"mode": 420},
    "negative size": {"size": -1},
    "fraction as size": {"size": 5.0},
    "truth as size": {"size": True},
    "size as text": {"size": "5"},
    "size beyond a header": {"size": 8**11},
    "hash in capitals": {"sha256": "A" * 64},
    "short hash": {"sha256": "a" * 63},
    "no hash": {"sha256": None},
    "path as list": {"path": ["entry.py"]},
    "a field more": {"link": "../witness"},
}


@pytest.mark.parametrize("change", FIELDS.values(), ids=FIELDS.keys())
def test_a_row_that_no_builder_writes_is_refused(arena: Arena, change: dict[str, Any]) -> None:
    arena.refuse(forged([row("entry.py", change)], [], member("entry.py")), "HOSTILE_ARCHIVE")


def test_a_row_without_a_field_is_refused(arena: Arena) -> None:
    lacking = {key: value for key, value in row("entry.py").items() if key != "sha256"}
    archive = forged([lacking], [], member("entry.py"))
    archive.signed = {"file_count": 1}
    arena.refuse(archive, "HOSTILE_ARCHIVE")


TEXTS = {
    "no json": b"not json\n",
    "empty": b"",
    "a list": b"[]\n",
    "a number": b"1\n",
    "null": b"null\n",
    "deeply nested": b"[" * 100_000,
    "huge number": b'{"directories":[],"files":[' + b"9" * 5000 + b'],"format":1}\n',
    "folders as text": b'{"directories":"ab","files":[],"format":1}\n',
    "folders as numbers": b'{"directories":[1,"a"],"files":[],"format":1}\n',
    "folders missing": b'{"files":[],"format":1}\n',
    "later format": b'{"directories":[],"files":[],"format":2}\n',
    "not ascii": '{"directories":["ä"],"files":[],"format":1}\n'.encode(),
    "with a byte order mark": b'\xef\xbb\xbf{"directories":[],"files":[],"format":1}\n',
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_text_that_is_not_the_one_form_of_a_manifest_is_refused(arena: Arena, text: bytes) -> None:
    arena.refuse(signed_manifest(text), "HOSTILE_ARCHIVE")


FORMS = {
    "with spaces": (b",", b", "),
    "without line end": (b"\n", b""),
    "with two line ends": (b"\n", b"\n\n"),
    "with a key twice": (b'{"directories":', b'{"directories":["x"],"directories":'),
    "with a key more": (b'"format":1', b'"format":1,"links":{}'),
    "of a later format": (b'"format":1', b'"format":2'),
    "without a format": (b',"format":1', b""),
    "with an escaped letter": (b'"entry.py"', b'"\\u0065ntry.py"'),
    "with a size in another notation": (b'"size":5}', b'"size":5.0}'),
    "with keys in another order": (b'"format":1}', b'"a":1}'),
}


@pytest.mark.parametrize(("old", "new"), FORMS.values(), ids=FORMS.keys())
def test_the_same_content_in_another_form_is_refused(arena: Arena, old: bytes, new: bytes) -> None:
    honest = Manifest.of(entries({"entry.py": EVIL}), []).dump()
    assert old in honest
    archive = signed_manifest(honest.replace(old, new), member("entry.py"))
    assert "the manifest" in str(arena.refuse(archive, "HOSTILE_ARCHIVE"))


def test_a_manifest_that_is_not_sorted_is_refused(arena: Arena) -> None:
    archive = forged([row("entry.py"), row("a.py")], [], member("entry.py"), member("a.py"))
    assert "not sorted" in str(arena.refuse(archive, "HOSTILE_ARCHIVE"))


def test_an_honest_manifest_says_the_same_in_one_form_only() -> None:
    manifest = Manifest.of(entries(CONTENT), [])
    assert Manifest.parse(manifest.dump()) == manifest
    assert replace(manifest, files=manifest.files[:1]).dump() != manifest.dump()
