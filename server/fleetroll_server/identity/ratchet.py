"""The server's half of the ratchet: is this hello the one agent's, a late one, or a copy's?

Pure: a row and a hello in, a verdict with the new row out. The caller writes the row in one durable commit *before* it
says Welcome, and has verified the hello's signature under ``HelloFacts.key`` before it asks.

The checks, in this order, each of which a model showed to be needed where it stands:

0. A revoked identity, and a key that was never this agent's, change nothing: anybody can send those.
1. The row's epoch is no longer the nonce's: STALE, also when the pair matches. A late hello would speak of a state that
   the host has left. No clock takes part.
2. A retired key: fork.
3. ``acked == current``: the agent has moved on with us. ``acked := next``.
4. ``acked == next``: a repeat; our last Welcome was lost, or never made durable there.
5. Anything else: fork.

What a fork does: *updates* are quarantined. A hello whose key is in force still opens a session, so that a running
trial is promoted and the host is seen; a retired key opens none.

In a restored database (a new incarnation) nobody is ``greeted`` yet. The first hello of each agent there may show a
ratchet that was never acknowledged here: it is taken as the agent's, and said to be ``unknown``. A matching first hello
uses this up as well. One that has moved on less often than the row is an older copy, and a fork also then.

Not done here: recognising a copy that repeats the copied pair once and leaves for good: nothing can.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from fleetroll_common.values.codes import Code

STALE_ALERT = 5
"""Stale hellos in a row after which somebody is told: racing streams make one or two (protocol, section 2)."""
REPEAT_ALERT = 4
"""Repeats of one pair in a row: the host can't write its disk, or its answers are cut off (protocol, section 2)."""


class Retirement(StrEnum):
    """Why a key is no longer in force."""

    ROTATED = "rotated"
    """The agent replaced it. Whoever still uses it has a copy, or the *new* key is a thief's: fork."""
    READMITTED = "readmitted"
    """An administrator decided which host is the right one. The other one is refused, and harms it no more."""


@dataclass(frozen=True, slots=True)
class IdentityRow:
    """The identity columns of an agent's row.

    Attributes:
        public_key: the key in force, 32 bytes.
        next_key: the one that shall follow; both are accepted until the first hello with it.
        acked: the ratchet that was acknowledged last, 32 bytes.
        advances: what the last accepted hello said, >= 0.
        epoch: of the newest session; every accepted hello and a revocation raise it.
        stale_streak: STALE answers since the last accepted hello.
        repeat_streak: repeats since the ratchet last moved on.
        greeted: its ratchet is known in this incarnation of the database: enrolled in it, or a hello was accepted.
        quarantined: no offers and no Go until readmission.
        revoked: refused for good.
        younger: than the database, which was brought back: quarantined until its approval, and no copy so far.
    """

    public_key: bytes
    acked: bytes
    next_key: bytes | None = None
    advances: int = 0
    epoch: int = 0
    stale_streak: int = 0
    repeat_streak: int = 0
    greeted: bool = True
    quarantined: bool = False
    revoked: bool = False
    younger: bool = False


@dataclass(frozen=True, slots=True)
class HelloFacts:
    """What a hello with a valid signature shows.

    Attributes:
        nonce_epoch: the row's epoch when this stream's challenge was made.
        key: the public key that signed.
        current: the agent's ratchet.
        next: the one that it proposes.
        advances: how often its ratchet moved on.
        retired: what the table of retired keys says about ``key``; None when it is not there.
    """

    nonce_epoch: int
    key: bytes
    current: bytes
    next: bytes
    advances: int
    retired: Retirement | None = None


@dataclass(frozen=True, slots=True)
class Accept:
    """The agent itself. Commit ``row`` (and the retired key), then say Welcome naming ``row.acked``.

    Attributes:
        row: the new row.
        advanced: False for a repeat.
        retired_key: the key that this hello ended; to be kept as ``ROTATED``.
        alert: the same pair came too often.
        unknown: the ratchet was never acknowledged by this database, which was restored: to be audited.
    """

    row: IdentityRow
    advanced: bool
    retired_key: bytes | None
    alert: bool
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Stale:
    """A late hello: answer STALE_HELLO, raise no alarm; ``alert`` only when it happens again and again."""

    row: IdentityRow
    alert: bool


