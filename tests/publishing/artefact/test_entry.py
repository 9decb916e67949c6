"""The first file of a slot: it finds itself or refuses."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ENTRY = Path(__file__).resolve().parents[3] / "agent" / "fleetroll_agent" / "entry.py"
APP = """
import sys

def main(arguments):
    print(sys.path[0], *arguments)
    return 7
"""


@pytest.fixture
def slot(tmp_path: Path) -> Path:
    """Return a slot with the real entry and an agent that only tells where it was found."""
    slot = tmp_path / "slot"
    (slot / "fleetroll_agent").mkdir(parents=True)
    (slot / "fleetroll_agent" / "__init__.py").touch()
    (slot / "fleetroll_agent" / "app.py").write_text(APP)
    shutil.copy(ENTRY, slot / "entry.py")
    return slot


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", "-B", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, cwd=cwd)


def test_it_hands_over_arguments_and_exit_code_with_its_own_folder_first(slot: Path) -> None:
    done = run(str(slot / "entry.py"), "run", "--state", "/x", cwd=slot.parent)
    assert (done.returncode, done.stdout) == (7, f"{slot} run --state /x\n"), done.stderr


def test_it_works_from_a_relative_path_and_through_a_link(slot: Path) -> None:
    (slot.parent / "link.py").symlink_to(slot / "entry.py")
    assert run("slot/entry.py", cwd=slot.parent).stdout == f"{slot}\n"
    assert run("link.py", cwd=slot.parent).stdout == f"{slot}\n"


def test_it_leaves_no_byte_code_behind(slot: Path) -> None:
    run(str(slot / "entry.py"), cwd=slot)
    assert [path for path in slot.rglob("*") if "__pycache__" in path.parts] == []


def test_without_a_path_of_its_own_it_refuses_in_a_sentence(slot: Path) -> None:
    done = run("-c", (slot / "entry.py").read_text(), cwd=slot)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "OWN_PATH_UNRESOLVED" in done.stderr
    assert "Traceback" not in done.stderr


def test_outside_a_slot_it_refuses_in_a_sentence(slot: Path) -> None:
    alone = slot.parent / "alone.py"
    shutil.copy(ENTRY, alone)
    done = run(str(alone), cwd=slot)
    assert done.returncode == 1
    assert "OWN_PATH_UNRESOLVED" in done.stderr


def test_a_file_that_vanished_while_it_started_is_refused_in_a_sentence(slot: Path) -> None:
    entry = str(slot / "entry.py")
    code = f"import os, runpy\ncode = open({entry!r}).read()\nos.unlink({entry!r})\n"
    code += f"exec(compile(code, {entry!r}, 'exec'), {{'__name__': '__main__', '__file__': {entry!r}}})"
    done = run("-c", code, cwd=slot)
    assert done.returncode == 1
    assert "OWN_PATH_UNRESOLVED" in done.stderr
