"""Exit codes of ``fleetroll-agent check`` and ``update`` (names.md), and what an attempt's end means for them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.jobs.values import Said
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from fleetroll_agent.jobs.values import Outcome

GOOD = 0
FAILED = 1
AVAILABLE = 10
UNREACHABLE = 20
REFUSED = 21
ROLLED_BACK = 22
ROLLBACK_FAILED = 23

NO_SERVER = frozenset({Code.UNAVAILABLE, Code.DOWNLOAD_FAILED})
_BY_ITSELF = frozenset({Code.STEP_FAILED, Code.START_FAILED, Code.HEALTH_FAILED, Code.HEALTH_TIMEOUT, Code.INTERNAL})
"""Failures of the work itself; every other code says that somebody refused it."""
_BY_RESULT = {
    Said.SUCCEEDED: GOOD,
    Said.ROLLED_BACK: ROLLED_BACK,
    Said.ROLLBACK_FAILED: ROLLBACK_FAILED,
    Said.SKIPPED: REFUSED,
}


def exit_of(outcome: Outcome) -> int:
    """Return the exit code that stands for the end of an attempt."""
    if outcome.said in _BY_RESULT:
        return _BY_RESULT[outcome.said]
    if outcome.code is Code.ALREADY_AT_TARGET:
        return GOOD
    if outcome.code in NO_SERVER:
        return UNREACHABLE
    return FAILED if outcome.code in _BY_ITSELF or outcome.code is None else REFUSED
