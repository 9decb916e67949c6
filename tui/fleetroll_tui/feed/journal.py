"""A recording: one JSON document per line, each a message to a watcher with the second in which it came.

``{"after": 1.4, "stream": "", "message": {...}}``; ``stream`` is the rollout whose hosts it is about, or "".
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import MutableSequence
from typing import IO, TYPE_CHECKING, NamedTuple

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError, SerializeToJsonError

from fleetroll.v1 import events_pb2
from fleetroll_client import Changed, Resynced, Snapshot
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path

    from google.protobuf.message import Message

    from fleetroll_client import Update as Followed


UNWRITABLE = (SerializeToJsonError, ValueError, OverflowError)
"""What is raised for a message that JSON has no form for: a time outside of the years 1 to 9999."""


class Entry(NamedTuple):
    """One line of a recording; ``after`` in seconds from its beginning."""

    after: float
    stream: str
    message: events_pb2.WatchEventsResponse


class Journal:
    """Writes a recording."""

    def __init__(self, path: Path) -> None:
        """Begin a file.

        Raises:
            RequestError: it can't be written, or is there already (caller's fault).
        """
        try:
            self._file: IO[str] = open(path, "x", encoding="utf-8", opener=_private)  # noqa: SIM115 (closed by close)
        except OSError as error:
            message = f"record: {path} can't be written: {error.strerror}"
            raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="name a file that is not there") from error
        self._began = time.monotonic()
        self.fault = ""
        """Why nothing is recorded any more, or not everything; "" while all of it is."""

    def write(self, stream: str, message: events_pb2.WatchEventsResponse) -> None:
        """Write one message down, without what can't be written of it.

        A disk that is full ends the recording, not the console.
        """
        if self._file.closed:
            return
        try:
            self._file.write(self._line(Entry(time.monotonic() - self._began, stream, message)))
            self._file.flush()
        except OSError as error:
            self.fault = f"the recording ended: {error.strerror}"
            self.close()

    def _line(self, entry: Entry) -> str:
        """Return an entry as one line; "" where it can't be written at all."""
        try:
            return line_of(entry) + "\n"
        except UNWRITABLE as error:
            self.fault = f"the recording leaves out what can't be written: {error}"
        try:
            return line_of(entry._replace(message=_writable(entry.message))) + "\n"
        except UNWRITABLE:
            return ""

    def close(self) -> None:
        """End it; what could not be written is lost."""
        with contextlib.suppress(OSError):
            self._file.close()


def _private(path: str, flags: int) -> int:
    """Open a file that nobody else may read: it holds what programs on hosts printed."""
    return os.open(path, flags, 0o600)


def line_of(entry: Entry) -> str:
    """Return an entry as one line."""
    fields = MessageToDict(entry.message, preserving_proto_field_name=True)
    return json.dumps(
        {"after": round(entry.after, 3), "stream": entry.stream, "message": fields},
        separators=(",", ":"),
        sort_keys=True,
    )


def _writable(message: events_pb2.WatchEventsResponse) -> events_pb2.WatchEventsResponse:
    """Return a message without those things in it that can't be written: one host is not to cost the whole fleet."""
    found = events_pb2.WatchEventsResponse.FromString(message.SerializeToString())
    kind = found.WhichOneof("message")
    said: Message | None = getattr(found, kind) if kind else None
    for field, value in said.ListFields() if said is not None else []:
        if field.message_type is not None and isinstance(value, MutableSequence):
            kept = [each for each in value if _can_be_written(each)]
            del value[:]
            value.extend(kept)
    return found


def _can_be_written(thing: Message) -> bool:
    try:
        MessageToDict(thing)
    except UNWRITABLE:
        return False
    return True


def entries(path: Path) -> list[Entry]:
    """Read a recording.

    Raises:
        RequestError: it can't be read, or a line is no entry; the line is named (caller's fault).
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        message = f"replay: {path} can't be read"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="name a recording made by --record") from error
    return [_entry(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _entry(path: Path, number: int, line: str) -> Entry:
    try:
        read = json.loads(line)
        message = ParseDict(read["message"], events_pb2.WatchEventsResponse(), ignore_unknown_fields=True)
        return Entry(_seconds(read["after"]), str(read["stream"]), message)
    except (ValueError, OverflowError, TypeError, KeyError, RecursionError, ParseError) as error:
        said = f"replay: line {number} of {path} is no entry of a recording"
        raise RequestError(said, code=Code.INVALID_ARGUMENT, remedy="name a recording made by --record") from error


def _seconds(after: object) -> float:
    """Return when an entry came.

    Raises:
        ValueError, TypeError, OverflowError: it is no time after the recording's beginning (its writer's fault).
    """
    if not isinstance(after, int | float) or not 0 <= after < math.inf:  # what is no number is in no order
        raise ValueError(after)
    return float(after)


def message_of(followed: Followed) -> events_pb2.WatchEventsResponse | None:
    """Return what a follower handed over as the message that says the same; None for what is about a connection."""
    if isinstance(followed, Resynced):
        return events_pb2.WatchEventsResponse(
            resync=events_pb2.Resync(reason=followed.reason, log_replaced=followed.log_replaced)
        )
    if not isinstance(followed, Snapshot | Changed):
        return None
    things = {
        "rollouts": followed.rollouts,
        "kill_switches": followed.kill_switches,
        "agents": followed.agents,
        "rollout_hosts": followed.rollout_hosts,
    }
    message = events_pb2.WatchEventsResponse(cursor=followed.cursor)
    message.sent_at.FromDatetime(followed.sent_at)
    if isinstance(followed, Snapshot):
        message.snapshot.CopyFrom(events_pb2.Snapshot(last=True, token=followed.token, **things))  # type: ignore[arg-type]
    else:
        message.changes.CopyFrom(events_pb2.Changes(events=followed.events, **things))  # type: ignore[arg-type]
    return message
