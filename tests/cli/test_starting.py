"""Ctrl+c while a program still loads its modules: a sentence and 130, in every program that people start."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PROGRAMS = {
    "fleetroll": ("fleetroll_cli.start", "start", "typer"),
    "fleetroll-console": ("fleetroll_tui.start", "start", "textual"),
    "fleetroll-server": ("fleetroll_server.app", "main", "sqlalchemy"),
    "fleetroll-agent": ("fleetroll_agent.app", "main", "tuf"),
}
"""By name: where it begins, and a library whose loading is interrupted."""
ARGUMENTS = {"fleetroll-server": ("run", "--data", "data"), "fleetroll-agent": ("self-test", "--state", "state")}
INTERRUPTS = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nraise ImportError('the signal did not come')\n"


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_interrupt_while_modules_are_loaded_ends_in_a_sentence(program: str, tmp_path: Path) -> None:
    module, function, library = PROGRAMS[program]
    (tmp_path / f"{library}.py").write_text(INTERRUPTS)
    run = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from {module} import {function}; sys.exit({function}())"
    ended = subprocess.run(
        [sys.executable, "-P", "-c", run, *ARGUMENTS.get(program, ())],
        capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path, env=dict(os.environ),
    )  # fmt: skip
    assert ended.returncode == 130, ended.stderr
    assert ended.stderr.startswith(f"{program}: interrupted")
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == ""


def test_the_programs_begin_where_they_are_tested(pytestconfig: pytest.Config) -> None:
    declared = (pytestconfig.rootpath / "pyproject.toml").read_text()
    for program, (module, function, _library) in PROGRAMS.items():
        assert f'\n{program} = "{module}:{function}"\n' in declared
