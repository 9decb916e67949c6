"""The numbers of a launcher. The defaults are the project's table of deadlines; tests shorten them."""

from typing import NamedTuple

TRIES = 2
"""Starts of a trial: one may fail for a reason of the host."""
MAX_GIVES = 2
"""Tries given back for orderly stops: a unit that is restarted for ever must not keep a trial alive for ever."""
MAX_EXTENSION_SECONDS = 600.0
"""A server that is busy may ask for this much more, in all."""
MAX_STOP_SECONDS = 900.0
"""To an orderly end while a command of a product runs that can't be begun again: the default limit of one, 600 s, the
agent's 30 s around it, and room. Longer ones are cut, and taken back at the next start."""
CRASH_WINDOW_SECONDS = 600.0
CRASH_LIMIT = 5
"""More crashes than this within the window, with a version to go back to: back, once."""
MAX_LEASE_SECONDS = 86400.0
"""Nothing that waits longer than a day for its Promote is a trial."""


class Limits(NamedTuple):
    """Waiting times in seconds, each > 0.

    Attributes:
        start: from a start to the first beat; also from the first beat to the first healthy one.
        hang: between two beats, which come every 2 s.
        grace: from the orderly stop to SIGKILL.
        backoff_base: ceiling of the first wait after a crash.
        backoff_cap: ceiling of every wait.
        rewrite: until a record that could not be written is tried again.
    """

    start: float = 30.0
    hang: float = 30.0
    grace: float = 10.0
    backoff_base: float = 1.0
    backoff_cap: float = 60.0
    rewrite: float = 5.0


def full_jitter(attempt: int, limits: Limits, random01: float) -> float:
    """Return how long to wait before restart number ``attempt`` (0 = the first): the cap first, the jitter after it."""
    return min(limits.backoff_cap, limits.backoff_base * 2.0 ** min(attempt, 32)) * random01
