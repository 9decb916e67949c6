"""When hellos were accepted: what the record of it says, and what time in which none were does to clocks.

A spell is time in which one server accepted every hello; each server writes its own. Closed time is what no spell
covers: every server was down, drained, could store nothing, or refused hellos. It counts against no host.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from fleetroll_server.domain.deadlines import GRANTED_SECONDS
from fleetroll_server.domain.states import AttemptState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

TICK = timedelta(seconds=5)
"""Between two signs of life of a spell."""
MAX_GAP = timedelta(seconds=10)
"""A spell that gave no sign for longer has ended with its last one: one tick may fail, not two."""
KEPT = timedelta(days=30)
"""How long spells are kept: ten times the longest time that a host may announce (3 days)."""
MAX_SPELLS = 10_000
"""Spells that are kept at most, the newest ones: a server that refuses a hello each ten seconds fills that in a day."""


@dataclass(frozen=True, slots=True)
class Spell:
    """One stretch of accepting hellos.

    Attributes:
        began_at: its first instant.
        ticked_at: the last sign of life, >= ``began_at``.
        over: nothing after ``ticked_at`` belongs to it.
    """

    began_at: datetime
    ticked_at: datetime
    over: bool = False

    def until(self, now: datetime) -> datetime:
        """Return up to when it lasted: to ``now`` while its last sign is young.

        One that has only begun proves nothing yet: of servers that all refuse hellos none vouches for another.
        """
        proven = not self.over and self.began_at < self.ticked_at
        return now if proven and self.ticked_at < now <= self.ticked_at + MAX_GAP else self.ticked_at


@dataclass(frozen=True, slots=True)
class Span:
    """Closed time, ``began_at`` < ``ended_at``."""

    began_at: datetime
    ended_at: datetime


def goes_on(mine: Spell, now: datetime, *, refused: bool) -> bool:
    """Tell whether a server's spell lasts to ``now``. ``refused``: it refused a hello since the last sign of life."""
    return not mine.over and not refused and now <= mine.ticked_at + MAX_GAP


def heard_through(mine: Spell, signs: Iterable[datetime], *, refused: bool) -> Spell:
    """Return a server's spell with the signs of life that belong to it, over where one of them came too late.

    Args:
        mine: as it is recorded.
        signs: when the server was seen alive since, in order.
        refused: it refused a hello since the last recorded sign: none of the new ones counts.
    """
    for sign in signs:
        if not goes_on(mine, sign, refused=refused):
            return replace(mine, over=True)
        mine = replace(mine, ticked_at=max(mine.ticked_at, sign))
    return mine


def closed_until_now(spells: Collection[Spell], now: datetime) -> Span | None:
    """Return the closed time that lasts still; nothing while a spell does, or before there was any."""
    last = max((spell.until(now) for spell in spells), default=now)
    return Span(last, now) if last < now else None


def closed_within(spells: Iterable[Spell], since: datetime, now: datetime) -> list[Span]:
    """Return the closed time between two instants, in order.

    The time before the first of ``spells`` is not known, and counts as none: whatever went wrong in it is judged as if
    the server had been there.
    """
    ordered = sorted(spells, key=lambda spell: spell.began_at)
    if not ordered:
        return []
    covered, closed = max(since, ordered[0].began_at), []
    for spell in ordered:
        if covered < spell.began_at:
            closed.append(Span(covered, min(spell.began_at, now)))
        covered = max(covered, spell.until(now))
    if covered < now:
        closed.append(Span(covered, now))
    return [span for span in closed if span.began_at < span.ended_at]


def moved_on(state: AttemptState, due: datetime, changed_at: datetime, closed: Span) -> datetime:
    """Return a running deadline after closed time: later by what of it the clock of ``state`` had run in.

    Args:
        state: of the attempt.
        due: its deadline.
        changed_at: when it entered the state, or was heard in it last.
        closed: what does not count.
    """
    since = changed_at
    if state is AttemptState.GRANTED:  # its clock starts when the host's session ends, which changes no state
        since = due - timedelta(seconds=GRANTED_SECONDS)
    elif state is AttemptState.PROMOTED:  # it has the deadline of its trial
        since = closed.began_at
    return stood_still(due, since, closed)


def stood_still(at: datetime, since: datetime, closed: Span) -> datetime:
    """Return an instant after closed time: later by what of it a clock that runs from ``since`` had run in."""
    return at + max(timedelta(), closed.ended_at - max(since, closed.began_at))
