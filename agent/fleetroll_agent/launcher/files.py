"""The launcher's files: the record, the slots and their hints. Everything is a plain file; no link decides anything."""

import json
import os
import stat
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

from fleetroll_agent.launcher import calls
from fleetroll_agent.launcher.record import DIGEST, MAX_BYTES, SLOT_NAME

RECORD_NAME = "boot.json"
STATUS_NAME = "launcher.status"
LOG_NAME = "agent.log"
SLOTS_PATH = os.path.join("slots", "agent")
_COMPLETE = "COMPLETE"
_GOOD = "GOOD"
_BAD = "BAD"
_COMPLETE_BYTES = 64 * 1024
_NOT_OURS = (ValueError, KeyError, TypeError, RecursionError)
"""What reading JSON that nobody of this project wrote may raise; deep nesting is the last one."""


class SlotFacts(NamedTuple):
    """A complete slot as it stands on disk.

    Attributes:
        name: folder name.
        version: from COMPLETE.
        digest: SHA-256 of the artefact, from COMPLETE.
        entry: relative path of the program.
        abi: of the interpreter that it needs.
        good: the record's number at its commit; -1 = no GOOD file.
        bad: there is a BAD file.
    """

    name: str
    version: str
    digest: str
    entry: str
    abi: str
    good: int = -1
    bad: bool = False


def record_path(state: str) -> str:
    """Return where the boot record stands."""
    return os.path.join(state, RECORD_NAME)


def slot_path(state: str, name: str) -> str:
    """Return the folder of a slot."""
    return os.path.join(state, SLOTS_PATH, name)


def replace_file(path: str, data: bytes, mode: int = 0o600) -> None:
    """Replace ``path`` by ``data``: old or new, never half, and durable on return.

    Raises:
        OSError: the disk refused. Before the rename the old file stands; after it the file may be either.
    """
    staged = path + ".new"
    calls.unlink(staged)
    handle = calls.create(staged, mode)
    try:
        calls.write(handle, data)
        calls.fsync_file(handle)
    finally:
        os.close(handle)
    calls.rename(staged, path)
    calls.fsync_dir(os.path.dirname(path))


def finish_replacing(path: str) -> None:
    """Carry out the rename of a replacement that was cut off after its content was complete.

    Raises:
        OSError: the disk refused.
    """
    staged = path + ".new"
    handle = os.open(staged, os.O_RDWR)
    try:
        calls.fsync_file(handle)
    finally:
        os.close(handle)
    calls.rename(staged, path)
    calls.fsync_dir(os.path.dirname(path))


def read_small(path: str, limit_bytes: int = MAX_BYTES) -> Optional[bytes]:
    """Return the content of a plain file, at most ``limit_bytes`` + 1 of it; None when there is no such file.

    Raises:
        OSError: the disk refused.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0))
    except (FileNotFoundError, NotADirectoryError):
        return None
    with os.fdopen(handle, "rb") as stream:
        return stream.read(limit_bytes + 1)


def read_slot(state: str, name: str) -> Optional[SlotFacts]:
    """Return the complete slot ``name``; None when it is not one: no COMPLETE, a damaged one, no entry, a link.

    Nor is one with a name or digest that no record may hold: a record made of it could be read by nobody.
    """
    folder = slot_path(state, name)
    data = _read_or_none(os.path.join(folder, _COMPLETE))
    if data is None or not _is(folder, stat.S_ISDIR):
        return None
    try:
        body = json.loads(data.decode())
        version, digest, entry, abi = (body[key] for key in ("version", "sha256", "entry", "interpreter_abi"))
    except _NOT_OURS:
        return None
    if not all(isinstance(value, str) for value in (version, digest, entry, abi)):
        return None
    if not (SLOT_NAME.match(name) and DIGEST.match(digest)):
        return None
    if entry.startswith("/") or ".." in entry.split("/") or not _is(os.path.join(folder, entry), stat.S_ISREG):
        return None
    bad = _is(os.path.join(folder, _BAD), stat.S_ISREG)
    return SlotFacts(name, version, digest, entry, abi, _good_number(folder), bad)


def read_slots(state: str) -> List[SlotFacts]:
    """Return all complete slots, ordered by name."""
    try:
        names = sorted(os.listdir(os.path.join(state, SLOTS_PATH)))
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = [read_slot(state, name) for name in names if not name.startswith(".")]
    return [slot for slot in found if slot is not None]


def mark_good(state: str, name: str, seq: int) -> None:
    """Leave the hint that the slot was committed as number ``seq``; BAD goes first, so that both never stand together.

    Raises:
        OSError: the disk refused.
    """
    folder = slot_path(state, name)
    path = os.path.join(folder, _GOOD)
    if _is(os.path.join(folder, _BAD), stat.S_ISREG):
        calls.unlink(os.path.join(folder, _BAD))
        calls.fsync_dir(folder)
    if _good_number(folder) > 0:
        return
    calls.unlink(path)
    _write_hint(path, {"seq": seq})


def unmark_good(state: str, name: str) -> None:
    """Take the hint away, durably.

    Raises:
        OSError: the disk refused.
    """
    folder = slot_path(state, name)
    if _is(os.path.join(folder, _GOOD), stat.S_ISREG):
        calls.unlink(os.path.join(folder, _GOOD))
        calls.fsync_dir(folder)


def mark_bad(state: str, digests: Sequence[str]) -> None:
    """Leave BAD in every complete slot with one of ``digests``.

    Raises:
        OSError: the disk refused.
    """
    for slot in read_slots(state):
        if slot.digest not in digests:
            continue
        if slot.good >= 0:
            unmark_good(state, slot.name)
        if not slot.bad:
            _write_hint(os.path.join(slot_path(state, slot.name), _BAD), {})


def _write_hint(path: str, body: Dict[str, int]) -> None:
    handle = calls.create(path, 0o644)
    try:
        calls.write(handle, (json.dumps(body) + "\n").encode())
        calls.fsync_file(handle)
    finally:
        os.close(handle)
    calls.fsync_dir(os.path.dirname(path))


def _good_number(folder: str) -> int:
    """Return the number in GOOD; 0 when power failed before its content was there; -1 without the file."""
    data = _read_or_none(os.path.join(folder, _GOOD))
    if data is None:
        return -1
    try:
        seq = json.loads(data.decode())["seq"]
    except _NOT_OURS:
        return 0
    return seq if isinstance(seq, int) and seq > 0 else 0


def _read_or_none(path: str) -> Optional[bytes]:
    """Return a file's content; what can't be read counts as absent: such a slot is not started."""
    try:
        data = read_small(path, _COMPLETE_BYTES)
    except OSError:
        return None
    return data


def _is(path: str, kind: Callable[[int], bool]) -> bool:
    try:
        return kind(os.lstat(path).st_mode)
    except (OSError, ValueError):  # ValueError: a NUL, or what the file system's encoding does not have
        return False
