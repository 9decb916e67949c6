"""What panes of text say, as lines of spans: pure functions of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_tui.model.decisions import name_of, waits_for_person
from fleetroll_tui.model.progress import ended, gate, seconds_left, shares
from fleetroll_tui.paint import Paint, Span
from fleetroll_tui.signs import ATTEMPTS, ROLLOUTS, UNKNOWN
from fleetroll_tui.text import clean, clock_time, fit, lasting, number, of, percent

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from fleetroll_tui.model.events import Rates
    from fleetroll_tui.model.updates import Lost
    from fleetroll_tui.model.values import Decision, Rollout, Switch, Wave

Line = list[Span]
TWO_COLUMNS = 90
"""Cells of width from which less urgent facts are said too."""
TALL_RATES = 6
"""Lines from which rates are drawn two lines high."""
NOT_COUNTED = f"   {UNKNOWN} not counted"
"""Said where minutes are shown that nobody counted."""
MOST_SWITCHES = 3
"""Pressed kill switches that are named at once: the band leaves room for what it is about."""
MOST_HALTS = 3
"""Rollouts that halted at once and are named."""
LABEL = 10
"""Cells of the labels at the left of a pane."""


def label(text: str) -> Span:
    """Return a label at the left of a pane."""
    return fit(text, LABEL), "muted"


def scope_of(fleet_id: str) -> tuple[str, str]:
    """Return whose kill switch is meant by a fleet's id ("" for all), and the same in words."""
    return (fleet_id, f"fleet {clean(fleet_id, 64)}") if fleet_id else ("", "ALL fleets")


def switch_lines(pressed: Sequence[Switch], now: float) -> list[Line]:
    """Say which kill switches are pressed: the first few, and how many more there are."""
    lines: list[Line] = [
        [
            (" KILL SWITCH ", "bad!"),
            (f"{clean(each.scope, 60)} ", "text!"),
            (f"is suspended since {clock_time(each.decision.at, now)} by {clean(each.decision.by, 60)}", "text"),
            (f": {clean(each.decision.reason, 80)}" if each.decision.reason else "", "text"),
            (f", {of(each.in_use, 'host')} were under way" if each.in_use else "", "wait"),
        ]
        for each in pressed[:MOST_SWITCHES]
    ]
    more = len(pressed) - MOST_SWITCHES
    return [*lines, [(f" and {number(more)} more are pressed", "bad!")]] if more > 0 else lines


def why_words(why: Decision) -> str:
    """Return why something is in its state."""
    return ": ".join(word for word in (why.code, clean(why.reason, 300)) if word)


def rollout_lines(
    rollout: Rollout, paint: Paint, now: float, width: int, *, origins: Counter[str], rates: Rates
) -> list[Line]:
    """Say where a rollout stands: state, release, progress, gate, limits."""
    return [
        _state(rollout, paint, now),
        _release(rollout, origins, now, width),
        *_progress(rollout, paint, now, width, rates),
        _gate(rollout),
        _limits(rollout),
    ]


def _state(rollout: Rollout, paint: Paint, now: float) -> Line:
    wave = rollout.wave
    line: Line = [
        label("State"),
        (paint.sign(ROLLOUTS, rollout.state)[0].upper(), paint.sign(ROLLOUTS, rollout.state)[1] + "!"),
    ]
    # Why it stopped is what is looked for: it comes before anything that a narrow screen has no room for.
    why = why_words(rollout.why)
    if why and rollout.state != "running":
        line.append((f"  {why}", "bad" if rollout.state == "halted" else "text"))
        line.append((f"  {clock_time(rollout.why.at, now)}", "muted"))
    if wave is not None and not rollout.ended:
        line.append((f"  wave {wave.number} of {len(rollout.waves)}", "text"))
        line.append((_wave_words(rollout, wave), "text"))
    if not rollout.ended and rollout.waiting_for:
        line.append((f"  waits for {clean(rollout.waiting_for)}", "wait"))
    return line


