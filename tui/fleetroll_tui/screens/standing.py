"""The bands of what concerns every screen beside the kill switch: a RECOVERY, signatures whose time is nearly over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_tui.model.signing import EXPIRED, urgent_roles
from fleetroll_tui.text import clean, clock_time, lasting, number, of

if TYPE_CHECKING:
    from fleetroll_tui.model.papers import Papers
    from fleetroll_tui.paint import Span

MOST_ROLES = 3
"""Roles that are named at once."""


def standing_lines(papers: Papers, now: float) -> list[list[Span]]:
    """Say what is wrong with the server, wherever one is."""
    return [*_recovery(papers, now), *_ends(papers, now)]


def _recovery(papers: Papers, now: float) -> list[list[Span]]:
    recovery = papers.recovery.value
    if recovery.active:
        words = f"since {clock_time(recovery.since, now)}: {clean(recovery.words, 100)}. "
        words += f"{number(recovery.seen)} of {of(recovery.known, 'host')} seen. Nothing is offered, no host gets Go."
        return [[(" RECOVERY ", "bad!"), (words, "text"), ("  0 shows what to do", "wait!")]]
    if papers.recovering_since and not papers.recovery.known:
        words = f"since {clock_time(papers.recovering_since, now)}: nothing is offered, no host gets Go. "
        return [[(" RECOVERY ", "bad!"), (words, "text"), ("Your token may not read more.", "muted")]]
    return []


def _ends(papers: Papers, now: float) -> list[list[Span]]:
    urgent = urgent_roles(papers.signing.value, now)
    lines: list[list[Span]] = []
    for role, stage in urgent[:MOST_ROLES]:
        left = lasting(abs(role.expires_at - now))
        if stage == EXPIRED:
            words = f" expired {left} ago: nothing new is installed until it is signed anew; what runs goes on"
        else:
            words = f" ends in {left}: nothing new is installed after that until it is signed anew"
        head = " EXPIRED " if stage == EXPIRED else " ENDS SOON "
        lines.append([(head, "bad!"), (clean(role.name, 80), "text!"), (words, "text"), (". 0 shows more", "muted")])
    more = len(urgent) - MOST_ROLES
    return [*lines, [(f" and {number(more)} more roles", "bad!")]] if more > 0 else lines
