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

_THERE = frozenset({Code.ALREADY_AT_TARGET, Code.ALREADY_UP_TO_DATE})
NO_SERVER = frozenset({Code.UNAVAILABLE, Code.DOWNLOAD_FAILED})
REFUSALS = frozenset(
    {
        # The request, or the host that asks.
        Code.INVALID_ARGUMENT,
        Code.UNAUTHENTICATED,
        Code.NOT_FOUND,
        Code.UNIMPLEMENTED,
        Code.IDENTITY_FORKED,
        Code.IDENTITY_REVOKED,
        Code.IDENTITY_UNKNOWN,
        Code.PROTOCOL_UNSUPPORTED,
        Code.HOST_DELETED,
        Code.HOST_REVOKED,
        # The release, by its signatures, its metadata, or what it holds.
        Code.BAD_SIGNATURE,
        Code.UNSIGNED,
        Code.UPSTREAM_SIGNATURE,
        Code.METADATA_ROLLBACK,
        Code.METADATA_FREEZE,
        Code.METADATA_MIXED,
        Code.METADATA_ENDLESS,
        Code.METADATA_INVALID,
        Code.WRONG_PRODUCT,
        Code.NOT_LISTED,
        Code.YANKED,
        Code.DIGEST_REVOKED,
        Code.HOSTILE_ARCHIVE,
        Code.VERSION_MISMATCH,
        Code.ENTRY_MISSING,
        Code.BAD_DIGEST,
        # The rules of the host and of its fleet.
        Code.UPDATE_IN_PROGRESS,
        Code.HELD,
        Code.HELD_LOCALLY,
        Code.NOT_ALLOWED,
        Code.OVERRIDE_NOT_ALLOWED,
        Code.NO_ARTIFACT,
        Code.WRONG_PLATFORM,
        Code.CONTAINER,
        Code.WINDOW,
        Code.WINDOW_TOO_SHORT,
        Code.BUDGET,
        Code.LOCKED,
        Code.CLOCK_SKEW,
        Code.TOO_SOON,
        Code.QUARANTINED,
        Code.SUSPENDED,
        Code.PAUSED,
        Code.NOT_OPTED_IN,
        Code.OPTED_OUT,
        Code.BELOW_SUPPORTED,
        Code.BELOW_FLOOR,
        Code.PINNED,
        Code.CHANNEL_NOT_ALLOWED,
    }
)
"""Somebody said no, and what was asked never began, or was given up for it. Every other failure is one of the work."""
_BY_RESULT = {
    Said.SUCCEEDED: GOOD,
    Said.ROLLED_BACK: ROLLED_BACK,
    Said.ROLLBACK_FAILED: ROLLBACK_FAILED,
    Said.SKIPPED: REFUSED,
}


def exit_of(outcome: Outcome) -> int:
    """Return the exit code that stands for the end of an attempt.

    One that was cancelled was refused by nobody: whoever cancelled it had let it begin.
    """
    if outcome.said in _BY_RESULT:
        return _BY_RESULT[outcome.said]
    if outcome.code in _THERE:
        return GOOD
    if outcome.code in NO_SERVER:
        return UNREACHABLE
    return REFUSED if outcome.said is not Said.CANCELLED and outcome.code in REFUSALS else FAILED
