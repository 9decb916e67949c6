"""The promises of a product's update, and what may become of one that was struck."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs.values import ByHand, Step

if TYPE_CHECKING:
    from fleetroll_agent.jobs.values import Attempt, ProductRecord

BACK = frozenset({Step.SWITCH_BACK, Step.ROLLBACK, Step.RESTORE, Step.RESTART_BACK, Step.HEALTH_BACK})
REPEATABLE = frozenset({Step.CHECK, Step.RESTART, Step.HEALTH}) | BACK
"""Steps that the next process goes on with; the switch of what the agent switches itself is one as well."""


POWER = "power"
"""A fault after which the host may be at any instant that the disk allows: what it says must be true all the same."""


class BrokenPromiseError(AssertionError):
    """The host broke a promise."""


def require(held: object, what: str) -> None:
    """Raise BrokenPromiseError unless ``held``."""
    if not held:
        raise BrokenPromiseError(what)


def may_become(kind: str, undisturbed: str, fault: str, struck: ProductRecord | None) -> frozenset[str]:
    """Return the results that an attempt may have.

    Args:
        kind: of the product.
        undisturbed: what becomes of it when nothing strikes.
        fault: that struck.
        struck: the record as it was then; None = it did not strike.
    """
    if fault == POWER:
        return frozenset({undisturbed, "FAILED", "ROLLED_BACK"})
    if struck is not None and fault.startswith("clock") and not _is_past_go(struck):
        return frozenset({undisturbed, "CANCELLED"})  # what is wanted later takes its place
    attempt = None if struck is None else struck.attempt
    if attempt is None or fault.startswith(("clock", "server")):
        return frozenset({undisturbed})
    if fault == "crash":
        return frozenset({_after_crash(kind, undisturbed, attempt)})
    return frozenset({undisturbed, *_after_refusal(fault, attempt)})


def _is_past_go(record: ProductRecord) -> bool:
    return bool(record.outcomes) if record.attempt is None else record.attempt.past_go


def _after_crash(kind: str, undisturbed: str, attempt: Attempt) -> str:
    """Before Go nothing is lost; past it what may be run again is, and what may not has failed."""
    if not attempt.past_go or attempt.by_hand is not ByHand.NOTHING:
        return undisturbed
    step, work = attempt.step, attempt.work
    if step in REPEATABLE or (step is Step.SWITCH and kind != "command"):
        return undisturbed
    return "ROLLED_BACK" if work is not None and work.changed else "FAILED"


def _after_refusal(fault: str, attempt: Attempt) -> set[str]:
    """Return what a disk that refuses may cost: what the agent writes itself beside its records may fail.

    A full disk is waited for before Go. The way back is tried again and again: it outlasts a disk that comes back.
    """
    if not attempt.past_go:
        return set() if fault == "ENOSPC" else {"FAILED"}
    if attempt.step in BACK:
        return set()
    return {"ROLLED_BACK"}


def final(entries: list[Any]) -> list[Any]:
    """Return the reports that end an attempt."""
    ends = {"SUCCEEDED", "FAILED", "ROLLED_BACK", "ROLLBACK_FAILED", "CANCELLED", "SKIPPED"}
    return [entry.report for entry in entries if entry.report.said.value in ends]
