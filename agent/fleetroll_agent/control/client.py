"""The command line's side of the control socket. Blocks."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from fleetroll_agent.control import messages
from fleetroll_agent.control.place import NAME, connect
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONNECT_SECONDS = 5.0
AGAIN_SECONDS = 0.5
RETURN_SECONDS = 900.0
"""How long an agent that restarts into another version, or comes back from it, is waited for."""


class _Gone(Exception):  # noqa: N818 (it becomes a typed error, or another try)
    """The agent went away in the middle."""


def ask_agent(folder: Path, ask: messages.Ask, show: Callable[[str], None]) -> messages.Done:
    """Ask the agent of ``folder``, show what it says meanwhile, and return its answer.

    An update of the agent itself goes on in its next process: that one is asked how it ended.

    Raises:
        FleetrollError: the agent's own refusal; UNAVAILABLE: none runs there, or it did not come back.
    """
    started: list[int] = []

    try:
        return _exchange(folder, ask, show, started)
    except _Gone as gone:
        if not started:
            text = "the agent went away before it answered"
            raise AgentError(text, code=Code.UNAVAILABLE, remedy="look at: fleetroll-agent status") from gone
    return _follow(folder, replace(ask, command="follow", local=started[-1]), show)


def _follow(folder: Path, ask: messages.Ask, show: Callable[[str], None]) -> messages.Done:
    """Ask whichever process runs by now how the attempt ended."""
    until = time.monotonic() + RETURN_SECONDS
    while time.monotonic() < until:
        try:
            return _exchange(folder, ask, show, [])
        except _Gone:
            pass
        except AgentError as error:
            if error.code is not Code.UNAVAILABLE:
                raise
        time.sleep(AGAIN_SECONDS)
    text = f"the agent did not come back within {RETURN_SECONDS:g} s"
    raise AgentError(text, code=Code.UNAVAILABLE, remedy="look at: fleetroll-agent status")


def _exchange(folder: Path, ask: messages.Ask, show: Callable[[str], None], started: list[int]) -> messages.Done:
    """Ask once; the number of an attempt that was begun is put into ``started``."""
    try:
        line = connect(folder, CONNECT_SECONDS)
    except OSError as error:
        text = f"no agent answers at {folder / NAME}: {error.strerror or error}"
        remedy = f"start it with: fleetroll-agent run --state {folder}"
        raise AgentError(text, code=Code.UNAVAILABLE, remedy=remedy) from error
    with line, line.makefile("rb") as answers:
        try:
            line.sendall(messages.dump_ask(ask))
            line.settimeout(None)
            while data := answers.readline(messages.MAX_LINE_BYTES):
                said = messages.read_answer(data)
                if isinstance(said, messages.Done):
                    return said
                if isinstance(said, messages.Started):
                    started.append(said.local)
                else:
                    show(said)
        except OSError as error:
            raise _Gone from error
    raise _Gone
