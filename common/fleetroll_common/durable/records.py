"""Small JSON records that show their own damage.

A record is one line of canonical JSON, ``{"crc32": "…", "record": {…}}``; the checksum covers the canonical bytes of
the inner object. Reading accepts exactly the bytes that writing produces: torn, truncated, doubled or edited files are
refused, never half believed. The checksum finds accidents, not attackers: whoever can write the file can write the
checksum.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError


class DamagedRecord(FleetrollError):  # noqa: N818 (named after what was found)
    """A record that is not as it was written. Nobody's request is at fault: the disk, or a crash before a sync."""


def dump_record(record: dict[str, Any]) -> bytes:
    """Return ``record`` as bytes, the same for equal records.

    Raises:
        TypeError, ValueError: ``record`` holds something that JSON can't, or a key of its own that is no string
        (programmer's fault).
    """
    inner = _canonical(record)
    return b'{"crc32":"%08x","record":%s}\n' % (zlib.crc32(inner), inner)


def load_record(data: bytes) -> dict[str, Any]:
    """Return the record in ``data``, fields that this version does not know included.

    Raises:
        DamagedRecord: ``data`` is not exactly what :func:`dump_record` wrote.
    """
    try:
        record = json.loads(data)["record"]
        intact = isinstance(record, dict) and dump_record(record) == data
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _damaged(data) from error
    if not intact:
        raise _damaged(data)
    return dict(record)


def _canonical(record: dict[str, Any]) -> bytes:
    """Return the one JSON text of ``record``: sorted keys, no spaces, ASCII, finite numbers."""
    if not all(isinstance(key, str) for key in record):
        message = "the keys of a record are strings"
        raise TypeError(message)
    return json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _damaged(data: bytes) -> DamagedRecord:
    """Return the error; the content stays out of it, since records may hold secrets."""
    message = f"a record of {len(data)} bytes is damaged: its checksum does not fit"
    return DamagedRecord(message, code=Code.STORE_FAILED, remedy="restore the file, or remove it to start anew")
