"""The files that are only looked at. Damage is a value here: whoever reads says what it means."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs.record import read_record
from fleetroll_agent.jobs.values import ProductRecord
from fleetroll_agent.launcher import files
from fleetroll_agent.launcher.recovery import Source, from_bytes
from fleetroll_common.durable import DamagedRecord, load_record
from fleetroll_common.values.errors import AgentError

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_agent.launcher.values import Record

RECORD_BYTES = 16 * 1024 * 1024
"""No record of a product comes near it: 200 outcomes with 2,000 characters each are half a megabyte."""


def read_plain(path: Path, limit_bytes: int) -> bytes | None:
    """Return the first ``limit_bytes`` of a plain file; None when nothing is there. Anything else is never waited for.

    Raises:
        OSError: it can't be read, or is no plain file.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    with os.fdopen(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            message = f"{path} is no plain file"
            raise OSError(message)
        return stream.read(limit_bytes)


def read_product(state: Path, name: str) -> tuple[ProductRecord, str]:
    """Return the record of a product, and why it can't be believed: then it is an empty one."""
    path = state / "products" / f"{name}.json"
    try:
        data = read_plain(path, RECORD_BYTES)
        return (ProductRecord(name), "") if data is None else (read_record(load_record(data)), "")
    except OSError as error:
        return ProductRecord(name), f"{path.name} can't be read: {error.strerror or error}"
    except (DamagedRecord, AgentError) as error:
        return ProductRecord(name), f"{path.name}: {error.message}"


def recorded_products(state: Path) -> tuple[str, ...]:
    """Return the products that have a record, also those that agent.toml names no more."""
    try:
        return tuple(sorted(path.stem for path in (state / "products").iterdir() if path.suffix == ".json"))
    except OSError:
        return ()


def read_boot(state: Path) -> tuple[Record | None, str]:
    """Return the boot record that the launcher would believe without looking at the slots, and what is wrong with it.

    None without a fault means that no release was ever installed.
    """
    path = files.record_path(str(state))
    try:
        main, fresh = files.read_small(path), files.read_small(f"{path}.new")
    except OSError as error:
        return None, f"{files.RECORD_NAME} can't be read: {error.strerror}"
    found = from_bytes(main, fresh)
    if found is not None and found.source is Source.RECORD:
        return found.record, ""
    if found is not None:
        return found.record, f"{files.RECORD_NAME} is damaged or lost; its replacement is whole"
    return None, "" if main is None and fresh is None else f"{files.RECORD_NAME} is damaged"


def read_told(state: Path) -> dict[str, Any] | None:
    """Return what the launcher wrote about itself last; None when there is nothing that can be read."""
    try:
        told = json.loads(read_plain(state / files.STATUS_NAME, RECORD_BYTES) or b"null")
    except (OSError, ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def launcher_runs(state: Path) -> bool:
    """Tell whether a launcher, or an agent that it left behind, holds the state folder.

    The lock is asked for and given back at once, a shared one: two who ask do not see each other.

    Raises:
        OSError: there is no such folder, or it can't be opened.
    """
    handle = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return is_locked(handle)
    finally:
        os.close(handle)


def is_locked(handle: int) -> bool:
    """Tell whether somebody holds the lock of an open file exclusively."""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(handle, fcntl.LOCK_UN)
    return False
