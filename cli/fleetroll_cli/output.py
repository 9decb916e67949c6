"""What a person or a program reads: tables or JSON, never a control character of a host's making."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from google.protobuf.json_format import MessageToDict
from rich.cells import cell_len

from fleetroll_common.values.plain import MAX_CELL_CHARS, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from google.protobuf.message import Message

__all__ = ["MAX_CELL_CHARS", "json_line", "note", "plain", "print_json", "print_table", "say"]

LONGEST_NUMBER = 10
"""Letters that one letter may become where it is shown by its number."""


def print_json(message: Message) -> None:
    """Print one message as one JSON document, fields named as in the contract."""
    fields = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    # The one control character that JSON lets through.
    sys.stdout.write(json.dumps(fields, indent=2, sort_keys=True).replace("\x7f", "\\u007f") + "\n")


def json_line(message: Message) -> str:
    """Return one message as one JSON document on one line."""
    fields = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return json.dumps(fields, sort_keys=True)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns as wide as their widest cell; says so when there is no row."""
    cells = [[plain(cell) for cell in row] for row in rows]
    if not cells:
        say("none")
        return
    table = [list(headings), *cells]
    widths = [max(cell_len(row[column]) for row in table) for column in range(len(headings))]
    for row in table:
        say("  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)).rstrip())


def say(line: str = "") -> None:
    """Print one line at once: watchers read it through pipes. Whatever is in it, a terminal has nothing to obey."""
    sys.stdout.write(plain(line, LONGEST_NUMBER * len(line)) + "\n")
    sys.stdout.flush()


def note(line: str) -> None:
    """Print one line for a person beside the output: programs read standard output as one document."""
    sys.stderr.write(plain(line, LONGEST_NUMBER * len(line)) + "\n")
    sys.stderr.flush()
