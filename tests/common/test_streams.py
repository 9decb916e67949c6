"""A log that can't be written costs its lines and nothing else."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_common.streams import LogSink

if TYPE_CHECKING:
    import pytest


def test_lines_go_to_the_standard_error_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = LogSink()
    for _ in range(2):
        heard = io.StringIO()
        monkeypatch.setattr(sys, "stderr", heard)
        sink.write("a line\n")
        sink.flush()
        assert heard.getvalue() == "a line\n"
    assert sink.lost == 0


def test_a_full_disk_a_closed_stream_and_none_at_all_cost_lines_only(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = LogSink()
    full = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 (closed below)
    monkeypatch.setattr(sys, "stderr", full)
    sink.write("a line\n")
    sink.flush()
    assert sink.lost == 1
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    sink.write("a line\n")
    sink.flush()
    assert sink.lost >= 2
    lost = sink.lost
    monkeypatch.setattr(sys, "stderr", None)
    sink.write("a line\n")
    sink.flush()
    assert sink.lost == lost
    with contextlib.suppress(OSError):
        full.close()
