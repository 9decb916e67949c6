"""What an error means: the job's own fault, its time is over, a collision worth another try, storage that fails."""

from __future__ import annotations

import sqlite3
from enum import Enum, auto

from sqlalchemy.exc import DBAPIError

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import StoreError

_PG_COLLISIONS = frozenset({"40001", "40P01", "55P03"})
"""Serialization failure, deadlock, lock timeout: the other side goes first, then it works."""
_PG_QUERY_CANCELED = "57014"
"""A statement took longer than ``statement_timeout``: of class 57, but nothing is wrong with the storage."""
_PG_STORAGE_CLASSES = frozenset({"08", "53", "57", "58", "XX"})
"""Connection, resources (disk full), operator (shutdown), system (I/O), internal errors."""
_SQLITE_JOB_CODES = frozenset(
    {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_RANGE,
        sqlite3.SQLITE_TOOBIG,
        sqlite3.SQLITE_MISUSE,
    }
)
_PRIMARY_CODE_MASK = 0xFF
"""SQLite's extended codes carry the primary one in the lowest byte."""


class Fault(Enum):
    """Who has to act."""

    JOB = auto()
    OVERTIME = auto()
    COLLISION = auto()
    STORAGE = auto()


def classify(error: Exception) -> Fault:
    """Return what ``error``, raised by a job or by the transaction around it, means.

    An error that is not the database's is the job's own. An error of the database that is not known counts as storage:
    then nothing takes effect, which is safe in every case.
    """
    if isinstance(error, TimeoutError) and error.errno is None:
        return Fault.OVERTIME  # of asyncio, not of the system, which gives a number
    if isinstance(error, OSError):
        return Fault.STORAGE
    if not isinstance(error, DBAPIError) or error.orig is None:
        return Fault.JOB
    if error.connection_invalidated:
        return Fault.STORAGE
    if isinstance(error.orig, sqlite3.Error):
        code = getattr(error.orig, "sqlite_errorcode", None)
        return Fault.JOB if code is not None and code & _PRIMARY_CODE_MASK in _SQLITE_JOB_CODES else Fault.STORAGE
    return _of_sqlstate(getattr(error.orig, "sqlstate", None) or "")


def _of_sqlstate(state: str) -> Fault:
    """Judge a code of PostgreSQL; none at all means that the connection broke."""
    if state in _PG_COLLISIONS:
        return Fault.COLLISION
    if state == _PG_QUERY_CANCELED:
        return Fault.OVERTIME
    return Fault.STORAGE if not state or state[:2] in _PG_STORAGE_CLASSES else Fault.JOB


def out_of_time() -> StoreError:
    """Return the error for the one whose own change took too long."""
    return StoreError(
        "the change took too long and was broken off; nothing took effect",
        code=Code.UNAVAILABLE,
        remedy="try again later",
    )


def store_failed(why: str) -> StoreError:
    """Return the error for everyone whose change is not durable."""
    return StoreError(
        f"the change could not be stored: {why}; nothing took effect",
        code=Code.STORE_FAILED,
        remedy="free space or mend the database, then try again",
    )
