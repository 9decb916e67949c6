"""Interpreters that answer, and those that do not answer for a while."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from fleetroll_agent.launcher.pythons import Pythons
from tests.faults.launcher_host import ABI

if TYPE_CHECKING:
    from pathlib import Path


def script(path: Path, text: str) -> None:
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)


def test_an_interpreter_that_failed_for_a_moment_is_asked_again(tmp_path: Path) -> None:
    python, library = tmp_path / "python", tmp_path / "library"
    script(python, f'[ -e "{library}" ] || exit 127\nexec "{sys.executable}" "$@"\n')
    pythons = Pythons([str(tmp_path)])
    assert pythons.abi_of(str(python)) == ""
    library.touch()
    assert pythons.abi_of(str(python)) == ABI


def test_an_interpreter_that_answered_is_not_asked_again(tmp_path: Path) -> None:
    python, asked = tmp_path / "python", tmp_path / "asked"
    script(python, f'echo >>"{asked}"\nexec "{sys.executable}" "$@"\n')
    pythons = Pythons([str(tmp_path)])
    assert [pythons.abi_of(str(python)) for _time in range(3)] == [ABI] * 3
    assert asked.read_text() == "\n"