def _wave_words(rollout: Rollout, wave: Wave) -> str:
    if wave.state == "baking":
        return f", baking {lasting(wave.baked_seconds)} of {lasting(rollout.limits.bake_seconds)}"
    return f", {'waits to be opened' if wave.state == 'awaiting_approval' else wave.state}"


def _release(rollout: Rollout, origins: Counter[str], now: float, width: int) -> Line:
    start = f"{len(origins)} versions" if origins else ""
    start = clean(next(iter(origins)), 40) if len(origins) == 1 else start
    line: Line = [label("Release"), (f"{clean(rollout.product, 60)}  ", "text"), (start, "text")]
    line += [(" → " if start else "", "muted"), (clean(rollout.version, 64), "text!")]
    if width >= TWO_COLUMNS:
        by = clean(rollout.started.by, 40)
        line.append((f"   started {clock_time(rollout.started.at, now)} by {by}", "muted"))
        reason = clean(rollout.started.reason, 80)
        line.append((f": {reason}" if reason else "", "muted"))
    return line


def _progress(rollout: Rollout, paint: Paint, now: float, width: int, rates: Rates) -> list[Line]:
    done = ended(rollout.counts)
    share = done / rollout.hosts if rollout.hosts else 0.0
    cells = max(10, min(48, width - LABEL - 32))
    parts = shares(rollout.counts, rollout.hosts)
    bar: Line = [label("Progress"), *paint.bar(rollout.counts, rollout.hosts, cells)]
    bar.append((f"  {percent(share)}  {number(done)} of {of(rollout.hosts, 'host')}", "text"))
    numbers: Line = [label("")]
    for state, part in (("succeeded", "done"), ("applying", "active"), ("failed", "bad"), ("pending", "pending")):
        glyph, role = paint.glyph(ATTEMPTS, state)
        hosts = parts[part]
        words = {"done": "healthy", "active": "under way", "bad": "bad", "pending": "pending"}[part]
        numbers.append((f"{glyph} {number(hosts)} {words}  ", role if hosts else "muted"))
    per_minute = rates.done_per_minute(now)
    left = seconds_left(rollout, per_minute)
    if left is not None:
        pace = f" at {per_minute:.1f} hosts/min" if width >= TWO_COLUMNS + LABEL else ""
        numbers.append((f" {lasting(left)} left{pace}", "text"))
    if rollout.late is not None:
        numbers.append((_late(rollout), "wait"))
    return [bar, numbers]


def _late(rollout: Rollout) -> str:
    late = rollout.late
    if late is None:
        return ""
    if late.stopped is not None:
        return f"{of(late.left, 'late host')} not offered any more: {why_words(late.stopped)}"
    return f"{of(late.left, 'late host')}, one by one: {late.waiting} away or held, {late.under_way} under way"


def _gate(rollout: Rollout) -> Line:
    wave = rollout.wave
    line: Line = [label("Gate")]
    if wave is None:
        return [*line, ("no waves", "muted")]
    found = gate(rollout, wave)
    limit = "the first" if found.max_failed <= 1 else f"{found.max_failed}"
    role = "bad!" if found.over else "wait!" if found.close else "text"
    line.append((f"{found.bad} bad of {number(found.attempted)} tried ({percent(found.rate)})", role))
    # The mark comes first: in a narrow terminal the end of the line is what is cut.
    if found.over and not rollout.ended:
        line.append((" ✖ limit reached", "bad!"))
    elif found.close and not rollout.ended:
        line.append((" ▲ close", "wait!"))
    counted = [f"{found.before} of waves before"] if found.before else []
    counted += [f"{found.forgiven} forgiven"] if found.forgiven else []
    line += [(f", {words}", "muted") for words in counted]
    line.append((f", halts at {limit} or surely over {percent(found.failure_limit)}", "text"))
    return line


def _limits(rollout: Rollout) -> Line:
    limits = rollout.limits
    words = [
        f"{limits.max_concurrent} at once",
        f"{limits.max_out} out at most",
        f"soak {lasting(limits.soak_seconds)}",
    ]
    words.append(f"bake {lasting(limits.bake_seconds)}" if limits.bake_seconds else "no bake")
    words.append("waves by hand" if rollout.manual else "automatic waves")
    return [label("Limits"), (", ".join(words), "text")]


