"""The one door: what the documents tell people to type exists."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tools.house import suites

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*):", MAKEFILE, re.MULTILINE))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def commands(path: Path) -> list[str]:
    """Lines of the shell blocks of a document, comments and prompts left out."""
    blocks = re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ ").strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def test_help_lists_every_target_with_a_sentence() -> None:
    listed = set(re.findall(r"^  make ([a-z0-9-]+) +\S", make("help").stdout, re.MULTILINE))
    assert listed == TARGETS


def test_every_target_is_phony() -> None:
    match = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert match
    assert set(match[1].split()) == TARGETS


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_documents_name_existing_targets_and_programs(path: Path) -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z0-9-]*)", path.read_text("utf-8"), re.MULTILINE))
    assert named <= TARGETS
    programs = {line.split()[0].removeprefix(".venv/bin/") for line in commands(path)}
    assert programs <= {"git", "cd", "cp", "rm", "make", "buf", "systemctl", *SCRIPTS}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text("utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_and_tests_that_documents_name_are_there(path: Path) -> None:
    named = re.findall(r"`((?:tests|tools|docs|requirements)/[^` ]+)`", path.read_text("utf-8"))
    files = [name.partition("::") for name in named]
    assert [file for file, _, _ in files if not (ROOT / file).exists()] == []
    assert [f"{file}::{test}" for file, _, test in files if test and test not in (ROOT / file).read_text("utf-8")] == []


def test_ci_runs_the_check_and_nothing_else() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert script.read_text("utf-8").splitlines()[-1] == "exec make check"


def test_every_folder_with_tests_is_a_suite() -> None:
    folders = {path.parts[len(ROOT.parts) + 1] for path in (ROOT / "tests").rglob("test_*.py")}
    assert {f"tests/{folder}" for folder in folders} == {suite.name for suite in suites.tests()}


def test_check_is_every_gate_every_suite_and_the_demonstrations() -> None:
    assert suites.choose(["check"]) == [*suites.gates(), *suites.tests(), *suites.demos()]
    assert {"lint", "format", "types", "imports", "proto-lint", "proto-breaking", "drift"} <= {
        gate.name for gate in suites.gates()
    }


def test_a_suite_that_collects_nothing_fails(tmp_path: Path) -> None:
    suite = suites.tests()[0]
    nothing = suites.Suite("empty", (*suite.command[:-1], str(tmp_path)), quiet=True)
    result = suites.run(nothing)
    assert not result.passed
    assert result.seconds > 0
    assert result.worked > 0


def test_an_unknown_suite_is_refused_with_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        suites.choose(["nonsense"])
    assert caught.value.code == 2
    assert "proto-lint" in capsys.readouterr().err


def proofs(target: str) -> list[list[str]]:
    """What a target hands to the test runner."""
    recipe = MAKEFILE.partition(f"\n{target}:")[2].partition("\n\n")[0]
    return [line.partition(" -m pytest ")[2].split() for line in recipe.splitlines() if " -m pytest " in line]


@pytest.mark.parametrize("target", ["crash", "crash-full", "e2e"])
def test_every_path_that_a_proof_names_is_collected(target: str) -> None:
    """The runner passes over a file that lies in a folder which is named too, if its name is no test's."""
    for arguments in proofs(target):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "--collect-only", *arguments],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        for path in [each for each in arguments if each.startswith("tests/")]:
            assert re.search(rf"^{path}\S*: \d+|^{path}\S*::", done.stdout, re.MULTILINE), path
