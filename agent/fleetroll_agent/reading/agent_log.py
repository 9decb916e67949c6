"""The agent's own log, as the launcher keeps it: lines of JSON, and whatever else a program printed."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from fleetroll_agent.launcher import files
from fleetroll_agent.reading.instants import unix

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

TAIL_BYTES = 128 * 1024
"""A host that is refused writes a line or two in minutes."""

VISITED = "visited"
"""How a visit ends that was made for a moment: no trouble."""

Event = dict[str, Any]


def tail(log: Path, limit_bytes: int = TAIL_BYTES) -> bytes:
    """Return the end of a log; empty when there is none that can be read."""
    try:
        handle = os.open(log, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - limit_bytes))
            return stream.read(limit_bytes)
    except (OSError, ValueError):  # ValueError: what can't be moved about in, such as a pipe
        return b""


def lines(state: Path, limit_bytes: int = TAIL_BYTES) -> list[str]:
    """Return the newest lines of the log, oldest first; the file before is read where the newest is short."""
    log = state / files.LOG_NAME
    data = tail(log, limit_bytes)
    if len(data) < limit_bytes:
        data = tail(log.with_name(f"{log.name}.1"), limit_bytes - len(data)) + data
    return data.decode("utf-8", "replace").splitlines()


def events(texts: Iterable[str | bytes]) -> list[Event]:
    """Return the events in lines of a log; what is none is passed over."""
    found = []
    for text in texts:
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(said, dict) and isinstance(said.get("event"), str):
            found.append(said)
    return found


def last_word(known: Iterable[Event]) -> Event | None:
    """Return how the agent's last session ended: ``how``, ``code``, ``reason``, ``at``; None when one is open since.

    It stands in the agent's own log and nowhere else; a log that is gone, or was begun anew since, says nothing.
    """
    found = None
    for said in known:
        if said["event"] == "stream_ended":
            found = {name: said.get(name) for name in ("how", "code", "reason")} | {"at": said.get("timestamp")}
        elif said["event"] == "session_open":
            found = None
    return found


def next_check_in(known: Iterable[Event]) -> float | None:
    """Return when a host that visits its server comes again, in Unix seconds; None = it is there, or holds a stream.

    It comes earlier when it has something to say.
    """
    said = last(known, "stream_ended", "session_open")
    if said is None or said.get("how") != VISITED:
        return None
    at, seconds = unix(said.get("timestamp")), said.get("wait_seconds")
    return at + seconds if at is not None and isinstance(seconds, (int, float)) else None


def last(known: Iterable[Event], *names: str) -> Event | None:
    """Return the newest event with one of these names."""
    return next((said for said in reversed(list(known)) if said["event"] in names), None)
