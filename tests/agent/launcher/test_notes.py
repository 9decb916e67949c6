"""The launcher's own log lines: none of them is worth an agent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_agent.launcher.main import note

if TYPE_CHECKING:
    import pytest


def test_a_line_for_a_log_that_nobody_reads_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading, "rb") as reader:
        monkeypatch.setattr("sys.stderr", stream)
        for _line in range(2000):
            note("x" * 100)
        reader.close()
        note("nobody is there")


def test_a_log_on_a_full_disk_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        note("no room")
    note("closed")
    monkeypatch.setattr("sys.stderr", None)
    note("no stream at all")
