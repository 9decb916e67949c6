"""``fleetroll console`` becomes the console, with the same options; without it, it says what to install."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from fleetroll_cli import console
from fleetroll_cli.exits import Exit
from tests.cli.commands import Commands

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def commands(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The command line as it is."""
    return Commands(capsys, monkeypatch)


@pytest.mark.parametrize("missing", console.NEEDS)
def test_without_the_console_the_extra_is_named(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setattr(console, "find_spec", lambda name: None if name == missing else object())
    ended = commands.run("console")
    assert ended.code == Exit.ERROR
    assert ended.err == (
        "fleetroll: console: it is not installed (UNIMPLEMENTED); install fleetroll with its extra: fleetroll[tui]\n"
    )


def test_global_options_and_its_own_go_to_the_console(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[str, list[str]]] = []

    def replace(program: str, words: list[str]) -> None:
        started.append((program, words))

    monkeypatch.setattr(console, "find_spec", lambda _name: object())
    monkeypatch.setattr(os, "execv", replace)
    given = ("--server", "a:1", "--ca", "x.pem", "--token-file", "t", "--context", "c")
    commands.run(*given, "console", "--ascii", "--theme", "dark", "file")
    expected = [sys.executable, "-P", "-m", "fleetroll_tui", *given, "--ascii", "--theme", "dark", "file"]
    assert started == [(sys.executable, expected)]
    started.clear()
    commands.run("console")
    assert started[0][1][3:] == ["fleetroll_tui"]


def test_a_folder_in_which_somebody_works_brings_no_console(tmp_path: Path) -> None:
    """Or whoever can put a folder there could have a person's token."""
    for name in console.NEEDS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
        (tmp_path / name / "__main__.py").write_text("print('planted')")
    command = (sys.executable, "-P", "-m", "fleetroll_tui", "--help")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "planted" not in done.stdout
