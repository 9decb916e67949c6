"""A repository, an honest bundle of it, and a host that has seen neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_common.durable import effects
from tests.attacks.bundles.carrier import Carrier
from tests.faults.carried import Warehouse

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
def warehouse() -> Warehouse:
    """Give a repository with release 1.0.0 of the agent and of a shop."""
    return Warehouse()


@pytest.fixture
def carrier(tmp_path: Path, warehouse: Warehouse) -> Carrier:
    """Give a host, and whoever carries bundles to it."""
    return Carrier(tmp_path, warehouse)
