"""The columns of the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_common.values.standing import VersionStanding, version_standing
from fleetroll_tui.model.decisions import name_of
from fleetroll_tui.model.progress import ended, gate
from fleetroll_tui.model.values import BAD
from fleetroll_tui.model.versions import is_behind
from fleetroll_tui.screens.panels import waiting_words
from fleetroll_tui.signs import ATTEMPTS, ROLLOUTS, WAVES
from fleetroll_tui.text import ago, clean, clock_time, lasting, number
from fleetroll_tui.widgets.table import Column

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_tui.model.values import Attempt, Happening, Host, Member, Rollout, Wave
    from fleetroll_tui.paint import Paint, Span


def plain_text(get: Callable[[Any], str], role: str = "text") -> Callable[[Any, Paint, float, int], list[Span]]:
    """Return a cell of somebody's words."""
    return lambda row, _paint, _now, _width: [(clean(get(row)), role)]


def chip(host: Host) -> list[Span]:
    """Return the version that runs, and the one that it should be where it is behind."""
    product = host.product
    current = clean(product.current, 64) or "unknown"
    if is_behind(host):
        behind = next(each for each in host.products if each.target and is_behind_product(each.current, each.target))
        return [(f"{clean(behind.current, 64)}", "text"), (" → ", "muted"), (clean(behind.target, 64), "wait!")]
    newer = product.target and version_standing(product.current, product.target) is VersionStanding.NEWER
    return [
        (current, "text" if product.current else "muted"),
        (" ↑ newer than asked", "muted") if newer else ("", "text"),
    ]


def is_behind_product(current: str, target: str) -> bool:
    """Tell whether one version is below another."""
    return version_standing(current, target) is VersionStanding.BEHIND


def _online(host: Host | Member, _paint: Paint, _now: float, _width: int) -> list[Span]:
    return [("●", "ok")] if host.online else [("○", "bad")]


def local_words(host: Host) -> str:
    """Return what was decided or done on the host itself, of every product; empty for nothing."""
    said = []
    for product in host.products:
        changed = f"changed on the host from {clean(product.target, 64)}" if product.changed_on_host else ""
        words = "; ".join(word for word in (changed, clean(product.note, 300)) if word)
        said += [f"{clean(product.name, 40)}: {words}" if len(host.products) > 1 else words] if words else []
    return "; ".join(said)


def _result(host: Host, _paint: Paint, _now: float, _width: int) -> list[Span]:
    words = local_words(host)
    if words:
        return [(words, "wait")]
    last = host.product.last_attempt
    words = ": ".join(word for word in (last.code, clean(last.message)) if word)
    return [(words, "bad" if last.state in BAD else "muted")]


def _seen(host: Host, _paint: Paint, now: float, _width: int) -> list[Span]:
    return [("now", "muted")] if host.online else [(ago(now, host.last_seen_at), "bad")]


def host_columns() -> list[Column]:
    """Return the columns of hosts."""
    return [
        Column("", 1, _online),
        Column("host", 16, plain_text(lambda host: host.name), flex=4, most=44),
        Column("state", 17, lambda host, paint, _now, _width: [paint.sign(ATTEMPTS, host.state)]),
        Column("version", 20, lambda host, _paint, _now, _width: chip(host), flex=2, most=32),
        Column("seen", 5, _seen, right=True),
        Column("fleet", 12, plain_text(lambda host: host.fleet_id, "muted"), flex=1, most=20, rank=2),
        Column("platform", 14, plain_text(lambda host: f"{host.os}/{host.arch}", "muted"), rank=4),
        Column("last result", 18, _result, flex=4, most=80, rank=3),
    ]


def _member_version(member: Member, _paint: Paint, _now: float, _width: int) -> list[Span]:
    attempt = member.attempt
    return [
        (clean(attempt.from_version, 40) or "–", "text" if attempt.from_version else "muted"),
        (" → ", "muted"),
        (clean(attempt.to_version, 40) or "–", "text"),
    ]


def _member_why(member: Member, _paint: Paint, _now: float, _width: int) -> list[Span]:
    attempt = member.attempt
    if member.waiting:
        return [(f"waits: {member.waiting}", "wait")]
    words = ": ".join(word for word in (attempt.code, clean(attempt.message)) if word)
    if not words and attempt.step:
        words = f"step {clean(attempt.step, 60)}"
    return [(words, "bad" if attempt.state in BAD else "muted")]


def member_columns() -> list[Column]:
    """Return the columns of a rollout's hosts."""
    return [
        Column("", 1, _online),
        Column("host", 14, plain_text(lambda member: member.name), flex=3, most=40),
        Column("wave", 4, plain_text(lambda member: str(member.wave), "muted"), right=True, rank=2),
        Column(
            "state", 17, lambda member, paint, _now, _width: [paint.sign(ATTEMPTS, member.attempt.state or "pending")]
        ),
        Column("version", 16, _member_version, flex=1, most=28, rank=3),
        Column("for", 4, lambda member, _paint, now, _width: [(ago(now, member.changed_at), "muted")], right=True),
        Column("why", 24, _member_why, flex=4, most=90, rank=1),
    ]


def _wave_progress(wave: Wave, paint: Paint, _now: float, width: int) -> list[Span]:
    return paint.bar(wave.counts, wave.hosts, width)


def _wave_time(wave: Wave, _paint: Paint, now: float, _width: int) -> list[Span]:
    if wave.ended_at:
        return [(clock_time(wave.ended_at, now), "muted")]
    return [(lasting(now - wave.opened_at), "text")] if wave.opened_at else [("–", "muted")]


