"""The columns of releases and of signing keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_tui.model.signing import GOOD, stage
from fleetroll_tui.screens.columns import plain_text
from fleetroll_tui.signs import ENDS, RELEASES
from fleetroll_tui.text import ago, calendar_day, clean, data_size, number, short_lasting
from fleetroll_tui.widgets.table import Column

if TYPE_CHECKING:
    from fleetroll_tui.model.releases import Release
    from fleetroll_tui.model.signing import RoleKey
    from fleetroll_tui.paint import Paint, Span

FEW = 8
"""Hex digits of a hash or of a key's id in a column."""
UNKNOWN = "–"


def _digest(release: Release, _paint: Paint, _now: float, _width: int) -> list[Span]:
    first = release.artefacts[0].sha256[:FEW] if release.artefacts else UNKNOWN
    more = len(release.artefacts) - 1
    return [(first, "muted"), (f" +{more}" if more > 0 else "", "muted")]


def _key(release: Release, _paint: Paint, _now: float, _width: int) -> list[Span]:
    more = len(release.keys) - 1
    first = clean(release.keys[0], 64)[:FEW] if release.keys else UNKNOWN
    return [(first, "muted"), (f" +{more}" if more > 0 else "", "muted")]


def _count(hosts: int, role: str) -> list[Span]:
    return [(number(hosts), role if hosts else "muted")]


def release_columns() -> list[Column]:
    """Return the columns of releases."""
    return [
        Column("product", 12, plain_text(lambda release: release.product), flex=2, most=30),
        Column("version", 10, plain_text(lambda release: release.version), flex=1, most=24),
        Column("state", 9, lambda release, paint, _now, _width: [paint.sign(RELEASES, release.state)]),
        Column("runs", 6, lambda release, _paint, _now, _width: _count(release.runs, "text!"), right=True),
        Column("wanted", 6, lambda release, _paint, _now, _width: _count(release.wanted, "active"), right=True),
        Column("channels", 14, plain_text(lambda release: ", ".join(release.channels)), flex=2, most=30, rank=1),
        Column("published", 10, lambda each, *_: [(calendar_day(each.at), "muted")], rank=3),
        Column("size", 6, lambda each, *_: [(data_size(each.length), "muted")], right=True, rank=4),
        Column("digest", 11, _digest, rank=5),
        Column("platforms", 18, plain_text(lambda each: ", ".join(each.platforms), "muted"), flex=3, most=60, rank=6),
        Column("key", 11, _key, rank=7),
        Column("by", 10, plain_text(lambda release: release.by, "muted"), flex=1, most=20, rank=8),
    ]


def _ends(line: RoleKey, paint: Paint, now: float, _width: int) -> list[Span]:
    role = line.role
    if not role.expires_at:
        return [(UNKNOWN, "muted")]
    at = stage(role.name, role.expires_at, now)
    sign, colour = paint.sign(ENDS, at)
    left = short_lasting(abs(role.expires_at - now))
    bold = "" if at == GOOD else "!"
    return [(f"{sign} {left}", colour + bold)]


def _exchange(line: RoleKey, _paint: Paint, now: float, _width: int) -> list[Span]:
    key = line.key
    if not key.rotate_after:
        return [("▲ now" if key.old else UNKNOWN, "wait!" if key.old else "muted")]
    left = short_lasting(abs(key.rotate_after - now))
    return [(f"▲ {left} late", "wait!")] if key.old or key.rotate_after < now else [(f"in {left}", "muted")]


def _held(line: RoleKey, _paint: Paint, _now: float, _width: int) -> list[Span]:
    return [("here", "text")] if line.key.held_here else [("offline", "ok")]


def key_columns() -> list[Column]:
    """Return the columns of signing keys."""
    return [
        Column("role", 14, plain_text(lambda line: line.role.name), flex=2, most=40),
        Column("signature", 15, _ends),
        Column("needs", 6, lambda line, *_: [(f"{line.role.threshold} of {len(line.role.keys)}", "text")], rank=1),
        Column("key", 8, plain_text(lambda line: line.key.id or UNKNOWN), flex=3, most=64),
        Column("age", 4, lambda line, _paint, now, _width: [(ago(now, line.key.since), "muted")], right=True),
        Column("exchange", 11, _exchange),
        Column("held", 7, _held),
        Column("version", 7, plain_text(lambda line: str(line.role.version), "muted"), right=True, rank=2),
    ]
