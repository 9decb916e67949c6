"""Somebody at the command line of the host that a file of tests sets up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.agent.control.person import Person

if TYPE_CHECKING:
    from tests.agent.fake_server.inprocess import InProcessHost


@pytest.fixture
def person(host: InProcessHost, capsys: pytest.CaptureFixture[str]) -> Person:
    """Return somebody at the host's command line."""
    return Person(host, capsys)
