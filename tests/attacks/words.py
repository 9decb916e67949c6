"""Words of others that would steer a terminal, a table or a mark-up, and how to put them everywhere in a message."""

from __future__ import annotations

import unicodedata
from typing import Any

from rich.cells import cell_len

ATTACKS = {
    "csi": "\x1b[2J\x1b[31mred\x1b[8mhidden\x1b[3;1Hmoved",
    "osc 8 and 52": "\x1b]8;;mailto:root\x07here\x1b]8;;\x07\x1b]52;c;ZXZpbA==\x07",
    "dcs and title": "\x1bP+q544e\x1b\\\x1b]0;owned\x07\x1b_apc\x1b\\\x1b^pm\x1b\\\x1bc",
    "c1, eight bits": "\x9b31m\x9d52;c;ZXZpbA==\x9c\x90q\x9c\x85next\x84",
    "markup": "[bold]x[/] [@click=app.quit]quit[/] [link=mailto:root]y[/link] [on red]z[/on red]",
    "markup behind slashes": "\\[@click=app.quit]q[/] \\\\[$error]w[/] [$primary on $error]v[/] [/nothing] [",
    "ten thousand": "y" * 10_000,
    "right to left": "evil\u202egpj.exe\u202c \u2067isolated\u2069 \u200f\u061c \u05d0\u05d1\u0627\u0663",
    "without room": "zero\u200bwidth\u200d\u2060\ufeff\u00ad\u034f\u180e\u3164\u115f",
    "combining": "a" + "\u0301" * 300 + " \u0915\u093f \u3042\u3099 \u1112\u1161\u11ab",
    "wide": "漢字" * 60,
    "wide behind an odd cell": "x" + "漢" * 60,
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467\U0001f44d\U0001f3fd\u2764\ufe0f\U0001f1e9\U0001f1ea1\ufe0f"
    * 9,
    "lines": "one\ntwo\r\nthree\tfour\x0bfive\x0csix\u2028seven\u2029eight",
    "nul and others": "a\x00b\x07c\x08d\x7fe\x0e\x0f\x05f",
    "a sign's own letters": "✔ healthy ● live 0.0 s\u00a0\u3000▸",
}
"""By what they try."""
STEERS = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Mn", "Me", "Mc"})
RIGHT_TO_LEFT = frozenset({"R", "AL", "AN", "RLE", "RLO", "RLI", "LRE", "LRO", "LRI", "PDF", "PDI", "FSI"})


def spoil(message: Any, words: str) -> None:
    """Put words before and behind each text of a message, its ids too: what belongs together goes on to."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            if field.message_type.GetOptions().map_entry:
                _spoil_map(value, words)
            elif field.is_repeated:
                for each in value:
                    spoil(each, words)
            else:
                spoil(value, words)
        elif field.type == field.TYPE_STRING:
            if field.is_repeated:
                value[:] = [spoilt(each, words) for each in value]
            else:
                setattr(message, field.name, spoilt(value, words))


def _spoil_map(value: Any, words: str) -> None:
    texts = {spoilt(key, words): spoilt(text, words) for key, text in value.items()}
    value.clear()
    value.update(texts)


def spoilt(text: str, words: str) -> str:
    """The text with the words around it."""
    return words + text + words if text else text


def harm(shown: str) -> set[str]:
    """What of a text, lines apart, could steer a terminal, hide, turn round or take no room, as its name's number."""
    return {
        f"U+{ord(letter):04X}"
        for letter in shown
        if letter != "\n"
        and (
            unicodedata.category(letter) in STEERS
            or unicodedata.bidirectional(letter) in RIGHT_TO_LEFT
            or cell_len(letter) == 0
        )
    }
