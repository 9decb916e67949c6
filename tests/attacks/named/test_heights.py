"""Versions that no message of the protocol holds, under both online keys: refused, and the agent goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_publishing.roles import read_repository, sign_role

if TYPE_CHECKING:
    from tests.attacks.named.scene import Scene


@pytest.mark.parametrize("height", [2**53 + 1, 2**63, 10**4000])
async def test_a_timestamp_beyond_every_number(attacked: Scene, height: int) -> None:
    """A host says in each hello which timestamp it has seen: one that can't be said must not be taken."""
    honest, timestamp = attacked.files, read_repository(attacked.files).timestamp
    timestamp.version = height
    forged = sign_role(timestamp, [attacked.releases.signers.of("timestamp")])
    attacked.files = {**honest, "timestamp.json": forged}
    await attacked.refused("METADATA_INVALID", "timestamp")
    sessions = len(attacked.server.sessions)
    attacked.server.session.end()
    await attacked.server.until(lambda: len(attacked.server.sessions) > sessions)
    attacked.files = honest
    await attacked.installs()
