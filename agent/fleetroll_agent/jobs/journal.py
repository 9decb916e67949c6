"""The journal: what happened on this host, in order, kept until the server holds it and for a month after that.

``journal/head.json`` names the journal, what was acknowledged when it was written, and the products' report numbers;
``journal/<first sequence>.log`` hold the entries, one line each: CRC-32 in hex, a space, JSON. Rules:

1. An entry is durable before anybody hears of it: append returns after the sync.
2. Sequences are contiguous from 1 per journal id. A report's own number says whether it is journaled already, so a
   crash between a product's record and the journal neither loses nor doubles one.
3. A last line that was torn by a power cut is taken away. Damage anywhere else, or a server that holds more than this
   disk does (an older disk came back), ends the journal: it is set aside and a new id begins. What counts is in the
   products' records, and every hello says it.
4. Whole segments leave when everything in them was acknowledged and is older than a month.
5. A server that was restored holds less than it had acknowledged: what it lost waits again, as far as it is here.

Everything here blocks. What touches the disk is done one after the other, whichever threads ask; an ack waits for none
of it (but where a new journal begins), so that a stream may call it where it may not block.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import zlib
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs.record import read_value, value_json
from fleetroll_agent.jobs.values import KEEP_ACKED_SECONDS, Report
from fleetroll_common.durable import (
    DamagedRecord,
    dump_record,
    effects,
    free_name,
    load_record,
    sync_dir,
    write_durably,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fleetroll_common.values.ids import IdSource

HEAD = "head.json"
SEGMENT_BYTES = 256 * 1024
"""A segment that is longer gets no more entries: some 500 of them, 60 updates."""
MAX_LINE_BYTES = 64 * 1024

_NAME_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Entry:
    """One report with its place in the journal."""

    sequence: int
    product: str
    report: Report


class Journal:
    """One host's journal."""

    def __init__(self, folder: Path, ids: IdSource) -> None:
        """Open the journal in ``folder``, or begin one.

        Raises:
            OSError: the disk refused.
        """
        self._folder = folder
        self._ids = ids
        self._disk = threading.Lock()
        self._held = threading.Lock()
        """For what waits and what was acknowledged; never kept over the disk."""
        self.journal_id = ""
        self.acked = 0
        self._waiting: list[Entry] = []
        self._last = 0
        self._numbers: dict[str, int] = {}
        self._newest: dict[Path, float] = {}
        self._segment: Path | None = None
        self._size = 0
        self._torn = False
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_dir(folder.parent)
        self._open()

    @property
    def last_sequence(self) -> int:
        """Sequence of the newest entry; 0 = none."""
        return self._last

    @property
    def first_sequence(self) -> int:
        """Sequence of the oldest entry that is still kept; 0 = there is none."""
        segments = self._segments()
        return _first(segments[0]) if segments and self._last else 0

    def rewind(self, sequence: int) -> None:
        """Let everything above ``sequence`` wait for a server that holds no more than that; 0 and less = all.

        Raises:
            OSError: the disk can't be read; nothing has changed.
        """
        sequence = max(0, sequence)
        with self._disk:
            if sequence >= self.acked:
                return
            entries = [entry for path in self._segments() for entry in _read_segment(path)[0]]
            with self._held:
                self._waiting = [entry for entry in entries if entry.sequence > sequence]
                self.acked = sequence

    def number(self, product: str) -> int:
        """Return the number of the newest report of ``product`` in this journal; 0 = none."""
        return self._numbers.get(product, 0)

    def append(self, product: str, reports: Sequence[Report]) -> None:
        """Make those reports durable that are not in the journal yet.

        Raises:
            OSError: the disk refused; the journal is as it was, and the same call may be made again.
        """
        with self._disk:
            self._append(product, reports)

    def _append(self, product: str, reports: Sequence[Report]) -> None:
        known = self.number(product)
        fresh = [report for report in reports if report.number > known]
        if not fresh:
            return
        entries = [Entry(self._last + count, product, report) for count, report in enumerate(fresh, start=1)]
        before = self._segment
        self._write(b"".join(_line(entry) for entry in entries), entries[0].sequence)
        self._take(entries)
        if before not in (None, self._segment):
            with contextlib.suppress(OSError):
                self._prune(entries[-1].report.occurred_at)

    def unacked(self, after: int, limit: int) -> list[Entry]:
        """Return at most ``limit`` entries above ``after`` that the server has not acknowledged, in order."""
        return [entry for entry in self._waiting if entry.sequence > after][:limit]

    def ack(self, journal_id: str, sequence: int) -> dict[str, int]:
        """Take the server's word that it holds everything up to ``sequence``.

        Returns:
            By product, the highest number of a report that is now known to be held; empty when nothing is new.

        Raises:
            OSError: the disk refused where a new journal had to begin; the same call may be made again.
        """
        if journal_id != self.journal_id:
            return {}
        if sequence > self._last:
            with self._disk:
                self._begin_anew()
            return {}
        with self._held:
            held = {entry.product: entry.report.number for entry in self._waiting if entry.sequence <= sequence}
            self._waiting = [entry for entry in self._waiting if entry.sequence > sequence]
            self.acked = max(self.acked, sequence)
        return held

    def prune(self, now: float) -> None:
        """Remove segments whose entries were all acknowledged and are older than a month (Unix seconds ``now``).

        Raises:
            OSError: the disk refused; nothing that counts was removed.
        """
        with self._disk:
            self._prune(now)

    def _prune(self, now: float) -> None:
        segments = self._segments()
        for path, after in pairwise(segments):
            if _first(after) - 1 > self.acked or self._newest.get(path, now) > now - KEEP_ACKED_SECONDS:
                return
            self._write_head()
            effects.unlink(path)
            sync_dir(self._folder)

    def _open(self) -> None:
        """Read what is there."""
        try:
            head = load_record((self._folder / HEAD).read_bytes())
            self.journal_id, self.acked = str(head["journal_id"]), int(head["acked"])
            self._numbers = {str(product): int(number) for product, number in head["numbers"].items()}
            if self._read_all():
                self._settle()
                return
        except (FileNotFoundError, DamagedRecord, KeyError, ValueError, TypeError, AttributeError):
            pass
        self._begin_anew()

    def _read_all(self) -> bool:
        """Read every segment; False when one is damaged otherwise than by a torn end."""
        segments = self._segments()
        if segments:
            self._last = _first(segments[0]) - 1
        for path in segments:
            entries, good = _read_segment(path)
            if _first(path) != self._last + 1 or (good < path.stat().st_size and path != segments[-1]):
                return False
            if [entry.sequence for entry in entries] != list(range(self._last + 1, self._last + 1 + len(entries))):
                return False
            self._segment, self._size = path, good
            self._torn = good < path.stat().st_size
            self._take(entries)
        return True

    def _settle(self) -> None:
        """Make durable what was found: a process that was killed may have left the newest entries without their sync.

        A disk that has become read-only takes a sync all the same.
        """
        if self._segment is not None:
            handle = os.open(self._segment, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                effects.fsync_file(handle)
            finally:
                os.close(handle)
        sync_dir(self._folder)

    def _take(self, entries: list[Entry]) -> None:
        """Hold what is durable."""
        for entry in entries:
            self._numbers[entry.product] = entry.report.number
            self._last = entry.sequence
            if self._segment is not None:
                self._newest[self._segment] = entry.report.occurred_at
        with self._held:
            self._waiting = self._waiting + [entry for entry in entries if entry.sequence > self.acked]

    def _begin_anew(self) -> None:
        """Set what is there aside, once, and begin a journal with a new id."""
        self.journal_id, self.acked, self._last = self._ids.new("journal"), 0, 0
        self._waiting, self._segment, self._size, self._torn = [], None, 0, False
        self._newest = {}
        self._write_head()
        for path in self._segments():
            effects.rename(path, free_name(path.with_suffix(".damaged")))
        sync_dir(self._folder)

    def _write_head(self) -> None:
        head = {"journal_id": self.journal_id, "acked": self.acked, "numbers": self._numbers}
        write_durably(self._folder / HEAD, dump_record(head))

    def _write(self, data: bytes, first_sequence: int) -> None:
        """Append ``data`` durably; what a failure leaves behind is taken away before the next try."""
        fresh = self._segment is None or self._size >= SEGMENT_BYTES
        path = self._folder / f"{first_sequence:0{_NAME_DIGITS}}.log" if fresh else self._segment
        assert path is not None  # noqa: S101 (one of the two, by the line above)
        size = 0 if fresh else self._size
        with effects.open_or_create(path, 0o600) as handle:
            if fresh or self._torn:
                effects.truncate(handle, size)
            os.lseek(handle, size, os.SEEK_SET)
            self._torn = True
            effects.write(handle, data)
            effects.fsync_file(handle)
        if fresh:
            sync_dir(self._folder)
        self._segment, self._size, self._torn = path, size + len(data), False

    def _segments(self) -> list[Path]:
        """Return the segments, oldest first."""
        return sorted(path for path in self._folder.glob("*.log") if path.stem.isdigit())


def read_journal(folder: Path) -> list[Entry]:
    """Return every intact entry in ``folder``, oldest first, changing nothing: for status and for proofs."""
    return [entry for path in sorted(folder.glob("*.log")) for entry in _read_segment(path)[0]]


def find_damage(folder: Path) -> tuple[str, ...]:
    """Return what would end the journal in ``folder`` at the next start, in words, changing nothing.

    A last line that was torn is no damage: the next write takes it away.
    """
    if not folder.is_dir():
        return (f"{folder.name} is no folder",) if folder.exists() else ()
    found = _head_damage(folder)
    segments = sorted(path for path in folder.glob("*.log") if path.stem.isdecimal())
    due = _first(segments[0]) if segments else 1
    for path in segments:
        entries, good = _read_segment(path)
        after = due + len(entries)
        if _first(path) != due or [entry.sequence for entry in entries] != list(range(due, after)):
            found.append(f"{path.name} does not go on with entry {due}")
        elif good < path.stat().st_size and path != segments[-1]:
            found.append(f"{path.name} is damaged from byte {good} on")
        due = _first(path) + len(entries)
    return tuple(found)


def _head_damage(folder: Path) -> list[str]:
    try:
        head = load_record((folder / HEAD).read_bytes())
        numbers = [int(number) for number in (head["acked"], *dict(head["numbers"]).values())]
    except FileNotFoundError:
        return [f"{HEAD} is lost"]
    except (DamagedRecord, KeyError, ValueError, TypeError):
        return [f"{HEAD} is damaged"]
    return [] if head.get("journal_id") and min(numbers) >= 0 else [f"{HEAD} is damaged"]


def _first(path: Path) -> int:
    """Return the sequence of a segment's first entry."""
    return int(path.stem)


def _line(entry: Entry) -> bytes:
    document = {"sequence": entry.sequence, "product": entry.product, "report": value_json(entry.report)}
    body = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _read_segment(path: Path) -> tuple[list[Entry], int]:
    """Return the entries up to the first line that is not as it was written, and how many bytes they have."""
    entries: list[Entry] = []
    size = 0
    with path.open("rb") as stream:
        while (line := stream.readline(MAX_LINE_BYTES)) and (entry := _parse(line)) is not None:
            entries.append(entry)
            size += len(line)
    return entries, size


def _parse(line: bytes) -> Entry | None:
    """Return the entry in ``line``; None for a torn or altered one."""
    crc, _, body = line[:-1].partition(b" ")
    if not line.endswith(b"\n") or crc != b"%08x" % zlib.crc32(body):
        return None
    try:
        document: dict[str, Any] = json.loads(body)
        report = read_value(Report, document["report"])
        return Entry(int(document["sequence"]), str(document["product"]), report)
    except (ValueError, KeyError, TypeError):
        return None
