"""Text of somebody else's making, a server's words or a host's name, made fit for one line of a terminal. Pure."""

from __future__ import annotations

import unicodedata

MAX_CELL_CHARS = 200
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN", "RLE", "RLO", "RLI"})
_WITHOUT_ROOM = frozenset({"Mn", "Mc", "Me"})
# Fillers that nobody sees, and letters that join the one before them: no two terminals agree on the room of those.
_JOINING = (
    *((0x115F, 0x11FF), (0x3164, 0x3164), (0xD7B0, 0xD7FF), (0xFFA0, 0xFFA0)),
    *((0x1F1E6, 0x1F1FF), (0x1F3FB, 0x1F3FF)),
)


def plain(text: str, limit: int = MAX_CELL_CHARS) -> str:
    r"""Return ``text`` on one line, with anything that a terminal could obey shown as ``\\xNN``, cut at ``limit``.

    So are letters that run from right to left, and those without cells of their own, unless they are part of a letter
    that has a form of its own with them: what is left takes the cells that a table counts for it, in its order.
    """
    if text.isascii() and text.isprintable() and len(text) <= limit:
        return text
    composed = unicodedata.normalize("NFC", text[: limit * 4])
    shown = "".join(_visible(letter) for letter in composed[: limit + 1])
    return shown if len(shown) <= limit and len(text) <= limit * 4 else shown[:limit] + "…"


def _visible(letter: str) -> str:
    """Return the letter, or its number where it may move the cursor, hide text, turn its direction, or mean nothing."""
    if letter.isascii():
        return letter if letter.isprintable() else f"\\x{ord(letter):02x}"
    return letter if letter.isprintable() and _stands_alone(letter) else f"\\x{ord(letter):02x}"


def _stands_alone(letter: str) -> bool:
    """Tell whether a letter has cells of its own and does not run from right to left."""
    return (
        unicodedata.category(letter) not in _WITHOUT_ROOM
        and unicodedata.bidirectional(letter) not in _RIGHT_TO_LEFT
        and not any(first <= ord(letter) <= last for first, last in _JOINING)
    )