@dataclass(frozen=True, slots=True)
class Fork:
    """Two hosts share one identity. Commit ``row``, which is quarantined.

    Attributes:
        row: the new row.
        welcome: True: open the session, quarantined; its Welcome names ``row.acked``, which changes nothing over there.
            False: refuse with IDENTITY_FORKED.
        alert: True for the fork that quarantined it: one alert per quarantine.
    """

    row: IdentityRow
    welcome: bool
    alert: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing is written. ``code`` is IDENTITY_REVOKED, IDENTITY_FORKED or IDENTITY_UNKNOWN (a key of nobody)."""

    code: Code


Verdict = Accept | Stale | Fork | Refused


def judge(row: IdentityRow, hello: HelloFacts) -> Verdict:
    """Return what ``hello`` is, by the checks of the module's docstring in their order."""
    in_force = hello.key in (row.public_key, row.next_key)
    if row.revoked:
        return Refused(Code.IDENTITY_REVOKED)
    if not in_force and hello.retired is not Retirement.ROTATED:
        return Refused(Code.IDENTITY_UNKNOWN if hello.retired is None else Code.IDENTITY_FORKED)
    return _judge_known_key(row, hello, in_force=in_force)


def _judge_known_key(row: IdentityRow, hello: HelloFacts, *, in_force: bool) -> Accept | Stale | Fork:
    """Return the verdict of checks 1 to 5."""
    if is_late(row, hello):
        streak = row.stale_streak + 1
        return Stale(replace(row, stale_streak=streak), alert=streak >= STALE_ALERT)
    if not in_force:
        return _forked(row, welcome=False)
    if moves_on(row, hello):
        return _accepted(row, hello, acked=hello.next, repeats=0)
    if is_repeat(row, hello):
        return _accepted(row, hello, acked=row.acked, repeats=row.repeat_streak + 1)
    if may_be_unknown(row, hello):
        return replace(_accepted(row, hello, acked=hello.next, repeats=0), unknown=True)
    return _forked(row, welcome=True)


def is_late(row: IdentityRow, hello: HelloFacts) -> bool:
    """Tell whether another hello was accepted, or the identity revoked, since this one's challenge."""
    return hello.nonce_epoch != row.epoch


def moves_on(row: IdentityRow, hello: HelloFacts) -> bool:
    """Tell whether the agent holds the ratchet that was acknowledged last."""
    return hello.current == row.acked


def may_be_unknown(row: IdentityRow, hello: HelloFacts) -> bool:
    """Tell whether this first hello in a restored database may show any ratchet: it is none of an older copy."""
    in_no_doubt = row.younger or not row.quarantined
    return not row.greeted and in_no_doubt and hello.advances >= row.advances


def is_repeat(row: IdentityRow, hello: HelloFacts) -> bool:
    """Tell whether the agent proposes again what was acknowledged already."""
    return hello.next == row.acked


def _accepted(row: IdentityRow, hello: HelloFacts, *, acked: bytes, repeats: int) -> Accept:
    """Return the verdict for the agent itself; a first hello with the new key ends the old one."""
    rotated = hello.key == row.next_key
    after = replace(
        row,
        public_key=hello.key,
        next_key=None if rotated else row.next_key,
        acked=acked,
        advances=hello.advances,
        epoch=row.epoch + 1,
        stale_streak=0,
        repeat_streak=repeats,
        greeted=True,
    )
    ended = row.public_key if rotated else None
    return Accept(after, advanced=repeats == 0, retired_key=ended, alert=repeats >= REPEAT_ALERT)


def _forked(row: IdentityRow, *, welcome: bool) -> Fork:
    """Return the verdict for a copy. The ratchet stays: which of the two is the right one is not ours to say."""
    epoch = row.epoch + 1 if welcome else row.epoch
    return Fork(replace(row, quarantined=True, epoch=epoch, stale_streak=0), welcome=welcome, alert=not row.quarantined)
