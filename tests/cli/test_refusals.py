"""Whatever is typed, and wherever the output goes: one line, a documented exit code, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleetroll_cli.exits import Exit

if TYPE_CHECKING:
    from tests.cli.commands import Commands

NOT_UTF8 = os.fsdecode(b"\xff\xfe")

REFUSED: dict[str, tuple[tuple[str, ...], str, str]] = {
    "more hosts than a number holds": (("rollout", "start", "--max-concurrent", "99999999999"), "max", "99999999999"),
    "more bad hosts": (("rollout", "start", "--max-failed", "99999999999"), "max", "99999999999"),
    "a larger sample": (("rollout", "start", "--min-sample", "99999999999"), "min", "99999999999"),
    "a revision of no server": (("rollout", "resume", "r1", "--revision", str(2**63)), "revision", str(2**63)),
    "more uses than hosts": (("tokens", "join", "create", "--uses", "100000000000"), "uses", "100000000000"),
    "no use at all": (("tokens", "join", "create", "--uses", "0"), "uses", "0"),
    "a level of nothing": (("release", "build", "--version", "1.0.0", "--out", "x", "--level", "99"), "level", "99"),
    "a reason that is no text": (("rollout", "start", "--reason", NOT_UTF8), "argument 4", "xff"),
    "an id that is no text": (("rollout", "show", NOT_UTF8), "argument 3", "xff"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_not_be_meant_is_refused_by_name_and_nothing_is_asked(commands: Commands, case: str) -> None:
    words, field, value = REFUSED[case]
    ended = commands.run(*words)
    assert ended.code == (Exit.USAGE if value == "xff" else Exit.ERROR)
    assert "(INVALID_ARGUMENT)" in ended.err
    assert len(ended.err.splitlines()) == 1
    assert field in ended.err
    assert value in ended.err
    assert commands.asked == []


@pytest.mark.parametrize("text", ["99999999d", "999999999.999d", "999999999d"])
def test_a_duration_of_no_calendar_is_refused_by_its_field(commands: Commands, text: str) -> None:
    ended = commands.run("rollout", "start", "--not-after", text)
    assert ended.code == Exit.ERROR
    assert ended.err.startswith(f"fleetroll: not_after: {text} is longer than 3650 days (INVALID_ARGUMENT)")


@pytest.mark.parametrize("error", [ValueError("out of range"), OSError(5, "Input/output error")])
def test_what_a_library_raises_is_one_line(commands: Commands, error: Exception) -> None:
    commands.answers["GetRollout"] = error
    ended = commands.run("rollout", "show", "r1")
    assert ended.code == Exit.ERROR
    assert len(ended.err.splitlines()) == 1
    assert "Traceback" not in ended.err


# Where the output goes: whole programs, because what matters is what the interpreter does at its end.

PROGRAM = """
import sys
from contextlib import contextmanager
from types import SimpleNamespace
from fleetroll.v1 import agents_pb2
from fleetroll_cli import agents, app

@contextmanager
def connected(_context):
    many = agents_pb2.ListAgentsResponse(agents=[agents_pb2.Agent(id=str(n), name="host") for n in range(2000)])
    yield SimpleNamespace(agents=SimpleNamespace(ListAgents=lambda request, timeout: many))

agents.connected = connected
app.main()
"""
LISTINGS = (("agents", "list"), ("agents", "list", "--json"))


@pytest.mark.parametrize("words", LISTINGS, ids=["table", "document"])
def test_a_full_disk_is_told_in_one_line(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *words], stdout=full, stderr=subprocess.PIPE, timeout=60, check=False
        )
    assert done.returncode == Exit.ERROR
    assert done.stderr.decode().splitlines() == [
        "fleetroll: output: No space left on device (INTERNAL); is there space, and is it readable?"
    ]


@pytest.mark.parametrize("words", LISTINGS, ids=["table", "document"])
def test_a_reader_that_is_gone_hears_nothing_more(words: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", PROGRAM, *words]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (Exit.ERROR, b"")


@pytest.mark.parametrize(
    "words",
    [
        ("kill", "press", "--fleet", ""),
        ("kill", "lift", "--fleet", ""),
        ("kill", "lift", "--fleet", " "),
        ("rollout", "start", "--fleet", ""),
        ("rollout", "start", "--version", ""),
        ("rollout", "start", "--waves", ""),
        ("rollout", "watch", ""),
        ("rollout", "pause", ""),
        ("events", "--fleet", ""),
        ("events", "--rollout", ""),
        ("events", "--agent", ""),
        ("agents", "list", "--fleet", ""),
    ],
)
def test_an_empty_word_never_means_everything(commands: Commands, words: tuple[str, ...]) -> None:
    """It is what a shell makes of a variable that is not set."""
    ended = commands.run(*words)
    assert ended.code == Exit.ERROR
    assert "it is empty (INVALID_ARGUMENT); name one, or leave it out" in ended.err
    assert commands.asked == []
