"""The page of traps: every trap is on it once, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "traps.md"
TRAPS = [f"T{number}" for number in range(1, 21)]
NOT_YET = {"T18"}
"""Intermediates and windows of maintenance: who builds them adds their tests, and takes them out here."""
ROW = re.compile(r"\| (T\d+) \| ([^|]+) \| ([^|]+) \|")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows() -> list[tuple[str, str, str]]:
    """Return trap, behaviour and tests of each line of the table."""
    found = (ROW.fullmatch(line) for line in PAGE.read_text("utf-8").splitlines())
    return [(match[1], match[2], match[3]) for match in found if match]


def missing(text: str) -> list[str]:
    """Return the tests that ``text`` names and that are not there."""
    return [f"{path}::{name}" for path, name in NAMED.findall(text) if name not in names_in(ROOT / path)]


def names_in(path: Path) -> set[str]:
    """Return the names of a module's tests."""
    if not path.is_file():
        return set()
    body = ast.parse(path.read_text("utf-8")).body
    return {node.name for node in body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


def test_every_trap_of_the_design_is_on_the_page_once() -> None:
    """In their order."""
    assert [trap for trap, _behaviour, _tests in rows()] == TRAPS


def test_every_behaviour_is_one_sentence() -> None:
    """What is said is short enough to be read."""
    assert [trap for trap, behaviour, _tests in rows() if not behaviour.endswith(".") or ". " in behaviour] == []


def test_every_trap_names_its_tests_or_says_not_yet() -> None:
    """A line without either would promise without proof."""
    assert {trap for trap, _behaviour, tests in rows() if tests == "not yet"} == NOT_YET
    assert [trap for trap, _behaviour, tests in rows() if trap not in NOT_YET and NAMED.sub("", tests).strip()] == []


def test_every_named_test_exists() -> None:
    """By path and name."""
    assert missing(PAGE.read_text("utf-8")) == []


@pytest.mark.parametrize("named", ["tests/house/test_traps.py::test_no_such_test", "tests/house/none.py::test_a"])
def test_a_test_that_is_not_there_is_noticed(named: str) -> None:
    """So the test above can fail."""
    assert missing(f"`{named}`") == [named]
