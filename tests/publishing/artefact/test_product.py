"""Artefacts of products that are not the agent: a folder or a file, and nothing of the machine that built them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.artefact import build_product_artefact, inspect_artefact

if TYPE_CHECKING:
    from pathlib import Path

FILES = {"bin/shop": b"#!/bin/sh\n", "share/prices.csv": b"apple,1\n", "README": b"a shop\n"}


def plant(folder: Path, *, reverse: bool = False, seconds: int = 10**9, mode: int = 0o755) -> Path:
    """Write the product as some machine would."""
    for name in sorted(FILES, reverse=reverse):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILES[name])
        os.utime(path, (seconds, seconds))
    (folder / "bin" / "shop").chmod(mode)
    return folder


def refused(source: Path, out: Path, entry: str = "bin/shop") -> RequestError:
    with pytest.raises(RequestError) as caught:
        build_product_artefact(source, out, entry_point=entry, level=1)
    assert not out.exists()
    return caught.value


def test_the_same_folder_gives_the_same_bytes_wherever_it_was_written(tmp_path: Path) -> None:
    """Order, times, and all of the mode but the owner's execute bit are left out."""
    first = build_product_artefact(plant(tmp_path / "a"), tmp_path / "1.tar.zst", entry_point="bin/shop", level=3)
    other = plant(tmp_path / "b", reverse=True, seconds=5, mode=0o700)
    (other / ".git").mkdir()
    (other / ".git" / "index").write_bytes(os.urandom(20))
    second = build_product_artefact(other, tmp_path / "2.tar.zst", entry_point="bin/shop", level=3)
    assert first.path.read_bytes() == second.path.read_bytes()
    assert inspect_artefact(first.path, "bin/shop").artefact == first
    assert (first.file_count, first.entry_point) == (3, "bin/shop")


def test_the_execute_bit_is_shipped(tmp_path: Path) -> None:
    """A program that can't be started is another product."""
    first = build_product_artefact(plant(tmp_path / "a"), tmp_path / "1", entry_point="bin/shop", level=1)
    second = build_product_artefact(plant(tmp_path / "b", mode=0o644), tmp_path / "2", entry_point="bin/shop", level=1)
    assert first.manifest_sha256 != second.manifest_sha256


def test_one_file_is_an_artefact_of_that_file_and_begins_with_it(tmp_path: Path) -> None:
    """Its folder's other files stay behind."""
    source = plant(tmp_path / "a") / "bin" / "shop"
    (source.parent / "other").write_bytes(b"x")
    built = build_product_artefact(source, tmp_path / "1", level=1)
    assert (built.file_count, built.entry_point) == (1, "shop")
    assert inspect_artefact(built.path, "shop").artefact == built


@pytest.mark.parametrize("entry", ["bin/other", "bin", ".git/index", ""])
def test_the_first_file_has_to_be_there(tmp_path: Path, entry: str) -> None:
    """A folder, a file that stays behind, and nothing at all are no first files."""
    error = refused(plant(tmp_path / "a"), tmp_path / "out", entry)
    assert (error.code, error.details["field"]) == (Code.ENTRY_MISSING, "entry_point")


def test_another_first_file_than_the_one_is_missing(tmp_path: Path) -> None:
    """One file has no other."""
    assert refused(plant(tmp_path / "a") / "README", tmp_path / "out", "shop").code is Code.ENTRY_MISSING


@pytest.mark.parametrize("to", ["../../etc/passwd", "shop", "/etc/passwd", "gone"])
def test_links_are_refused_by_name(tmp_path: Path, to: str) -> None:
    """Relative ones that stay inside too: what they mean on the host is not what they mean here."""
    tree = plant(tmp_path / "a")
    (tree / "bin" / "link").symlink_to(to)
    error = refused(tree, tmp_path / "out")
    assert (error.code, error.details["path"]) == (Code.INVALID_ARGUMENT, "bin/link")


def test_special_files_are_refused_by_name_and_not_read(tmp_path: Path) -> None:
    """A pipe would never end."""
    tree = plant(tmp_path / "a")
    os.mkfifo(tree / "pipe")
    assert refused(tree, tmp_path / "out").details["path"] == "pipe"


def test_a_program_with_set_id_bits_is_refused(tmp_path: Path) -> None:
    """A host never makes one."""
    tree = plant(tmp_path / "a", mode=0o4755)
    assert refused(tree, tmp_path / "out").details["path"] == "bin/shop"


@pytest.mark.parametrize("name", ["a:b", "CON", "with\nline", "MANIFEST", "ends."])
def test_names_that_no_host_takes_are_refused(tmp_path: Path, name: str) -> None:
    """They are refused here, not on the host."""
    tree = plant(tmp_path / "a")
    (tree / name).write_bytes(b"x")
    assert refused(tree, tmp_path / "out").code is Code.INVALID_ARGUMENT


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    """The path that was given stands in the message."""
    error = refused(tmp_path / "nothing", tmp_path / "out")
    assert (error.code, error.details["field"]) == (Code.NOT_FOUND, "path")
    assert "nothing can't be read" in error.message


def test_an_artefact_is_not_built_into_its_own_source(tmp_path: Path) -> None:
    """The next one would hold this one, and have other bytes."""
    tree = plant(tmp_path / "a")
    assert refused(tree, tree / "dist" / "out").details["field"] == "out"
