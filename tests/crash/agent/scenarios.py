"""What the agent's own update goes through: a good one, and one for each way in which a new version is no good."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

AGENT, BAD = "agent", "agent, bad"
"""The two halves of what is proved: a good version, and bad ones."""


class Bad(StrEnum):
    """What is wrong with the new version."""

    NOTHING = ""
    SELF_TEST = "self-test"
    """It does not pass it."""
    START = "start"
    """It ends at each start, before its first beat."""
    HELLO = "hello"
    """It ends after its hello."""
    LOST = "contact"
    """It never connects."""
    SOAK = "soak"
    """It is promoted, then ends."""
    SICK = "health"
    """It is promoted, then says that it is not healthy."""


@dataclass(frozen=True)
class Scenario:
    """One course without any fault from outside.

    Attributes:
        result: that the server learns.
        bad: what is wrong with the new version.
        unproven: nobody proves that it is the version's fault.
    """

    result: str
    bad: Bad = Bad.NOTHING
    unproven: bool = False

    @property
    def name(self) -> str:
        """Return a name for people."""
        return f"{AGENT}, bad at {self.bad.value}" if self.bad else f"{AGENT}, good"


def scenarios(*, full: bool = False) -> list[Scenario]:
    """Return everything that the agent goes through; ``full`` = also what goes almost the same way."""
    known = [
        Scenario("SUCCEEDED"),
        Scenario("FAILED", Bad.SELF_TEST),
        Scenario("ROLLED_BACK", Bad.START),
        Scenario("ROLLED_BACK", Bad.HELLO),
        Scenario("ROLLED_BACK", Bad.LOST, unproven=True),
        Scenario("ROLLED_BACK", Bad.SOAK),
    ]
    return [*known, Scenario("ROLLED_BACK", Bad.SICK)] if full else known
