"""How states look: a glyph, a word and a colour; and every other sign, each with one that plain ASCII has."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Sign:
    """A state's look."""

    glyph: str
    ascii: str
    word: str
    role: str


def _table(*rows: tuple[str, str, str, str, str]) -> Mapping[str, Sign]:
    return MappingProxyType({state: Sign(glyph, plain, word, role) for state, glyph, plain, word, role in rows})


ATTEMPTS = _table(
    ("", "·", ".", "idle", "muted"),
    ("none", "·", ".", "idle", "muted"),
    ("pending", "·", ".", "pending", "muted"),
    ("offered", "↓", "v", "offered", "active"),
    ("downloading", "↓", "v", "downloading", "active"),
    ("staged", "◌", "o", "staged", "active"),
    ("granted", "◐", "%", "go", "active"),
    ("applying", "◐", "%", "applying", "active"),
    ("trial", "◷", "@", "on trial", "wait"),
    ("promoted", "◷", "@", "promoted", "wait"),
    ("soaking", "◷", "@", "soaking", "wait"),
    ("succeeded", "✔", "+", "healthy", "ok"),
    ("failed", "✖", "x", "failed", "bad"),
    ("rolled_back", "↩", "<", "rolled back", "back"),
    ("rollback_failed", "✖", "X", "way back failed", "bad"),
    ("cancelled", "–", "-", "cancelled", "muted"),
    ("skipped", "–", "-", "skipped", "muted"),
    ("expired", "–", "-", "expired", "muted"),
    ("lost", "?", "?", "lost", "bad"),
    ("excused", "↻", "~", "excused", "muted"),
    ("revoked", "⊘", "#", "revoked", "muted"),
    ("quarantined", "!", "!", "quarantined", "bad"),
)
ROLLOUTS = _table(
    ("draft", "·", ".", "draft", "muted"),
    ("awaiting_approval", "◷", "@", "awaits approval", "wait"),
    ("scheduled", "◷", "@", "scheduled", "muted"),
    ("running", "◐", "%", "running", "active"),
    ("paused", "‖", "=", "paused", "wait"),
    ("halted", "✖", "x", "halted", "bad"),
    ("completed", "✔", "+", "completed", "ok"),
    ("cancelled", "–", "-", "cancelled", "muted"),
    ("superseded", "–", "-", "superseded", "muted"),
    ("rolling_back", "↩", "<", "rolling back", "back"),
    ("rolled_back", "↩", "<", "rolled back", "back"),
)
WAVES = _table(
    ("pending", "·", ".", "pending", "muted"),
    ("awaiting_approval", "◷", "@", "waits for you", "wait"),
    ("open", "◐", "%", "open", "active"),
    ("baking", "◷", "@", "baking", "wait"),
    ("passed", "✔", "+", "passed", "ok"),
    ("failed", "✖", "x", "failed", "bad"),
)
RELEASES = _table(
    ("listed", "✔", "+", "listed", "ok"),
    ("yanked", "✖", "x", "yanked", "bad"),
    ("retired", "–", "-", "retired", "muted"),
    ("revoked", "⊘", "#", "revoked", "bad"),
)
ENDS = _table(
    ("good", "✔", "+", "good", "ok"),
    ("info", "◷", "@", "ends", "active"),
    ("warning", "▲", "^", "soon", "wait"),
    ("critical", "!", "!", "critical", "bad"),
    ("expired", "✖", "x", "expired", "bad"),
)
# Every other sign outside ASCII that the console itself writes.
SIGNS: Mapping[str, str] = MappingProxyType(
    {
        "●": "*",
        "○": "o",
        "◌": "!",
        "▷": ">",
        "❄": "=",
        "→": "->",
        "›": ">",
        "▸": ">",
        "▌": "|",
        "▲": "^",
        "▼": "v",
        "·": ".",
        "…": "~",
        "–": "-",
        "—": "-",
        "█": "#",
        "▓": ">",
        "▚": "!",
        "▒": "-",
        "░": ".",
        **dict(zip("▁▂▃▄▅▆▇", "__.-:=^", strict=True)),
        "↑": "^",
        "↓": "v",
        "≥": ">=",
        "‖": "=",
        "✔": "+",
        "✖": "x",
        "↩": "<",
        "↻": "~",
        "◐": "%",
        "◷": "@",
        "⊘": "#",
        "─": "-",
        "╌": "?",
        "│": "|",
        "≤": "<=",
        "┃": "|",
        "⇥": "tab",
        "⏎": "enter",
    }
)
BAR = (
    ("done", "█", "ok"),
    ("active", "▓", "active"),
    ("bad", "▚", "bad"),
    ("other", "▒", "muted"),
    ("pending", "░", "muted"),
)
SPARKS = " ▁▂▃▄▅▆▇█"
UNKNOWN = "╌"
"""In a row of numbers: one that nobody knows."""


def sign_of(table: Mapping[str, Sign], state: str) -> Sign:
    """Return a state's look; a word that is not known is shown as it is."""
    found = table.get(state)
    return found if found is not None else Sign("?", "?", state.replace("_", " "), "muted")


def to_ascii(text: str) -> str:
    """Return the text with each letter outside ASCII replaced, by its sign's twin or a question mark."""
    return text if text.isascii() else "".join(each if each.isascii() else SIGNS.get(each, "?") for each in text)