def wave_columns() -> list[Column]:
    """Return the columns of waves."""
    return [
        Column("wave", 4, plain_text(lambda wave: str(wave.number)), right=True),
        Column("state", 16, lambda wave, paint, _now, _width: [paint.sign(WAVES, wave.state)]),
        Column("progress", 14, _wave_progress, flex=3, most=60),
        Column(
            "done",
            11,
            lambda wave, _paint, _now, _width: [(f"{number(ended(wave.counts))}/{number(wave.hosts)}", "text")],
            right=True,
        ),
        Column(
            "bad",
            5,
            lambda wave, _paint, _now, _width: [(number(wave.bad), "bad!" if wave.bad else "muted")],
            right=True,
        ),
        Column("time", 10, _wave_time, right=True, rank=2),
        Column("gate", 12, plain_text(lambda wave: wave.gate, "muted"), flex=3, most=70, rank=1),
    ]


def _where(rollout: Rollout, _paint: Paint, _now: float, _width: int) -> list[Span]:
    wave = rollout.wave
    return [(f"{wave.number}/{len(rollout.waves)}" if wave is not None else "–", "text")]


def _rollout_gate(rollout: Rollout, _paint: Paint, _now: float, _width: int) -> list[Span]:
    wave = rollout.wave
    if wave is None or rollout.ended:
        return [("–", "muted")]
    found = gate(rollout, wave)
    mark = " ✖" if found.over else " ▲" if found.close else ""
    role = "bad!" if found.over else "wait!" if found.close else "text"
    return [(f"{found.bad} of {found.max_failed}{mark}", role)]


def rollout_columns() -> list[Column]:
    """Return the columns of rollouts."""
    return [
        Column("rollout", 16, plain_text(name_of), flex=3, most=40),
        Column("state", 17, lambda rollout, paint, _now, _width: [paint.sign(ROLLOUTS, rollout.state)]),
        Column("wave", 5, _where, right=True),
        Column(
            "progress",
            10,
            lambda rollout, paint, _now, width: paint.bar(rollout.counts, rollout.hosts, width),
            flex=3,
            most=40,
        ),
        Column(
            "done",
            11,
            lambda rollout, _paint, _now, _width: [
                (f"{number(ended(rollout.counts))}/{number(rollout.hosts)}", "text")
            ],
            right=True,
        ),
        Column(
            "bad",
            5,
            lambda rollout, _paint, _now, _width: [(number(rollout.bad), "bad!" if rollout.bad else "muted")],
            right=True,
        ),
        Column("gate", 8, _rollout_gate, rank=2),
        Column("fleet", 12, plain_text(lambda rollout: rollout.fleet_id, "muted"), flex=1, most=20, rank=3),
        Column("who", 10, plain_text(lambda rollout: rollout.started.by, "muted"), flex=1, most=20, rank=4),
        Column(
            "started", 13, lambda rollout, _paint, now, _width: [(clock_time(rollout.started.at, now), "muted")], rank=5
        ),
    ]


def waiting_columns() -> list[Column]:
    """Return the columns of what waits for a person."""
    return [
        Column("rollout", 16, plain_text(name_of), flex=1, most=32),
        Column("state", 17, lambda rollout, paint, _now, _width: [paint.sign(ROLLOUTS, rollout.state)], rank=1),
        Column("waits for", 26, plain_text(waiting_words, "wait"), flex=4, most=120),
    ]


def event_columns(host_name: Callable[[str], str]) -> list[Column]:
    """Return the columns of events."""

    def what(event: Happening, paint: Paint, _now: float, _width: int) -> list[Span]:
        state = paint.sign(ATTEMPTS, event.state) if event.state else (clean(event.kind, 60).replace(".", " "), "text")
        words = ": ".join(word for word in (event.code, clean(event.message), clean(event.reason)) if word)
        who = clean(host_name(event.host_id), 60) if event.host_id else ""
        return [(f"{who} " if who else "", "text"), state, (f"  {words}" if words else "", "muted")]

    return [
        Column("time", 9, lambda event, _paint, now, _width: [(clock_time(event.at, now), "muted")]),
        Column("what", 20, what, flex=1),
        Column("by", 11, plain_text(lambda event: event.by, "muted"), rank=1, most=16),
    ]


def attempt_columns() -> list[Column]:
    """Return the columns of a host's attempts."""

    def took(attempt: Attempt, _paint: Paint, now: float, _width: int) -> list[Span]:
        if not attempt.offered_at:
            return [("–", "muted")]
        return [(lasting((attempt.ended_at or now) - attempt.offered_at), "text" if attempt.ended_at else "active")]

    def why(attempt: Attempt, _paint: Paint, _now: float, _width: int) -> list[Span]:
        words = ": ".join(word for word in (attempt.code, clean(attempt.message)) if word)
        return [(words + (" (unproven)" if attempt.unproven else ""), "bad" if attempt.state in BAD else "muted")]

    def version(attempt: Attempt, _paint: Paint, _now: float, _width: int) -> list[Span]:
        return [
            (clean(attempt.from_version, 40) or "–", "muted"),
            (" → ", "muted"),
            (clean(attempt.to_version, 40), "text"),
        ]

    return [
        Column("began", 12, lambda attempt, _paint, now, _width: [(clock_time(attempt.offered_at, now), "muted")]),
        Column("state", 17, lambda attempt, paint, _now, _width: [paint.sign(ATTEMPTS, attempt.state)]),
        Column("version", 16, version, flex=1, most=26),
        Column("took", 10, took, right=True),
        Column("why", 12, why, flex=3, most=100, rank=1),
    ]
