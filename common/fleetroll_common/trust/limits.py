"""How much signed metadata a host reads before it gives up; publishing refuses to sign more than this."""

from __future__ import annotations

ROOT_BYTES_MAX = 512_000
"""Room for some thousand keys; a root has about eight."""

TIMESTAMP_BYTES_MAX = 16_384
"""A timestamp is about 500 bytes: this role is the first one read and the least protected."""

SNAPSHOT_BYTES_MAX = 2_000_000
"""About 150 bytes for each product."""

TARGETS_BYTES_MAX = 4 * 1024 * 1024
"""The most that one answer carries; a product lists about 20 releases of about 1 KB on each platform."""

ROOT_ROTATIONS_MAX = 256
"""Roots read in one refresh: a host that slept through more than this needs more than one."""

VERSION_MAX = 2**53
"""Of any role: what every JSON reader takes as a whole number, and what a message of the protocol holds."""

BYTES_MAX = {"root": ROOT_BYTES_MAX, "timestamp": TIMESTAMP_BYTES_MAX, "snapshot": SNAPSHOT_BYTES_MAX}
"""By role; all roles that list targets have ``TARGETS_BYTES_MAX``."""


def bytes_max(role: str) -> int:
    """Return the most bytes that the metadata of ``role`` may have."""
    return BYTES_MAX.get(role, TARGETS_BYTES_MAX)
