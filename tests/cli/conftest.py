from __future__ import annotations

import pytest

from tests.cli.commands import Commands
from tests.server.conftest import installed_once
from tests.server.engine.conftest import fleets_are_named, stock_once, world

__all__ = ["fleets_are_named", "installed_once", "stock_once", "world"]


@pytest.fixture
def commands(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The command line before a made-up server."""
    made = Commands(capsys, monkeypatch)
    made.connect()
    return made
