"""Every command of the agent that a remedy or a page tells somebody to type is one."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from fleetroll_agent.app import parser

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("agent/fleetroll_agent/**/*.py", "cli/**/*.py", "server/**/*.py", "docs/**/*.md", "*.md")
QUOTED = re.compile(r"fleetroll-agent (?P<name>[a-z][a-z-]+)(?P<words>[^`\"'\n)]*)")
OPTION = re.compile(r"(?<!\S)--[a-z][a-z-]*")
NO_COMMANDS = frozenset({"to", "is", "when"})
"""Words that follow the program's name in a sentence about it."""


def commands(top: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of what can follow a program's or a command's name."""
    found = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(found[0].choices) if found else {}


def quoted() -> list[tuple[str, str, str]]:
    """Return where something is quoted, its command, and what follows."""
    files = sorted({path for place in PLACES for path in ROOT.glob(place)})
    return [
        (str(path.relative_to(ROOT)), match["name"], match["words"])
        for path in files
        for match in QUOTED.finditer(path.read_text("utf-8"))
        if match["name"] not in NO_COMMANDS
    ]


def fault(name: str, words: str) -> str:
    """Return what is wrong with a quoted command; empty = nothing."""
    known = commands(parser())
    if name not in known:
        return f"there is no command {name}"
    one = known[name]
    below = commands(one)
    if below:
        second = words.split(maxsplit=1)[0] if words.split() else ""
        if second not in below:
            return f"{name} has no {second}"
        one = below[second]
    unknown = [option for option in OPTION.findall(words) if option not in one._option_string_actions]
    return f"{name} has no {', '.join(unknown)}" if unknown else ""


def test_what_somebody_is_told_to_type_can_be_typed() -> None:
    told = quoted()
    assert len(told) > 40
    assert [f"{where}: {what}" for where, name, words in told if (what := fault(name, words))] == []


@pytest.mark.parametrize(
    ("name", "words"), [("upgrade", ""), ("update", " shop --bundel FILE"), ("service", " begin"), ("run", " --from X")]
)
def test_what_can_not_be_typed_is_found(name: str, words: str) -> None:
    assert fault(name, words)