def rate_lines(rates: Rates, paint: Paint, now: float, width: int, height: int = 2) -> list[Line]:
    """Say how fast hosts get done and fail, over the last minutes: in tall columns where there is room.

    A minute of which not everything was counted is as good as what was; where that is nothing, it is not known.
    """
    tall = height >= TALL_RATES
    minutes = max(10, min(60, width - 16))
    if not tall and not all(rates.whole(now, minutes)):
        minutes = max(10, minutes - len(NOT_COUNTED))
    whole = rates.whole(now, minutes)
    legend: Span = ("" if all(whole) else NOT_COUNTED, "muted")
    lines: list[Line] = []
    for words, role, counted in (
        ("done/min", "ok", rates.done(now, minutes)),
        ("failed/min", "bad", rates.bad(now, minutes)),
    ):
        series = [hosts if hosts or known else None for hosts, known in zip(counted, whole, strict=True)]
        last: Span = (f" {'–' if series[-1] is None else series[-1]}", role + "!" if series[-1] else "text")
        if tall:
            lines.append([(words, "muted"), last, (f"   most {max(counted)}", "muted"), legend])
            lines += paint.columns(series, role, 2)
        else:
            lines.append([(fit(words, 11), "muted"), *paint.columns(series, role, 1)[0], last, legend])
        legend = ("", "muted")
    return lines


def share_lines(counted: Counter[str], width: int, rows: int, role: str, empty: str) -> list[Line]:
    """Say how many hosts have each version, or each code, the most frequent first."""
    found = [(name, hosts) for name, hosts in counted.most_common() if hosts > 0]
    total = sum(hosts for _, hosts in found)
    if not total:
        return [[(empty, "muted")]]
    shown = found[: max(1, rows - 1)] if len(found) > rows else found
    lines = []
    longest = min(30, max(11, *(len(name) for name, _ in shown)))
    room = max(6, width - longest - 18)
    for version, hosts in shown:
        cells = max(1, hosts * room // total)
        words = f" {number(hosts):>7} {percent(hosts / total):>8}"
        name: Span = (fit(clean(version, 40) or "unknown", longest) + " ", "text")
        lines.append([name, ("█" * cells, role), ("░" * (room - cells), "muted"), (words, "text")])
    rest = total - sum(hosts for _, hosts in shown)
    if rest:
        lines.append([(f"{len(found) - len(shown)} more on {of(rest, 'host')}", "muted")])
    return lines


def tabs_line(panes: Sequence[tuple[str, str]], current: str) -> Line:
    """Name the panes, the one that is shown marked."""
    line: Line = []
    for name, title in panes:
        line.append((f" ▸{title} " if name == current else f"  {title} ", "accent!" if name == current else "muted"))
    line.append(("  (tab)", "muted"))
    return line


def lost_words(lost: Lost) -> str:
    """Return why nothing is heard, and what can be done: a server's words, or those of whatever stands in its place."""
    remedy = f". {clean(lost.remedy)}" if lost.remedy else ""
    return f"{clean(lost.message)} ({clean(lost.code, 40)}){remedy}"


def halt_words(halted: Sequence[Rollout]) -> str:
    """Name the rollouts that halted, in which fleet and why, the first few."""
    lines = [
        ": ".join(
            filter(None, (f"{clean(name_of(each), 80)} in fleet {clean(each.fleet_id, 40)}", why_words(each.why)))
        )
        for each in halted[:MOST_HALTS]
    ]
    more = len(halted) - MOST_HALTS
    return "\n".join([*lines, f"and {number(more)} more"] if more > 0 else lines)


def waiting_words(rollout: Rollout) -> str:
    """Return what a rollout waits for from a person, with the evidence."""
    words = waits_for_person(rollout)
    why = why_words(rollout.why)
    return f"{words}  {why}" if why and rollout.state in {"halted", "paused"} else words
