"""A host's own lock: free only when its command says so."""

from __future__ import annotations

import re

import pytest

from fleetroll_agent.hooks.locks import LockAnswer, is_free
from tests.faults.hooks import ENV, ROOT


async def ask(script: str, limit: float = 10.0, **how: object) -> LockAnswer:
    return await is_free(("/bin/sh", "-c", script), ENV, ROOT, limit_seconds=limit, **how)  # type: ignore[arg-type]


async def test_a_command_that_ends_with_0_says_free() -> None:
    """Whatever it prints."""
    assert await ask("echo busy") == LockAnswer(free=True)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo a backup runs; exit 1", "exit code 1: a backup runs"),
        ("exit 75", "exit code 75"),
        ("kill -9 $$", "ended by SIGKILL"),
        ("exec no-such-program", "exit code 127"),
    ],
)
async def test_any_other_end_says_locked_and_why(script: str, words: str) -> None:
    """In doubt the host is not free."""
    answer = await ask(script)
    assert (answer.free, words in answer.message) == (False, True)


async def test_a_command_that_does_not_answer_in_time_says_locked() -> None:
    """Also when it would say free in the end."""
    answer = await ask("trap 'exit 0' TERM; while :; do sleep 0.01; done", limit=0.2)
    assert not answer.free
    assert "longer than its limit" in answer.message


@pytest.mark.parametrize("argv", [("no-such-program",), ("/",), ()])
async def test_a_command_that_is_not_there_says_locked(argv: tuple[str, ...]) -> None:
    """A missing program must not let an update through."""
    assert not (await is_free(argv, ENV, ROOT)).free


async def test_a_user_that_is_not_there_says_locked() -> None:
    """With the name."""
    answer = await is_free(("true",), ENV, ROOT, "no-such-user")
    assert (answer.free, "no-such-user" in answer.message) == (False, True)


async def test_a_note_that_can_not_be_written_says_locked() -> None:
    """The command is not asked without it."""

    async def started(child: object) -> None:
        raise OSError(28, "No space left on device")

    answer = await ask("true", started=started)
    assert (answer.free, "No space left" in answer.message) == (False, True)


async def test_secrets_do_not_stand_in_the_reason() -> None:
    """The reason travels to the server."""
    answer = await ask("echo hunter2; exit 1", redact=[re.compile("hunter2")])
    assert answer.message.endswith(": ***")
