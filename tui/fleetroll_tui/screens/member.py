"""What is said of one host: in a rollout's pane, and at the head of its own screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_tui.model.stays import stays
from fleetroll_tui.model.values import BAD
from fleetroll_tui.screens.columns import chip, local_words
from fleetroll_tui.screens.panels import TWO_COLUMNS, label
from fleetroll_tui.signs import ATTEMPTS, sign_of
from fleetroll_tui.text import ago, clean, clean_lines, clock_time, data_size, lasting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleetroll_tui.model.values import Attempt, Happening, Host, Member
    from fleetroll_tui.paint import Paint, Span

TAIL_LINES = 40
STAYS_PER_LINE = 3


def member_lines(member: Member | None, host: Host | None, paint: Paint, now: float, width: int) -> list[list[Span]]:
    """Say how a host stands in a rollout."""
    if member is None:
        return [[("choose a host", "muted")]]
    online: Span = ("● online", "ok") if member.online else ("○ offline", "bad!")
    lines: list[list[Span]] = [[(clean(member.name, width - 12), "text!"), ("  ", "text"), online]]
    lines.append(
        [label("Wave"), (str(member.wave), "text"), (f"   waits: {member.waiting}" if member.waiting else "", "wait")]
    )
    if host is not None:
        lines.append([label("Platform"), (f"{clean(host.os)}/{clean(host.arch)}", "text")])
        lines.append([label("Runs"), *chip(host)])
    return [*lines, *attempt_lines(member.attempt, paint, now)]


def attempt_lines(
    attempt: Attempt, paint: Paint, now: float, log: Iterable[Happening] | None = None
) -> list[list[Span]]:
    """Say how an attempt stands, what it said last, the end of its output; with its host's log how long it all took."""
    if not attempt.state:
        return [[label("Attempt"), ("none yet", "muted")]]
    head: list[Span] = [label("Attempt"), paint.sign(ATTEMPTS, attempt.state, bold=True)]
    head.append((f"  {attempt.code}" if attempt.code else "", "bad!" if attempt.state in BAD else "text"))
    head.append(("  unproven" if attempt.unproven else "", "muted"))
    versions: list[Span] = [
        label(""),
        (f"{clean(attempt.from_version, 64) or '–'} → {clean(attempt.to_version, 64)}", "text"),
    ]
    times: list[Span] = [label(""), (f"offered {clock_time(attempt.offered_at, now)}", "muted")]
    if attempt.granted_at:
        times.append((f"  go {clock_time(attempt.granted_at, now)}", "muted"))
    if attempt.ended_at:
        times.append((f"  ended {clock_time(attempt.ended_at, now)}", "muted"))
    lines = [head, versions, times]
    if log is not None:
        lines += _lasted(attempt, now, log)
    if attempt.step:
        lines.append([label("Step"), (clean(attempt.step, 100), "text")])
    if attempt.message:
        lines.append([label("Said"), (clean(attempt.message, 500), "text")])
    tail = clean_lines(attempt.output_tail, TAIL_LINES)
    if tail:
        lines += [[("Its last output", "muted!")], *([("│ ", "muted"), (line, "text")] for line in tail)]
    return lines


def _lasted(attempt: Attempt, now: float, log: Iterable[Happening]) -> list[list[Span]]:
    """Say how long each state lasted; where the log does not tell, how long it took until Go, and after it."""
    found = [
        (sign_of(ATTEMPTS, each.state), f"{lasting(each.seconds)}{'' if each.over else ' so far'}")
        for each in stays(attempt, log, now)
    ]
    lines = []
    for first in range(0, len(found), STAYS_PER_LINE):
        line: list[Span] = [label("" if first else "Lasted")]
        for sign, words in found[first : first + STAYS_PER_LINE]:
            line += [(f"{sign.word} ", sign.role), (f"{words}   ", "text")]
        lines.append(line)
    if not found and attempt.granted_at and attempt.offered_at:
        until, after = attempt.granted_at - attempt.offered_at, (attempt.ended_at or now) - attempt.granted_at
        so_far = "" if attempt.ended_at else " so far"
        lines.append([label("Lasted"), (f"{lasting(until)} until go   {lasting(after)} after it{so_far}", "text")])
    return lines


def host_lines(host: Host, now: float, width: int) -> list[list[Span]]:
    """Say what a host is."""
    online: Span = (
        ("● online", "ok!") if host.online else (f"○ offline, seen {ago(now, host.last_seen_at)} ago", "bad!")
    )
    head: list[Span] = [label("Host"), (clean(host.name, 100), "text!"), ("   ", "text"), online]
    for word, holds in (("revoked", host.revoked), ("quarantined", host.quarantined)):
        head.append((f"   {word}" if holds else "", "bad!"))
    head.append((f"   container ({clean(host.container, 40)}): update the image" if host.container else "", "wait"))
    lines = [head, [label("Version"), (f"{clean(host.product.name, 40)}  ", "muted"), *chip(host)]]
    lines[-1].append(("   ✔ healthy" if host.product.healthy else "", "ok"))
    words = local_words(host)
    lines += [[label("Locally"), (words, "wait")]] if words else []
    where = f"fleet {clean(host.fleet_id, 40)}   {clean(host.os)}/{clean(host.arch)}"
    if host.time_zone:
        where += f"   {clean(host.time_zone, 40)}"
    if host.disk_free_bytes:
        where += f"   {data_size(host.disk_free_bytes)} free"
    lines.append([label("Where"), (where, "text")])
    labels = "  ".join(f"{clean(key, 40)}={clean(value, 60)}" for key, value in sorted(host.labels.items()))
    lines.append([label("Labels"), (labels or "none", "text" if labels else "muted")])
    since = f"enrolled {clock_time(host.enrolled_at, now)}" if host.enrolled_at else ""
    done = host.product.last_success_at
    since += f"   last updated {lasting(now - done)} ago" if done else "   never updated"
    ids = f"   id {clean(host.id, 64)}" if width >= TWO_COLUMNS else ""
    lines.append([label("Since"), (since.strip() + ids, "muted")])
    return lines
