"""What a person or a program reads: tables or JSON, never a control character of a host's making."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict, SerializeToJsonError
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.cells import cell_len

from fleetroll_common.values.plain import MAX_CELL_CHARS, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["MAX_CELL_CHARS", "json_line", "note", "plain", "print_json", "print_table", "say"]

LONGEST_NUMBER = 10
"""Letters that one letter may become where it is shown by its number."""


def print_json(message: Message) -> None:
    """Print one message as one JSON document, fields named as in the contract."""
    # The one control character that JSON lets through.
    sys.stdout.write(json.dumps(_fields(message), indent=2, sort_keys=True).replace("\x7f", "\\u007f") + "\n")


def json_line(message: Message) -> str:
    """Return one message as one JSON document on one line."""
    return json.dumps(_fields(message), sort_keys=True)


def _fields(message: Message) -> dict[str, Any]:
    """Return what JSON says of a message; a time that it has no form for is left out, as if it were not set."""
    try:
        return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    except SerializeToJsonError:
        found = type(message)()
        found.CopyFrom(message)
        _clear_times(found)
        return MessageToDict(found, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def _clear_times(message: Message) -> None:
    """Clear the instants and durations that JSON has no form for."""
    for field, value in message.ListFields():
        if isinstance(value, Timestamp | Duration):
            try:
                value.ToJsonString()
            except ValueError:
                message.ClearField(field.name)
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for each in [value] if isinstance(value, Message) else value:
                _clear_times(each)


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
