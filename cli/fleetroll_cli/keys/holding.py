"""Who holds which keys: decided by what is here, never by a server's word alone.

Root's signature gives targets and products to whichever key it names. A server in a thief's hands would say that it
holds those keys, and offer another of its own: in offline mode root would hand it the fleet. So for these roles a
server's keys are named only where whoever signs has said that the server is a managed one, and nothing here shows
otherwise.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_cli.keys.options import invalid, not_allowed
from fleetroll_publishing.demands import ONLINE_ROLES
from fleetroll_publishing.history import public_of
from fleetroll_publishing.keys import read_label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fleetroll_cli.keys.desk import Desk
    from fleetroll_cli.keys.ring import Passphrases

ROOT, TARGETS = "root", "targets"


@dataclass(frozen=True, slots=True)
class Ring:
    """Key files at hand.

    Attributes:
        files: that sign, at least one.
        out: where new ones go.
        passphrases: what opens and protects them.
        server_keys: whether the server holds the keys of targets and products, as whoever signs says.
    """

    files: tuple[Path, ...]
    out: Path
    passphrases: Passphrases
    server_keys: bool = False

    @classmethod
    def of(
        cls, files: list[Path] | None, out: Path | None, passphrases: Passphrases, *, server_keys: bool = False
    ) -> Ring:
        """Return the ring that options name.

        Raises:
            RequestError: no key file is named (caller's fault).
        """
        if not files:
            raise invalid("key", "no key file is named", "name those that sign with --key FILE")
        return cls(tuple(files), out or files[0].resolve().parent, passphrases, server_keys)

    @property
    def folders(self) -> tuple[Path, ...]:
        """Return where a pinned root and what was seen may lie: beside each key file, and where new ones go."""
        return tuple(dict.fromkeys([*(path.resolve().parent for path in self.files), self.out.resolve()]))


def roles_at_hand(desk: Desk, ring: Ring) -> Mapping[str, int]:
    """Return how many standing keys of each role lie in the files that were named.

    Raises:
        RequestError: one of them is no key file (caller's fault).
    """
    named = {public_of(key): role for role, keys in desk.standing.items() for key in keys.keys}
    publics = {public_of(read_label(path).public) for path in ring.files}
    return Counter(named[public] for public in publics if public in named)


def check_holder(desk: Desk, ring: Ring, roles: Sequence[str]) -> None:
    """Refuse to exchange keys of targets and products where it is not sure who holds them.

    Raises:
        RequestError: NOT_ALLOWED: the server says that it holds one and nobody here has said so, or it is said here and
            a record or a key file shows that it is not so.
    """
    asked = [role for role in roles if role not in (ROOT, *ONLINE_ROLES)]
    if not asked:
        return
    here = sorted({*desk.signed_here, *roles_at_hand(desk, ring)} - {ROOT, *ONLINE_ROLES})
    if ring.server_keys and here:
        what = f"{', '.join(here)}: signed here, or the key file is; no server holds that key; nothing was signed"
        raise not_allowed("server_keys", what, "leave --server-keys out: new keys are made here")
    held = [] if ring.server_keys else sorted(desk.said_held().intersection(asked))
    if held and here:
        what = f"the server says that it holds the key of {held[0]}, but {', '.join(here)} is signed here; nothing was"
        raise not_allowed("roles", what, "somebody else may have the server: docs/operating/keys.md, a stolen server")
    if held:
        what = f"the server says that it holds the key of {', '.join(held)}; its word is not enough; nothing was signed"
        raise not_allowed("roles", what, "if you know that it is a managed server: --server-keys, or keys to-offline")
