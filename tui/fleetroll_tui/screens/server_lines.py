"""What is said of the server: what it is, who holds the keys and what that promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_tui.model.signing import MANAGED, OFFLINE
from fleetroll_tui.screens.panels import label
from fleetroll_tui.text import clean, of

if TYPE_CHECKING:
    from fleetroll_tui.model.signing import ServerInfo, Signing
    from fleetroll_tui.paint import Span

Line = list["Span"]
PROMISES = {
    MANAGED: "Whoever takes this server over can sign anything, and hosts install it: only offline keys prevent that.",
    OFFLINE: "Whoever takes this server over can't make a host install anything that the publishers did not sign.",
}
MOST_FILES = 3
"""Files of root keys that are named."""


def server_lines(info: ServerInfo, signing: Signing) -> list[Line]:
    """Say what server it is, and how safe its signatures are."""
    head: Line = [label("Server"), (clean(info.version, 60) or "–", "text!")]
    head.append((f"   commit {clean(info.git_sha[:12])}" if info.git_sha else "", "muted"))
    head.append((f"   schema {clean(info.schema, 40)}" if info.schema else "", "muted"))
    head.append(
        (f"   agents' protocol {info.protocol_min} to {info.protocol_max}" if info.protocol_max else "", "muted")
    )
    mode = signing.mode or info.mode
    known = mode in PROMISES
    line: Line = [label("Signing"), (clean(mode, 40) or "–", "text!" if mode != MANAGED else "wait!")]
    line.append((": this server holds the keys of targets and products" if mode == MANAGED else "", "text"))
    line.append((": publishers hold the keys of targets and products" if mode == OFFLINE else "", "text"))
    lines = [head, line]
    if known:
        lines.append([label("Promise"), (PROMISES[mode], "text" if mode == OFFLINE else "wait")])
    return [*lines, *_readable(signing)]


def _readable(signing: Signing) -> list[Line]:
    files = signing.readable_root_keys
    if not files:
        return []
    named = ", ".join(clean(each, 200) for each in files[:MOST_FILES])
    more = f" and {of(len(files) - MOST_FILES, 'more file')}" if len(files) > MOST_FILES else ""
    return [
        [label("DANGER"), ("✖ ROOT KEYS CAN BE READ BY THE SERVER: ", "bad!"), (f"{named}{more}", "text!")],
        [label(""), ("Whoever takes it over keeps it for good. Take them away from this machine now.", "bad!")],
    ]
