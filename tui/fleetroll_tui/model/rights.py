"""Which token a decision needs, and whether this one is enough.

Only what spreads is withheld by it. What stops is always sent: the server says no where it has to, and a console that
errs about a right must never keep anybody from stopping.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetroll_tui.model.values import Token


@dataclass(frozen=True, slots=True)
class Need:
    """What the contract asks of whoever makes a call.

    Attributes:
        role: the least one, in a word.
        rank: its number in the contract; higher for the role that may do more.
        scope: of the token.
    """

    role: str
    rank: int
    scope: str


def why_denied(need: Need, token: Token | None) -> str:
    """Return why a token is not enough; "" when it is, or when it is not known whose it is."""
    if token is None:
        return ""
    if token.rank < need.rank:
        return f"this needs the token of an {need.role}; yours is {token.role}"
    if token.scopes and need.scope not in token.scopes:
        return f"this needs the scope {need.scope}, which your token does not have"
    return ""
