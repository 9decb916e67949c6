"""A program that downloads ``DATA_LARGE`` to the file that it is given, and says after each piece how far it is.

Its lines are long and its pipe is short: it can be only a few pieces ahead of whoever reads them.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import sys
from pathlib import Path

from fleetroll_agent.fetch import fetch_target
from fleetroll_common.values.clock import SystemClock
from tests.faults.sources import Source, Target

DATA_LARGE = b"".join(number.to_bytes(4, "big") for number in range(256 * 1024))
PIECE = 4096
LINE = 512
TARGET = Target(length=len(DATA_LARGE), sha256=hashlib.sha256(DATA_LARGE).hexdigest())


def tell(size: int) -> None:
    """Write one line; blocks while nobody reads."""
    os.write(1, str(size).encode().ljust(LINE - 1) + b"\n")


def main(dest: Path) -> None:
    """Download."""
    fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 4096)
    asyncio.run(fetch_target(Source(DATA_LARGE, PIECE), TARGET, dest, SystemClock(), on_bytes=tell))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
