"""The repository behind a session's connection, when that connection is gone."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from fleetroll_agent.fetch.values import SourceFailed
from fleetroll_agent.session.repository import Repository


@pytest.fixture
async def closed() -> Repository:
    """Return a repository whose channel was closed before the first call."""
    channel = grpc.aio.insecure_channel("127.0.0.1:9")
    repository = Repository(channel, lambda: b"token")
    await channel.close()
    return repository


async def test_a_target_asked_for_after_the_connection_closed_is_a_failed_source_and_no_defect(
    closed: Repository,
) -> None:
    with pytest.raises(SourceFailed, match="the session ended"):
        await anext(closed.open("agent/a.tar.zst", 0))


async def test_metadata_asked_for_after_the_connection_closed_is_a_failed_source_and_no_defect(
    closed: Repository,
) -> None:
    with pytest.raises(SourceFailed, match="the session ended"):
        await asyncio.to_thread(closed.fetch, "timestamp.json", 1000)
