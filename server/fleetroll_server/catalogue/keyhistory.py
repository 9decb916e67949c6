"""Which keys were ever named, and since when; how the keys of now stand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from fleetroll_common.trust.library import Root, Targets
from fleetroll_publishing.history import named_in_root, named_in_targets, public_of
from fleetroll_publishing.roles import read_role, standings
from fleetroll_publishing.rotation import key_sets
from fleetroll_server.catalogue.keys import held_keys
from fleetroll_server.catalogue.metadata import current_files, naming_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_common.trust.library import Key
    from fleetroll_server.secrets import Secrets

HELD_HERE = timedelta(days=180)
"""After which a key that a server holds should be exchanged: it lies where the network reaches."""
HELD_ELSEWHERE = timedelta(days=730)
"""The same for keys that lie offline: an exchange is a ceremony."""


@dataclass(frozen=True, slots=True)
class Named:
    """A key that a committed role named.

    Attributes:
        role: the first for which it was named.
        since: when that was committed here, aware.
    """

    role: str
    since: datetime


@dataclass(frozen=True, slots=True)
class KeyStanding:
    """One key of now.

    Attributes:
        key_id: its id.
        public: Ed25519, 64 hex digits.
        since: when a committed role named it first, aware.
        rotate_after: when it should be exchanged, aware.
        held_here: whether this server has its private half.
    """

    key_id: str
    public: str
    since: datetime
    rotate_after: datetime
    held_here: bool


@dataclass(frozen=True, slots=True)
class RoleStanding:
    """One role: as for the metadata of now, with its keys."""

    role: str
    version: int
    expires: datetime
    threshold: int
    keys: tuple[KeyStanding, ...]


async def named_keys(connection: AsyncConnection) -> dict[str, Named]:
    """Return every key that a committed role ever named, by its public value.

    Raises:
        StoreError: a file is unreadable (our fault).
    """
    files, stored = await naming_files(connection)
    return _named(files, stored)


async def key_standings(connection: AsyncConnection, secrets: Secrets) -> tuple[RoleStanding, ...]:
    """Return how each role and its keys stand: root first, then targets, products, snapshot, timestamp.

    Raises:
        StoreError: metadata or keys are unreadable (our fault).
    """
    files = await current_files(connection)
    named = await named_keys(connection)
    held = {key.public.keyval["public"] for key in (await held_keys(connection, secrets)).values()}
    signed = {standing.role: standing for standing in standings(files)}
    return tuple(
        RoleStanding(
            role,
            signed[role].version,
            signed[role].expires,
            keys.threshold,
            tuple(_standing(key, named, held) for key in keys.keys),
        )
        for role, keys in key_sets(files).items()
    )


def _standing(key: Key, named: Mapping[str, Named], held: set[str]) -> KeyStanding:
    """Return how one key stands."""
    public = public_of(key)
    since, is_here = named[public].since, public in held
    return KeyStanding(key.keyid, public, since, since + (HELD_HERE if is_here else HELD_ELSEWHERE), is_here)


def _named(files: Mapping[str, bytes], stored: Mapping[str, datetime]) -> dict[str, Named]:
    """Return the first naming of each key: files are taken in the order in which they came."""
    found: dict[str, Named] = {}
    for name in sorted(files, key=lambda each: (stored[each], int(each.partition(".")[0]))):
        for role, key in _names_of(files, name):
            found.setdefault(public_of(key), Named(role, stored[name]))
    return found


def _names_of(files: Mapping[str, bytes], name: str) -> Iterable[tuple[str, Key]]:
    """Return role and key of all that one file names."""
    if name.endswith(".root.json"):
        return named_in_root(read_role(files, Root, name))
    return named_in_targets(read_role(files, Targets, name))
