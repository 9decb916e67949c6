"""The agent's half of the ratchet, and which of its keys it speaks with. Pure: random bytes come in.

Rules:

1. The agent chooses both values. They are on disk before a hello shows them.
2. One hello is in flight per agent: the next stream begins only when the one before is closed.
3. A Welcome that names the ``next`` on disk moves the ratchet on, written *at once*, before the session is used. Any
   other Welcome changes nothing.
4. When the disk refuses that write, the session is used and the old pair is sent again: the server takes the repeat.
5. A new key is on disk before the server hears of it. The agent speaks with the new key first, and with the old one
   only after the server has *said* that it does not know the new one: a lost answer is no reason, since the old key may
   have been ended by it, and a hello with an ended key is a fork.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fleetroll_common.values.codes import Code


@dataclass(frozen=True, slots=True)
class Ratchet:
    """The pair on disk.

    Attributes:
        current: what the server acknowledged as far as this host knows, 32 bytes.
        next: what the next hello proposes, 32 bytes.
        advances: how often the ratchet moved on, >= 0.
    """

    current: bytes
    next: bytes
    advances: int = 0


def on_welcome(ratchet: Ratchet, acknowledged_next: bytes, fresh: bytes) -> Ratchet:
    """Return the pair to write and use after a Welcome; the same one when there is nothing to write.

    Args:
        ratchet: the pair that is on disk now (not the one of the hello, if these differ).
        acknowledged_next: what the Welcome names.
        fresh: 32 random bytes that were never used.
    """
    if acknowledged_next != ratchet.next:
        return ratchet
    return Ratchet(current=ratchet.next, next=fresh, advances=ratchet.advances + 1)


@dataclass(frozen=True, slots=True)
class Began:
    """When the latest rotation began: a boot, and its second on the clock that counts suspend."""

    boot_id: str
    boot_seconds: float


@dataclass(frozen=True, slots=True)
class Keys:
    """Private keys (seeds of 32 bytes) as they are on disk; never shown.

    Attributes:
        current: the key that the server knows.
        pending: the one that shall follow; None outside a rotation.
        pending_unknown: the server said that it does not know the pending one; kept in memory alone.
        since: the current one's age counts from here, in Unix seconds; None = not written down yet.
        began: the latest rotation; None = there was none.
    """

    current: bytes
    pending: bytes | None = None
    pending_unknown: bool = False
    since: float | None = None
    began: Began | None = None

    def __repr__(self) -> str:
        """Say which keys there are and nothing about them."""
        return f"Keys(pending={self.pending is not None}, pending_unknown={self.pending_unknown})"

    @property
    def speaking(self) -> bytes:
        """The key for the next hello: the pending one, until the server says that it does not know it."""
        return self.current if self.pending is None or self.pending_unknown else self.pending


def on_refusal(keys: Keys, code: Code) -> Keys:
    """Return the keys after a hello was refused with ``code``; only an unknown pending key changes anything."""
    unknown = code is Code.IDENTITY_UNKNOWN and keys.speaking == keys.pending
    return replace(keys, pending_unknown=True) if unknown else keys


def on_key_welcomed(keys: Keys) -> Keys:
    """Return the keys after a Welcome: a pending key that was spoken with is the current one now; write them."""
    if keys.pending is None or keys.speaking != keys.pending:
        return keys
    return Keys(current=keys.pending, began=keys.began)


def propose(keys: Keys, fresh: bytes, began: Began | None = None) -> Keys:
    """Return the keys with a pending one to write before the server hears of it.

    One that is pending already is proposed again: the server may know it.
    """
    return replace(keys, pending=keys.pending or fresh, pending_unknown=False, began=began or keys.began)


def on_key_accepted(keys: Keys) -> Keys:
    """Return the keys after the server said that it holds the pending one: the next hello speaks with it."""
    return replace(keys, pending_unknown=False)
