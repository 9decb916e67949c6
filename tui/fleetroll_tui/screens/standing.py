"""The bands of what concerns every screen beside the kill switch: signatures whose time is over, or nearly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_tui.model.signing import EXPIRED, urgent_roles
from fleetroll_tui.text import clean, lasting, number

if TYPE_CHECKING:
    from fleetroll_tui.model.papers import Papers
    from fleetroll_tui.paint import Span

MOST_ROLES = 3
"""Roles that are named at once."""


def standing_lines(papers: Papers, now: float) -> list[list[Span]]:
    """Say what is wrong with the server, wherever one is."""
    urgent = urgent_roles(papers.signing.value, now)
    lines: list[list[Span]] = []
    for role, stage in urgent[:MOST_ROLES]:
        left = lasting(abs(role.expires_at - now))
        if stage == EXPIRED:
            words = f" expired {left} ago: nothing new is installed until it is signed anew; what runs goes on"
        else:
            words = f" ends in {left}: nothing new is installed after that until it is signed anew"
        head = " EXPIRED " if stage == EXPIRED else " ENDS SOON "
        lines.append(
            [(head, "bad!"), (clean(role.name, 80), "text!"), (words, "text"), (". 0 shows the keys", "muted")]
        )
    more = len(urgent) - MOST_ROLES
    return [*lines, [(f" and {number(more)} more roles", "bad!")]] if more > 0 else lines
