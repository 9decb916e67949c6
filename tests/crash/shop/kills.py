"""Which results of a product's update a kill allows: the rules of the pipeline, as a table.

The agent's record, as it lay on disk at the kill, says where the attempt stood, and what may be run again from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.jobs.values import Step
from fleetroll_agent.products.stepping import TRIES
from tests.crash.real.verdicts import GOES_ON

if TYPE_CHECKING:
    from fleetroll_agent.jobs.values import Attempt
    from tests.crash.real.kill import Kill

FAILED, UNPROVEN = "FAILED unproven", "ROLLED_BACK unproven"
_REPEATABLE = frozenset({Step.CHECK, Step.SWITCH, Step.RESTART})


def legal(kill: Kill, kind: str) -> frozenset[str]:
    """Return what may become of the attempt after ``kill``: results, or that it goes on."""
    known = kill.product.outcome(kill.generation)
    if known is not None:
        return frozenset({known.said.value + (" unproven" if known.unproven else "")})
    attempt = kill.product.attempt
    words = frozenset({GOES_ON}) if attempt is None else frozenset({_after(attempt, kind)})
    if kill.victim == "parent" and kill.role != "launcher":
        # The agent outlives its launcher by a moment, in which it may have come one step on.
        words |= {GOES_ON, FAILED, UNPROVEN}
    return words


def _after(attempt: Attempt, kind: str) -> str:
    """Up to the permit nothing is lost; past it what may be run again is, and what may not has failed."""
    work = attempt.work
    if not attempt.past_go or work is None or work.going_back or attempt.step is Step.HEALTH:
        return GOES_ON
    repeatable = attempt.step in _REPEATABLE and not (attempt.step is Step.SWITCH and kind == "command")
    if repeatable and work.tries < TRIES:
        return GOES_ON
    return UNPROVEN if work.changed else FAILED
