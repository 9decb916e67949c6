"""A repository and a host that has seen it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_common.durable import effects
from tests.faults.repositories import Host, Repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module", autouse=True)
def _lazy_disk() -> Iterator[None]:
    """Leave syncing out: these processes end, the machine does not, and the real calls take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(effects, "fsync_file", lambda _handle: None)
        patch.setattr(effects, "fsync_dir", lambda _path: None)
        yield


@pytest.fixture
def repository() -> Repository:
    """Give a repository with release 1.0.0."""
    return Repository()


@pytest.fixture
def host(tmp_path: Path, repository: Repository) -> Host:
    """Give a host that has refreshed once."""
    host = Host(tmp_path, repository)
    assert host.update() == ("1.0.0",)
    return host
