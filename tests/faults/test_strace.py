"""Command lines of strace: which calls, which deed, which time, on which file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.strace import injecting

LOG = Path("log")


def test_a_kill_at_the_third_sync_of_any_file() -> None:
    command = injecting(["prog", "-x"], calls=["fsync", "fdatasync"], do="kill", nth=3, log=LOG)
    assert command == [
        *("strace", "-f", "-qq", "-o", "log", "-e", "trace=fsync,fdatasync"),
        *("-e", "inject=fsync,fdatasync:signal=KILL:when=3", "prog", "-x"),
    ]


def test_an_error_from_the_second_write_of_one_file_on() -> None:
    command = injecting(["p"], calls=["pwrite64"], do="enospc", nth=2, log=LOG, path=Path("db"), sticky=True)
    assert "inject=pwrite64:error=ENOSPC:when=2+" in command
    assert command[command.index("-P") + 1] == "db"


def test_an_unknown_deed_is_refused() -> None:
    with pytest.raises(KeyError):
        injecting(["p"], calls=["write"], do="explode", nth=1, log=LOG)
