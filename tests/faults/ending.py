"""Processes that end with the test runner, also when that one is killed: nothing of a proof may be left running."""

from __future__ import annotations

import shutil

WITH_ITS_PARENT = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()
"""Ahead of a command: what it becomes is killed when the thread ends that started it."""
