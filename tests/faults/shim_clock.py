"""A wall clock that the test can set wrong while the program runs. Standard library only.

The file ``clock`` in the plan's folder holds the seconds by which it is wrong; without it the clock is right. This
project's own clock is wrong then, and no other: libraries hand instants of theirs to C code, whose clock stays right.
"""

# As little as possible is imported before the program: no pathlib.
# ruff: noqa: PTH118

from __future__ import annotations

import functools
import os
from typing import Any

from tests.faults.shim_patches import when_imported

_open = open


def patch_clock(folder: str) -> None:
    """Let this project's own clock be wrong."""
    path = os.path.join(folder, "clock")

    def wrong_by() -> float:
        try:
            with _open(path, encoding="ascii") as known:
                return float(known.read() or 0)
        except FileNotFoundError:
            return 0.0

    when_imported("fleetroll_common.values.clock", functools.partial(_patch, wrong_by))


def _patch(wrong_by: Any, module: Any) -> None:
    real = module.SystemClock.now

    def now(self: Any) -> Any:
        return real(self) + module.timedelta(seconds=wrong_by())

    module.SystemClock.now = now
