"""What a person or a program reads: tables or JSON, never a control character of a host's making."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from google.protobuf.json_format import MessageToDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from google.protobuf.message import Message

MAX_CELL_CHARS = 200


def plain(text: str, limit: int = MAX_CELL_CHARS) -> str:
    r"""Return ``text`` on one line, with anything that a terminal could obey shown as ``\\xNN``, cut at ``limit``."""
    shown = "".join(_visible(letter) for letter in text[: limit + 1])
    return shown if len(text) <= limit else shown[:limit] + "…"


def _visible(letter: str) -> str:
    """Return the letter, or its number where it may move the cursor, hide text, turn its direction, or mean nothing."""
    return letter if letter.isprintable() else f"\\x{ord(letter):02x}"


def print_json(message: Message) -> None:
    """Print one message as one JSON document, fields named as in the contract."""
    fields = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    sys.stdout.write(json.dumps(fields, indent=2, sort_keys=True) + "\n")


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns as wide as their widest cell; says so when there is no row."""
    cells = [[plain(cell) for cell in row] for row in rows]
    if not cells:
        say("none")
        return
    table = [list(headings), *cells]
    widths = [max(len(row[column]) for row in table) for column in range(len(headings))]
    for row in table:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def say(line: str = "") -> None:
    """Print one line at once: watchers read it through pipes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
