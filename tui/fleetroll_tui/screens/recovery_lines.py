"""What is said of a RECOVERY, in its pane and before it is ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_tui.screens.panels import label
from fleetroll_tui.text import ago, clean, clock_time, lasting, number, of

if TYPE_CHECKING:
    from fleetroll_tui.model.recovery import Recovery
    from fleetroll_tui.paint import Span

Line = list["Span"]
MOST_HOSTS = 100
"""Hosts that are named in the pane."""
FEW_HOSTS = 5
"""Hosts that are named in a question."""


def recovery_lines(recovery: Recovery, now: float) -> list[Line]:
    """Say where a recovery stands, what is not known, and what to do."""
    if not recovery.active and not recovery.since:
        return [[("✔ ", "ok"), ("the server is not in RECOVERY", "text")]]
    state: Line = [label("State"), ("✖ RECOVERY", "bad!") if recovery.active else ("✔ ended", "ok")]
    state.append((f"   began {clock_time(recovery.since, now)}: {clean(recovery.words, 100)}", "text"))
    lines = [state, *_taken(recovery, now), _seen(recovery)]
    if recovery.unconfirmed:
        words = f"{of(recovery.unconfirmed, 'attempt')} taken over from hosts that the database knew otherwise"
        lines.append([label("Unsure"), (words, "wait")])
    if recovery.suspended_tokens:
        words = f"{of(recovery.suspended_tokens, 'join token')} suspended: revoke them or make new ones"
        lines.append([label("Tokens"), (words, "wait")])
    return [*lines, *_to_do(recovery), *_younger(recovery, now)]


def _taken(recovery: Recovery, now: float) -> list[Line]:
    taken = clock_time(recovery.taken_at, now) if recovery.taken_at else "nobody knows when"
    lines: list[Line] = [[label("Database"), (f"as it stood {taken}", "text")]]
    blind = recovery.since - recovery.blind_from if recovery.blind_from else 0.0
    if recovery.stops_read:
        words = "what was stopped since is read: revocations, kill switch, cancelled rollouts, yanks"
        lines.append([label("Stops"), (words, "text")])
    else:
        words = "what was stopped since is NOT known: look for revocations, the kill switch and yanks yourself"
        lines.append([label("Stops"), (words, "bad!")])
    if blind > 0:
        words = f"{lasting(blind)} from {clock_time(recovery.blind_from, now)} on of which no stop is known"
        lines.append([label("Blind"), (words, "wait")])
    return lines


def _seen(recovery: Recovery) -> Line:
    line: Line = [label("Hosts"), (f"{number(recovery.seen)} of {number(recovery.known)} seen", "text!")]
    if recovery.not_seen:
        line.append((f"; {number(recovery.not_seen)} not: they may be past Go, and are in no budget", "wait"))
    return line


def _to_do(recovery: Recovery) -> list[Line]:
    if not recovery.active:
        return []
    return [
        [label("To do"), ("1  wait until the hosts that you expect were seen", "text")],
        [label(""), (f"2  A admits the {of(len(recovery.younger), 'host')} younger than the backup", "text")],
        [label(""), ("3  E ends the RECOVERY; every rollout stays paused until c continues it", "text")],
    ]


def _younger(recovery: Recovery, now: float) -> list[Line]:
    lines: list[Line] = [[]] if recovery.younger else []
    if recovery.younger:
        lines.append([("Younger than the backup, without updates until A", "muted!")])
    for host in recovery.younger[:MOST_HOSTS]:
        lines.append([(clean(host.name, 64), "text"), (f"  {clean(host.fleet_id, 64)}", "muted")])
        lines[-1].append((f"  came {ago(now, host.came_at)} ago", "muted"))
    more = len(recovery.younger) - MOST_HOSTS
    return [*lines, [(f"and {number(more)} more", "muted")]] if more > 0 else lines


def end_lines(recovery: Recovery, now: float) -> list[Line]:
    """Show what is not known when a recovery is ended, and what that starts."""
    lines = [*_taken(recovery, now), _seen(recovery)]
    if recovery.younger:
        words = f"{of(len(recovery.younger), 'host')} younger than the backup: not admitted, without updates"
        lines.append([label("Younger"), (words, "wait")])
    return [
        *lines,
        [],
        [(f"{of(recovery.not_seen, 'host')} not seen. ", "wait!" if recovery.not_seen else "text!")],
        [("Offers and Go are given again after it.", "text!")],
        [("Every rollout stays paused until it is continued.", "text")],
    ]


def admit_lines(recovery: Recovery) -> list[Line]:
    """Show which hosts are admitted."""
    lines: list[Line] = [
        [(clean(host.name, 64), "text"), (f"  {clean(host.fleet_id, 64)}", "muted")]
        for host in recovery.younger[:FEW_HOSTS]
    ]
    more = len(recovery.younger) - FEW_HOSTS
    lines += [[(f"and {number(more)} more: the pane names them", "muted")]] if more > 0 else []
    verb = "has" if len(recovery.younger) == 1 else "have"
    return [
        *lines,
        [],
        [
            (f"{of(len(recovery.younger), 'host')} ", "wait!"),
            (f"{verb} updates from now on like all others.", "text!"),
        ],
        [("The database that was restored did not know them: are they yours?", "text")],
    ]
