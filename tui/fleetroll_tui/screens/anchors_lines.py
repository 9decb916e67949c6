"""What is said of addresses, CAs and the server's certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_tui.model.signing import LEAF
from fleetroll_tui.screens.freshness import ends_span
from fleetroll_tui.screens.panels import label
from fleetroll_tui.text import clean, number, of

if TYPE_CHECKING:
    from fleetroll_tui.model.anchors import Anchors
    from fleetroll_tui.paint import Paint, Span

Line = list["Span"]
SHORT = 12
"""Hex digits of a fingerprint by which people tell it from others."""
MOST = 16
"""Addresses, CAs and serials that are named: as many as the contract has."""
ROLES = {"old": "wait", "current": "ok", "next": "active"}


def anchors_lines(anchors: Anchors, paint: Paint, now: float) -> list[Line]:
    """Say what is signed, which CAs there are, and how many hosts know it."""
    serial = f"serial {anchors.serial}" if anchors.serial else "none are signed: hosts go by what they got at enrolment"
    signs = ", signed by this server" if anchors.signs_here else ", signed by whoever holds the targets key"
    lines: list[Line] = [
        [label("Anchors"), (serial, "text!" if anchors.serial else "text"), (signs if anchors.serial else "", "muted")]
    ]
    for place, address in enumerate(anchors.addresses[:MOST]):
        lines.append([label("" if place else "Address"), (clean(address, 300), "text")])
    lines.append([label("Own cert"), ends_span(LEAF, anchors.leaf_expires_at, paint, now)])
    lines[-1].append((f"   {clean(anchors.leaf_fingerprint, 64)[:SHORT]}" if anchors.leaf_fingerprint else "", "muted"))
    for each in anchors.authorities[:MOST]:
        line: Line = [label("CA"), (f"{clean(each.role, 20):<8}", ROLES.get(each.role, "muted") + "!")]
        line.append(ends_span("", each.expires_at, paint, now))
        line.append((f"   {clean(each.fingerprint, 64)[:SHORT]}", "muted"))
        line.append(("" if each.listed else "   not known to hosts", "wait"))
        lines.append(line)
    return [*lines, *_reported(anchors)]


def _reported(anchors: Anchors) -> list[Line]:
    if not anchors.hosts:
        return [[label("Hosts"), ("no host has said what it goes by", "muted")]]
    late = anchors.hosts - anchors.up_to_date
    words = f"{number(anchors.up_to_date)} of {of(anchors.hosts, 'host')} go by serial {anchors.serial}"
    lines: list[Line] = [[label("Hosts"), (words, "ok" if not late else "text")]]
    for serial, hosts in anchors.reported[:MOST]:
        if serial < anchors.serial:
            what = f"still by serial {serial}" if serial else "by what they got at enrolment"
            lines.append([label(""), (f"{of(hosts, 'host')} {what}", "wait")])
    return lines
