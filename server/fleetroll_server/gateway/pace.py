"""How fast one session's reports are read: who floods is slowed by not reading on, and loses nothing.

What is not read waits at its sender, by the flow control of the stream. Unslowed, one defect host that reports in a
loop takes the writer's turns from the whole fleet, and fills the disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_server.gateway.admission import Bucket

if TYPE_CHECKING:
    from fleetroll_common.values.clock import Clock

REPORTS_PER_SECOND = 50.0
"""An attempt makes some dozens in minutes. A full batch of 100 is worth 2 s, well below the silence that ends one."""
REPORT_BURST = 1000.0
"""What a host that was away for long may say at once."""


class Pace:
    """The reports of one session."""

    def __init__(self, clock: Clock) -> None:
        """Begin with everything allowed."""
        self._clock = clock
        self._bucket = Bucket(REPORT_BURST, clock.monotonic())

    def charge(self, reports: int) -> float:
        """Count reports that were taken, also those that came again; return the seconds until more may be read."""
        self._bucket, wait_seconds = self._bucket.spend(
            reports, self._clock.monotonic(), REPORTS_PER_SECOND, REPORT_BURST
        )
        return wait_seconds
