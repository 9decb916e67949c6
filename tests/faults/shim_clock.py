"""A wall clock that the test can set wrong while the program runs. Standard library only.

The file ``clock`` in the plan's folder holds the seconds by which it is wrong; without it the clock is right. What C
code asks by itself (a TLS handshake, the kernel) is not reached.
"""

# As little as possible is imported before the program: no pathlib.
# ruff: noqa: PTH118

from __future__ import annotations

import functools
import os
import time
from typing import Any

from tests.faults.shim_patches import when_imported

_open = open


def patch_clock(folder: str) -> None:
    """Let ``time.time`` and this project's own clock be wrong."""
    path, real = os.path.join(folder, "clock"), time.time

    def wrong_by() -> float:
        try:
            with _open(path, encoding="ascii") as known:
                return float(known.read() or 0)
        except FileNotFoundError:
            return 0.0

    time.time = lambda: real() + wrong_by()
    when_imported("fleetroll_common.values.clock", functools.partial(_patch, wrong_by))


def _patch(wrong_by: Any, module: Any) -> None:
    real = module.SystemClock.now

    def now(self: Any) -> Any:
        return real(self) + module.timedelta(seconds=wrong_by())

    module.SystemClock.now = now
