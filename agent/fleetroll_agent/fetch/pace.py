"""The host's bandwidth cap: a token bucket on the monotonic clock, pure arithmetic. Whoever asks does the waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll_common.values.clock import Clock

BURST_SECONDS = 0.1
"""What may be saved up: a tenth of a second's bytes are 1 % of the ten seconds in which the cap is judged (to 5 %)."""


class Pacer:
    """Spreads bytes so that no more than the cap come in any time, but for one burst.

    One object serves all downloads of a process: the cap is the host's. Each call takes its place behind the ones
    before it, so that downloads that run side by side take turns, whatever the speed of their sources.
    """

    def __init__(self, clock: Clock, bytes_per_second: int) -> None:
        """Start with a full bucket.

        Raises:
            RequestError: INVALID_ARGUMENT: the cap is not at least one byte per second (whoever set it).
        """
        if bytes_per_second < 1:
            message = f"bytes_per_second: {bytes_per_second} is no bandwidth"
            raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="give at least 1, or no cap at all")
        self.bytes_per_second = bytes_per_second
        self._clock = clock
        self._paid_until = clock.monotonic() - BURST_SECONDS

    def delay(self, nbytes: int) -> float:
        """Take ``nbytes`` from the bucket; return how many seconds to wait before they may be counted as received."""
        now = self._clock.monotonic()
        self._paid_until = max(self._paid_until, now - BURST_SECONDS) + nbytes / self.bytes_per_second
        return max(0.0, self._paid_until - now)

    def slices(self, data: bytes) -> Iterator[bytes]:
        """Yield ``data`` in pieces that the bucket can hold: a source's large piece would be a burst by itself."""
        most = max(1, int(self.bytes_per_second * BURST_SECONDS))
        for start in range(0, len(data), most):
            yield data[start : start + most]
