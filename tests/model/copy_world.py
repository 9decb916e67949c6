"""Two hosts with one identity: the original, and a copy of its disk, that say hello in turn.

The copy is taken at either moment that an honest agent knows: before or after the row moved on. A *turn* is any number
of hellos of one host, at least one of them with a Welcome that it keeps, where the model says so; Welcomes may be lost
and disks refuse at any other time. A late hello takes no part: it is stale and changes nothing. Nothing is bounded but
the number of changes of turn, which is what is asked for.

An honest copy is a restored snapshot of a machine: it follows the protocol. A malicious one sends any pair made of
values that it knows (those that it copied or was told) and of new ones, any number of times.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from fleetroll_agent.identity.ratchet import Ratchet, on_welcome
from fleetroll_server.identity.ratchet import Accept, HelloFacts, IdentityRow, judge
from tests.model.explorer import Broken

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

KEY = b"key"
ORIGINAL, COPY = "original", "copy"


class Pairs(NamedTuple):
    """One state.

    Attributes:
        acked: the row's ratchet.
        original: the original's pair.
        copy: the copy's pair.
        known: what a malicious copy knows.
        last: who said hello last; "" at first.
        kept: the turn that goes on has kept a Welcome, or need not.
        changes: of turn, so far.
    """

    acked: bytes
    original: Ratchet
    copy: Ratchet
    known: frozenset[bytes]
    last: str = ""
    kept: bool = False
    changes: int = 0


COPIED = Ratchet(b"0", b"1")
FIRST = tuple(Pairs(acked, COPIED, COPIED, frozenset([b"0", b"1"])) for acked in (b"0", b"1"))


class Turns:
    """The steps under one set of assumptions."""

    def __init__(self, *, must_keep: frozenset[str], caught_by: int, malicious: bool = False) -> None:
        """Set up.

        Args:
            must_keep: hosts whose turns hold at least one Welcome that they keep.
            caught_by: the change of turn whose first hello is a fork at the latest.
            malicious: the copy sends what it likes.
        """
        self.must_keep = must_keep
        self.caught_by = caught_by
        self.malicious = malicious

    def steps(self, state: Pairs) -> Iterator[tuple[str, Pairs | Broken]]:
        """Yield every hello that can come next; a fork ends the way."""
        for who in (ORIGINAL, COPY):
            changes = state.changes + (state.last not in ("", who))
            if changes > state.changes and not state.kept:
                continue
            for shown in self._hellos(state, who):
                facts = HelloFacts(0, KEY, shown.current, shown.next, 0)
                verdict = judge(IdentityRow(public_key=KEY, acked=state.acked), facts)
                if not isinstance(verdict, Accept):
                    continue
                if changes >= self.caught_by:
                    yield f"{who} accepted", Broken(f"not caught at change of turn {changes}")
                else:
                    after = state._replace(acked=verdict.row.acked, last=who, changes=changes)
                    yield from self._answered(state, after, who)

    def _hellos(self, state: Pairs, who: str) -> Iterable[Ratchet]:
        """Return what ``who`` may show."""
        if who == ORIGINAL:
            return [state.original]
        if not self.malicious:
            return [state.copy]
        return [Ratchet(*pair) for pair in product([*sorted(state.known), b"new"], [*sorted(state.known), b"newer"])]

    def _answered(self, before: Pairs, after: Pairs, who: str) -> Iterator[tuple[str, Pairs]]:
        """Let the Welcome be kept, or lost."""
        going_on = before.last == who and before.kept
        free = who not in self.must_keep
        if who == COPY and self.malicious:
            known = {value for value in (*after.known, after.acked) if value in (after.acked, *_values(after.original))}
            yield f"{who} told", canonical(after._replace(known=frozenset(known), copy=COPIED, kept=True))
            return
        pair = on_welcome(after.original if who == ORIGINAL else after.copy, after.acked, b"fresh")
        keeping = after._replace(original=pair) if who == ORIGINAL else after._replace(copy=pair)
        yield f"{who} keeps its Welcome", canonical(keeping._replace(kept=True))
        yield f"{who} loses its Welcome", canonical(after._replace(kept=going_on or free))


def _values(pair: Ratchet) -> tuple[bytes, bytes]:
    return pair.current, pair.next


def canonical(state: Pairs) -> Pairs:
    """Rename values by first appearance; forget what nobody compares any more."""
    names: dict[bytes, bytes] = {}

    def named(value: bytes) -> bytes:
        return names.setdefault(value, b"%d" % len(names))

    acked = named(state.acked)
    original, copy = (Ratchet(named(pair.current), named(pair.next)) for pair in (state.original, state.copy))
    known = frozenset(named(value) for value in sorted(state.known) if value in names)
    return state._replace(acked=acked, original=original, copy=copy, known=known)
