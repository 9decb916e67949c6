"""Byte code that was made once is kept for all artefacts of a run of the tests: releases differ by a line.

Only the tests that build many artefacts use this. How byte code is made, and that it is the same each time, is shown
without it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import sys
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from fleetroll_publishing.artefact import bytecode

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = "FLEETROLL_TESTS_KEPT"
"""The variable with the folder that all processes of a run share; set by ``tests/conftest.py``. Elsewhere nothing is
kept."""
_COMPILE = bytecode._compile
_COMPILER = Path(bytecode.__file__).with_name("compiling.py").read_bytes()


@contextlib.contextmanager
def kept_byte_code() -> Iterator[None]:
    """Compile only what no process of this run has compiled yet."""
    if FOLDER not in os.environ:
        yield
        return
    with mock.patch.object(bytecode, "_compile", _compile_kept):
        yield


def _compile_kept(folder: Path, modules: list[str]) -> None:
    store = Path(os.environ[FOLDER])
    store.mkdir(parents=True, exist_ok=True)
    with (store / "lock").open("w") as lock:  # two that begin together do it once
        fcntl.flock(lock, fcntl.LOCK_EX)
        _compile(store, folder, modules)


def _compile(store: Path, folder: Path, modules: list[str]) -> None:
    missing = {}
    for module in modules:
        kept = store / _key(module, (folder / module).read_bytes())
        if not _take(kept, folder / cache_from_source(module, optimization="")):
            missing[module] = kept
    if missing:
        _COMPILE(folder, list(missing))
    for module, kept in missing.items():
        draft = kept.with_name(f"{kept.name}.{os.getpid()}")
        draft.write_bytes((folder / cache_from_source(module, optimization="")).read_bytes())
        draft.replace(kept)


def _key(module: str, source: bytes) -> str:
    told = hashlib.sha256(f"{sys.version}\0{module}\0".encode())
    told.update(_COMPILER)
    told.update(source)
    return told.hexdigest()


def _take(kept: Path, place: Path) -> bool:
    try:
        data = kept.read_bytes()
    except FileNotFoundError:
        return False
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return True
