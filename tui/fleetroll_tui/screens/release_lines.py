"""What is said of one release: pure functions of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_tui.model.decisions import name_of
from fleetroll_tui.model.progress import ended
from fleetroll_tui.screens.freshness import ends_span
from fleetroll_tui.screens.panels import TWO_COLUMNS, label
from fleetroll_tui.signs import RELEASES, ROLLOUTS
from fleetroll_tui.text import clean, clock_time, data_size, first_lines, number, of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleetroll_tui.model.releases import InUse, Policy, Release, Spread
    from fleetroll_tui.model.signing import Role
    from fleetroll_tui.model.values import Rollout
    from fleetroll_tui.paint import Paint, Span

Line = list["Span"]
SHORT_ID = 12
"""Characters of a key's id, or of a hash, by which people tell it from others."""
MOST_VERSIONS = 50
"""Versions that a policy's lines name of one kind."""


def release_lines(
    release: Release, spread: Spread, role: Role | None, paint: Paint, now: float, width: int
) -> list[Line]:
    """Say what a release is: its state, its channels, what it needs, who has it, who signed for it."""
    glyph, colour = paint.sign(RELEASES, release.state)
    head: Line = [
        label("Release"),
        (f"{clean(release.product, 64)} ", "text!"),
        (clean(release.version, 64), "text!"),
        ("   ", "text"),
        (glyph.upper(), colour + "!"),
    ]
    head.append((f"  {clean(release.reason, 300)}" if release.reason else "", "text"))
    published = f"   published {clock_time(release.at, now)} by {clean(release.by, 40) or 'nobody that is known'}"
    channels = ", ".join(clean(each, 63) for each in release.channels) or "none"
    lines = [head, [label("Channels"), (channels, "text"), (published, "muted")]]
    if width >= TWO_COLUMNS:
        lines[-1].append((f": {clean(release.said, 80)}" if release.said else "", "muted"))
        lines[-1].append((f"   commit {clean(release.git_sha[:12])}" if release.git_sha else "", "muted"))
    return [*lines, _needs(release), _hosts(release, spread), _signed(role, paint, now)]


def _needs(release: Release) -> Line:
    line: Line = [label("Needs")]
    line.append(
        ("its migrate step" if release.migrations else "no migration", "wait" if release.migrations else "text")
    )
    since = f", on top of {clean(release.supported_from, 64)}" if release.supported_from else ", on top of any version"
    line.append((since, "text"))
    line.append(("   ▲ breaks something: see the notes" if release.breaking else "", "wait!"))
    return line


def _hosts(release: Release, spread: Spread) -> Line:
    if not spread.hosts:
        return [label("Hosts"), (f"no host has {clean(release.product, 64)}", "muted")]
    line: Line = [label("Hosts"), (f"{number(spread.runs)} run it", "text!" if spread.runs else "muted")]
    line.append((f", {number(spread.wanted)} more are meant to", "active") if spread.wanted else ("", "text"))
    rest = f"; {number(spread.older)} older, {number(spread.newer)} newer"
    rest += f", {number(spread.unknown)} unknown" if spread.unknown else ""
    line.append((f"{rest}, of {of(spread.hosts, 'host')}", "muted"))
    return line


def _signed(role: Role | None, paint: Paint, now: float) -> Line:
    if role is None:
        return [label("Signed"), ("nobody has said by which key", "muted")]
    ids = ", ".join(clean(key.id, 64)[:SHORT_ID] for key in role.keys[:3]) or "no key"
    line: Line = [label("Signed"), (f"key {ids}", "text")]
    if role.threshold > 1:
        line.append((f", {role.threshold} of {len(role.keys)}", "text"))
    line.append((", held by this server" if role.signs_here else ", held by the publisher", "muted"))
    return [*line, ("   ", "text"), ends_span(role.name, role.expires_at, paint, now)]


