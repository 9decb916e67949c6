"""What a dialog shows before a decision: what was seen, and what it would start or end.

The last paragraph is what has to be in sight when somebody answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_tui.model.progress import PASSED, late_on_resume, shares, starts_on_advance, starts_on_resume
from fleetroll_tui.screens.panels import why_words
from fleetroll_tui.text import clean, clock_time, number, of, percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_tui.model.progress import Starts
    from fleetroll_tui.model.values import Rollout, Switch
    from fleetroll_tui.paint import Span

MOST_WAVES = 3
"""Waves that were tried and passed, and are shown each by itself: the last ones."""
MOST_OTHERS = 3
"""Other kill switches that are named."""


def continue_lines(rollout: Rollout) -> list[list[Span]]:
    """Show why it stopped, what is known of the version, and how many hosts start."""
    if rollout.state == "completed":
        return [*_evidence(rollout), *_late_stop(rollout), [], _late(rollout)]
    return [*_evidence(rollout), [], *_starting(rollout, starts_on_resume(rollout), "goes on with")]


def advance_lines(rollout: Rollout) -> list[list[Span]]:
    """Show what the waves before said, and how many hosts start."""
    starts = starts_on_advance(rollout)
    if not starts.wave:
        return [*_evidence(rollout), [], [("The wave whose gate can't tell is passed by you.", "wait!")]]
    return [*_evidence(rollout), [], *_starting(rollout, starts, "opens")]


def cancel_lines(rollout: Rollout) -> list[list[Span]]:
    """Show what becomes of each host."""
    parts = shares(rollout.counts, rollout.hosts)
    return [
        [("✔ ", "ok"), (f"{number(parts['done'])} updated hosts keep {clean(rollout.version, 64)}", "text")],
        [("◐ ", "active"), (f"{of(parts['active'], 'host')} under way: back to the version before", "text")],
        [("· ", "muted"), (f"{of(parts['pending'], 'host')} not started: never touched", "text")],
        [],
        [("It can't be continued afterwards.", "wait")],
    ]


def subject_lines(rollout: Rollout) -> list[list[Span]]:
    """Show what a rollout is, each part whole."""
    return [
        [(clean(rollout.version, 64), "text!"), (" of ", "muted"), (clean(rollout.product, 64), "text!")],
        [("in fleet ", "muted"), (clean(rollout.fleet_id, 64), "text!")],
    ]


def lift_lines(switch: Switch, others: Sequence[str], now: float) -> list[list[Span]]:
    """Show who pressed a kill switch, when and why, what lifting it does, and what stays pressed."""
    said = switch.decision
    still = ", ".join(clean(scope, 70) for scope in others[:MOST_OTHERS])
    more = f" and {number(len(others) - MOST_OTHERS)} more" if len(others) > MOST_OTHERS else ""
    return [
        [(clean(switch.scope, 70), "text!")],
        [("pressed: ", "bad!"), (f"{clock_time(said.at, now)} by {clean(said.by, 60)}", "text")],
        *([[("because: ", "muted"), (clean(said.reason, 300), "text")]] if said.reason else []),
        *([[(f"Still pressed after it: {still}{more}", "wait!")]] if others else []),
        [],
        [("Nothing starts by it: ", "text!"), ("what it paused stays paused, until each is continued.", "text")],
        [("New rollouts may be started after it.", "text")],
    ]


def _evidence(rollout: Rollout) -> list[list[Span]]:
    why = why_words(rollout.why)
    lines: list[list[Span]] = []
    if why and rollout.state in {"halted", "paused"}:
        lines.append([(f"{rollout.state}: ", "bad!" if rollout.state == "halted" else "wait!"), (why, "text")])
        lines.append([(f"by {clean(rollout.why.by, 60)}", "muted")])
    parts = shares(rollout.counts, rollout.hosts)
    lines.append(
        [
            (f"✔ {number(parts['done'])} healthy   ", "ok" if parts["done"] else "muted"),
            (f"◐ {number(parts['active'])} under way   ", "active" if parts["active"] else "muted"),
            (f"✖ {number(parts['bad'])} bad   ", "bad!" if parts["bad"] else "muted"),
            (f"· {number(parts['pending'])} pending", "muted"),
        ]
    )
    return [*lines, *_tried(rollout)]


def _tried(rollout: Rollout) -> list[list[Span]]:
    """Show the waves that were tried: the last few, and whichever did not pass; how many passed before is counted."""
    tried = [wave for wave in rollout.waves if wave.attempted]
    before = [wave for wave in tried[:-MOST_WAVES] if wave.state == PASSED]
    lines: list[list[Span]] = []
    if before:
        bad, attempted = sum(wave.bad for wave in before), sum(wave.attempted for wave in before)
        words = f"… and {of(len(before), 'wave')} before, all passed: {number(bad)} bad of {number(attempted)} tried"
        lines.append([(words, "muted")])
    for wave in (wave for wave in tried if wave not in before):
        attempted = max(wave.bad, wave.attempted)
        words = f"wave {wave.number}: {wave.bad} bad of {attempted} tried ({percent(wave.bad / attempted)})"
        forgiven = f", {wave.forgiven_bad} forgiven" if wave.forgiven_bad and wave.state != PASSED else ""
        lines.append([(words + forgiven, "bad" if wave.bad else "text"), (f"  {clean(wave.gate, 120)}", "muted")])
    return lines


def _late_stop(rollout: Rollout) -> list[list[Span]]:
    stopped = rollout.late.stopped if rollout.late is not None else None
    return [[("late hosts stopped: ", "wait!"), (why_words(stopped), "text")]] if stopped is not None else []


def _late(rollout: Rollout) -> list[Span]:
    late, now = rollout.late, late_on_resume(rollout)
    if late is None:
        return [("No late host is left.", "text!")]
    begins: Span = ("1 late host ", "wait!") if now else ("No late host ", "text!")
    under_way = f", {number(late.under_way)} under way" if late.under_way else ""
    return [
        begins,
        ("starts now", "text!"),
        (f", they go one by one: {number(late.left)} left, ", "text"),
        (f"{number(late.waiting)} away or held{under_way}.", "text"),
    ]


def _starting(rollout: Rollout, starts: Starts, verb: str) -> list[list[Span]]:
    if not starts.waiting:
        return [[("No host starts now.", "text!"), (" The gate decides what comes next.", "text")]]
    offered = f" ({number(starts.offered)} of them offered already)" if starts.offered else ""
    wave = rollout.wave
    later = wave is not None and verb != "opens" and starts.wave != wave.number
    return [
        *([[(f"Wave {wave.number} has no host left: what was bad is forgiven.", "wait")]] if later and wave else []),
        [
            (f"{of(starts.at_once, 'host')} ", "wait!"),
            (f"{'starts' if starts.at_once == 1 else 'start'} now", "text!"),
            (f": it {verb} wave {starts.wave}, {of(starts.waiting, 'host')} waiting{offered}, ", "text"),
            (f"{rollout.limits.max_concurrent} at once.", "text"),
        ],
    ]
