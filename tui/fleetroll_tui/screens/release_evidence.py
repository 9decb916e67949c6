"""What a dialog shows before a decision about a release. The last paragraph is what has to be in sight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_tui.text import clean, number, of

if TYPE_CHECKING:
    from fleetroll_tui.model.releases import FloorPreview, Release, Spread
    from fleetroll_tui.paint import Span

Line = list["Span"]
DOES = {
    "yank": "No host begins with it any more, and none that has not got its Go goes on. What runs goes on.",
    "retire": "No host begins with it any more. The server refuses while one still needs it.",
    "revoke": "No host begins with it, and where it runs an alert stands. This is never taken back.",
}
MOST_STRANDED = 10
"""Hosts without a way up that are named."""
DONE = {"yank": "yanked", "retire": "retired", "revoke": "revoked"}


def withdraw_lines(verb: str, release: Release, spread: Spread) -> list[Line]:
    """Show who has the release, and what taking it off the list does."""
    return [*_who(release, spread), [], [(DOES[verb], "text!")]]


def floor_lines(release: Release, preview: FloorPreview, floor: str) -> list[Line]:
    """Show which hosts a floor would leave without a way up."""
    lines: list[Line] = [
        [("floor now: ", "muted"), (clean(floor, 64) or "none", "text")],
        [(f"{of(preview.below, 'host')} ", "text!"), (f"below {clean(release.version, 64)}", "text")],
    ]
    for host in preview.hosts[:MOST_STRANDED]:
        lines.append([("✖ ", "bad"), (f"{clean(host.name, 64)} ", "text"), (clean(host.version, 40), "muted")])
        lines[-1].append((f"  {clean(host.message, 200)}", "muted"))
    more = preview.stranded - len(lines) + 2
    if more > 0:
        lines.append([(f"and {number(more)} more", "muted")])
    role = "wait!" if preview.stranded else "text!"
    return [
        *lines,
        [],
        [
            (f"{of(preview.stranded, 'host')} ", role),
            ("left without a way up: nothing there fits them.", "text"),
        ],
        [("What runs goes on; nothing below the floor is installed anew.", "text")],
    ]


def promote_lines(release: Release, spread: Spread) -> list[Line]:
    """Show whom the release may reach, and what it asks of a host."""
    lines = _who(release, spread)
    channels = ", ".join(clean(each, 63) for each in release.channels) or "none"
    lines.append([("now in ", "muted"), (channels, "text")])
    if release.migrations:
        lines.append([("▲ it has a migrate step", "wait")])
    if release.breaking:
        lines.append([("▲ it breaks: ", "wait"), (clean(release.breaking, 300), "text")])
    others = spread.hosts - spread.runs
    if not others:
        return [*lines, [], [("It concerns no host now.", "text!")]]
    verb = "has" if others == 1 else "have"
    return [
        *lines,
        [],
        [(f"{of(others, 'host')} ", "wait!"), (f"{verb} another version of {clean(release.product, 64)}.", "text!")],
        [("Those that allow such a channel may get it by a rollout, or by their own schedule.", "text")],
    ]


def _who(release: Release, spread: Spread) -> list[Line]:
    if not spread.hosts:
        return [[(f"No host has {clean(release.product, 64)}.", "text")]]
    return [
        [
            (f"{number(spread.runs)} run it   ", "text!" if spread.runs else "muted"),
            (f"{number(spread.wanted)} more are meant to   ", "active" if spread.wanted else "muted"),
            (f"{number(spread.older)} older   {number(spread.newer)} newer", "muted"),
            (f"   {number(spread.unknown)} unknown" if spread.unknown else "", "muted"),
        ]
    ]


def offline_lines(verb: str, release: Release) -> list[Line]:
    """Say that the publisher decides, and by which command."""
    channels = " --channel CHANNEL" if verb == "promote" else ""
    product, version = clean(release.product, 64), clean(release.version, 64)
    return [
        [(f"The keys of {product} are not on this server: nothing that is pressed here signs for it.", "text")],
        [("Whoever holds them runs, where they are:", "text")],
        [],
        [(f"fleetroll release {verb} --product {product} --version {version}{channels}", "text!")],
        [("    --reason WHY --key FILE", "text!")],
    ]