def notes_lines(release: Release) -> list[Line]:
    """Say what breaks, then what the publisher wrote; Markdown is read well as it is written."""
    lines: list[Line] = []
    if release.breaking:
        lines.append([("What breaks", "wait!")])
        lines += [[(line, "text")] for line in first_lines(release.breaking)]
        lines.append([])
    lines += [[(line, "text")] for line in first_lines(release.notes)]
    if not release.notes:
        lines.append([("no notes: fleetroll release notes writes them", "muted")])
    return lines


def artefact_lines(release: Release) -> list[Line]:
    """Say which bytes it is, hashes whole: for each platform."""
    lines: list[Line] = []
    for each in release.artefacts:
        lines += [[]] if lines else []
        lines.append([(clean(each.platform, 100), "text!"), (f"   {data_size(each.length)}", "text")])
        lines[-1].append((f" ({number(each.length)} bytes)", "muted"))
        lines.append([("sha256   ", "muted"), (each.sha256 or "–", "text")])
        if each.manifest_sha256:
            lines.append([("manifest ", "muted"), (each.manifest_sha256, "text")])
        lines.append([("path     ", "muted"), (clean(each.path, 240), "text")])
    return lines or [[("no artefact is known", "muted")]]


def where_lines(
    release: Release, fleets: dict[str, int], rollouts: Iterable[Rollout], in_use: InUse | None, paint: Paint
) -> list[Line]:
    """Say in which fleets it runs, which rollouts bring it, and who else needs it by the server's word."""
    lines: list[Line] = [
        [(f"{number(hosts):>7} ", "text!"), ("in fleet ", "muted"), (clean(fleet, 64), "text")]
        for fleet, hosts in fleets.items()
    ]
    if not lines:
        lines.append([("no host runs it", "muted")])
    for rollout in rollouts:
        if (rollout.product, rollout.version) == (release.product, release.version) and not rollout.ended:
            done = f"   {number(ended(rollout.counts))} of {of(rollout.hosts, 'host')}"
            lines.append([(f"rollout {clean(name_of(rollout), 80)} in {clean(rollout.fleet_id, 64)}  ", "text")])
            lines[-1] += [paint.sign(ROLLOUTS, rollout.state), (done, "muted")]
    if in_use is not None:
        lines.append([("needed: ", "muted"), (f"{of(in_use.wanted, 'host')} meant to run it, ", "text")])
        lines[-1].append((f"the way back of {of(in_use.previous, 'host')}", "text"))
        lines[-1].append((", a stop that no host jumps over" if in_use.intermediate else "", "wait"))
    return lines


def policy_lines(policy: Policy | None, version: str, paint: Paint) -> list[Line]:
    """Say what the publisher rules about the product."""
    if policy is None:
        return [[("nobody has said what is ruled", "muted")]]
    between = ", ".join(clean(each, 64) for each in policy.intermediates[:MOST_VERSIONS])
    more = len(policy.intermediates) - MOST_VERSIONS
    lines: list[Line] = [
        [label("Floor"), (clean(policy.floor, 64) or "none", "text!" if policy.floor else "muted")],
        [label("Stops at"), (between or "no version: any may be jumped over", "text" if between else "muted")],
        [label("Serial"), (f"{policy.serial}   role version {policy.role_version}", "muted")],
    ]
    lines[0].append(("   nothing below it is installed anew" if policy.floor else "", "muted"))
    lines[1].append((f" and {number(more)} more" if more > 0 else "", "muted"))
    for each in policy.withdrawn[:MOST_VERSIONS]:
        sign, colour = paint.sign(RELEASES, each.state)
        bold = "!" if each.version == version else ""
        lines.append([(f"{sign} ", colour), (clean(each.version, 64), "text" + bold)])
        lines[-1].append((f"  {clean(each.reason, 300)}" if each.reason else "", "muted"))
        lines[-1].append((f"  {clean(each.sha256, 64)[:SHORT_ID]}" if each.sha256 else "", "muted"))
    rest = len(policy.withdrawn) - MOST_VERSIONS
    return [*lines, [(f"and {number(rest)} more", "muted")]] if rest > 0 else lines
