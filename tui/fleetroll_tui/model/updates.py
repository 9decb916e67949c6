"""What a feed says: a part of a snapshot, changes, or a word about the connection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll_tui.model.values import Happening, Host, Member, Rollout, Switch, Token


@dataclass(frozen=True, slots=True)
class Stand:
    """Things as they stand; each replaces the one of the same id."""

    rollouts: tuple[Rollout, ...] = ()
    switches: tuple[Switch, ...] = ()
    hosts: tuple[Host, ...] = ()
    members: tuple[Member, ...] = ()
    token: Token | None = None
    """Whose right it is, in the first page of a snapshot; None where it is not said."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a snapshot: what is known is replaced when the last one is there, never before."""

    sent_at: float
    stand: Stand
    last: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """What happened, and what stands after it."""

    sent_at: float
    stand: Stand
    happenings: tuple[Happening, ...] = ()


@dataclass(frozen=True, slots=True)
class Older:
    """What happened before the watch began, newest first; already known ones may be among them."""

    happenings: tuple[Happening, ...]


@dataclass(frozen=True, slots=True)
class Alive:
    """The server is there; nothing changed."""

    sent_at: float


@dataclass(frozen=True, slots=True)
class Resync:
    """What is known is about to be replaced; with ``log_replaced`` the events too: their ids come again for others."""

    sent_at: float
    reason: str
    log_replaced: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """Nothing is heard, or the connection is gone.

    Attributes:
        code: the error's code.
        message: what happened, in words.
        remedy: what the reader can do about it; empty where waiting is all.
        tries: number of the try to connect that is under way; 0 while the connection is open but silent.
        final: True when trying again is no use: a token that is refused.
    """

    code: str
    message: str
    remedy: str = ""
    tries: int = 0
    final: bool = False


PIECE = 50
"""Hosts, or events, that are taken in at once: some milliseconds of work."""
Update = Page | Changed | Older | Alive | Resync | Lost


def pieces(update: Update) -> Iterator[Update]:
    """Yield changes as smaller ones, which say the same one after the other; any other update as it is."""
    if not isinstance(update, Changed):
        yield update
        return
    stand, happenings = update.stand, update.happenings
    most = max(len(stand.hosts), len(stand.members), len(happenings), 1)
    for start in range(0, most, PIECE):
        part = slice(start, start + PIECE)
        first = Stand(stand.rollouts, stand.switches, token=stand.token) if start == 0 else Stand()
        piece = replace(first, hosts=stand.hosts[part], members=stand.members[part])
        # The clock is told once: later pieces are taken in later, and would set it back.
        yield Changed(update.sent_at if start == 0 else 0.0, piece, happenings[part])
