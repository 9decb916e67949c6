"""From a key that the database knows to the key that speaks, over the rotations that a host has kept. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_common.values.errors import FleetrollError
from fleetroll_common.wire.signing import rotate_bytes, verify

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from fleetroll_server.recovery.evidence import Rotation


def replaced_keys(
    agent_id: str, known: Collection[bytes], speaking: bytes, rotations: Sequence[Rotation]
) -> tuple[bytes, ...] | None:
    """Return the keys that were replaced on the way from a known one to ``speaking``, oldest first.

    Each step is signed by the key that ended and by the one that followed: who has neither makes none.

    Args:
        agent_id: whose keys they are.
        known: keys of the agent that the database knows.
        speaking: the key that signed the hello.
        rotations: as shown, oldest first.

    Returns:
        Nothing where no chain leads there; empty where ``speaking`` is known itself.
    """
    if speaking in known:
        return ()
    newest_first, wanted, chain = list(reversed(rotations)), speaking, list[bytes]()
    for rotation in newest_first:
        if rotation.new_key != wanted or not _holds(agent_id, rotation):
            continue
        chain.append(rotation.old_key)
        wanted = rotation.old_key
        if wanted in known:
            return tuple(reversed(chain))
    return None


def _holds(agent_id: str, rotation: Rotation) -> bool:
    """Tell whether both keys have signed."""
    said = rotate_bytes(agent_id, rotation.old_key, rotation.new_key)
    try:
        verify(rotation.old_key, said, rotation.old_signature)
        verify(rotation.new_key, said, rotation.new_signature)
    except FleetrollError:
        return False
    return True
