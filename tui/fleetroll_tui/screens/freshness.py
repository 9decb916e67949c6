"""How old what was asked for is, in words, and why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_tui.model.signing import EXPIRED, GOOD, stage
from fleetroll_tui.signs import ENDS
from fleetroll_tui.text import clean, lasting

if TYPE_CHECKING:
    from fleetroll_tui.model.readings import Failure, Reading
    from fleetroll_tui.paint import Paint, Span


def failure_words(failure: Failure) -> str:
    """Return why nothing was had, and what can be done."""
    remedy = f". {clean(failure.remedy)}" if failure.remedy else ""
    return f"{clean(failure.message)} ({clean(failure.code, 40)}){remedy}"


def ends_span(role: str, expires_at: float, paint: Paint, now: float) -> Span:
    """Return how long something that was signed is good for: as a sign, in words, in colour."""
    if not expires_at:
        return "nobody has said when it ends", "muted"
    at = stage(role, expires_at, now)
    sign, colour = paint.sign(ENDS, at)
    left = lasting(abs(expires_at - now))
    words = f"{sign} {left} ago" if at == EXPIRED else f"{sign} for {left}" if at == GOOD else f"{sign}, {left} left"
    return words, colour if at == GOOD else f"{colour}!"


def age_span(reading: Reading[Any], at: float) -> Span:
    """Return how old a reading is; what may be wrong stands out, with why it is not newer."""
    if not reading.known:
        return "", "muted"
    words = f"read {lasting(reading.age(at))} ago"
    if not reading.old(at):
        return f"   {words}", "muted"
    why = f": {failure_words(reading.failure)}" if reading.failure is not None else ""
    return f"   ◌ {words}{why}", "wait"


def empty_words(reading: Reading[Any], what: str, empty: str) -> str:
    """Return what an empty list says: that it is being read, why it was not, or ``empty``."""
    if reading.known:
        return empty
    if reading.failure is not None:
        return f"{what} could not be read: {failure_words(reading.failure)}"
    return f"reading {what}…"
