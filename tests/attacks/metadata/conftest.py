"""A repository and a host that has seen it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.repositories import Host, Repository

if TYPE_CHECKING:
    from pathlib import Path


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
