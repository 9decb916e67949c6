"""A fresh store for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.slots import SlotStore
from tests.faults.slot_bench import Bench, WatchedDisk

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    state = tmp_path / "state"
    state.mkdir()
    disk = WatchedDisk(state)
    return Bench(state, disk, SlotStore(state, disk))
