"""Runs the command line in this process against a made-up server."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from fleetroll_cli import (
    agents,
    app,
    direct,
    events,
    following,
    manifests,
    output,
    policy,
    products,
    publish,
    rollout,
    showing,
    steering,
    tokens,
    verbs,
    why,
)
from fleetroll_client import ServerRefusedError, translate
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.testing_channel import Answering


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass
class Commands:
    """A server that answers each RPC with what the test put there, and remembers what it was asked."""

    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def run(self, *words: str) -> Ended:
        """Run ``fleetroll`` with these words."""
        self.monkeypatch.setattr(sys, "argv", ["fleetroll", *words])
        self.monkeypatch.setattr(app, "end_when_interrupted", lambda: None)  # this process is not its own
        with pytest.raises(SystemExit) as ended:
            app.main()
        said = self.capsys.readouterr()
        return Ended(int(ended.value.code or 0), said.out, said.err)

    def wait_for(self, word: str) -> None:
        """Wait in another thread until the command that runs has printed a line with ``word``."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if any(word in line for line in self.said):
                return
            time.sleep(0.005)
        message = f"{word} was not printed"
        raise AssertionError(message)

    def requests(self, name: str) -> list[Any]:
        """Return the requests of one RPC."""
        return [request for asked, request in self.asked if asked == name]

    def connect(self) -> None:
        """Stand between the commands and the network, as a server that can't tell: it is asked."""

        @contextmanager
        def connected(_context: object) -> Iterator[Any]:
            service = _Service(self)
            with translate():
                every = ("agents", "policy", "releases", "rollouts", "tokens")
                yield SimpleNamespace(**dict.fromkeys(every, service))

        def cannot_tell(*_: object) -> Any:
            raise ServerRefusedError(
                "Method not found!",
                status=grpc.StatusCode.UNIMPLEMENTED,
                code=Code.UNIMPLEMENTED,
                remedy="",
                details={},
            )

        for module in (
            agents,
            direct,
            manifests,
            policy,
            products,
            publish,
            rollout,
            showing,
            steering,
            tokens,
            verbs,
            why,
        ):
            self.monkeypatch.setattr(module, "connected", connected)
        for module in (policy, rollout, tokens):
            self.monkeypatch.setattr(module, "fleet_of", lambda _context, given: given)
        self.monkeypatch.setattr(following, "follow_blocking", cannot_tell)

    def speak_to(self, server: Answering) -> None:
        """Speak to a made-up server that can tell, instead of one that is asked."""

        @contextmanager
        def connected(_context: object) -> Iterator[Any]:
            with translate():
                yield server.client

        def say(line: str = "") -> None:
            output.say(line)
            self.said.append(line)

        for module in (direct, events, rollout, steering):
            self.monkeypatch.setattr(module, "connected", connected)
        for module in (events, following):
            self.monkeypatch.setattr(module, "say", say)
        self.monkeypatch.setattr(rollout, "fleet_of", lambda _context, given: given)


class _Service:
    """Every RPC by name."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    def __getattr__(self, name: str) -> Any:
        def call(request: Any, timeout: float) -> Any:
            self._commands.asked.append((name, request))
            answer = self._commands.answers[name]
            answer = answer.pop(0) if isinstance(answer, list) else answer
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call
