"""A repository with bytes, and a clock."""

from __future__ import annotations

import pytest

from fleetroll_common.values.clock import FakeClock
from tests.faults.carried import Warehouse
from tests.faults.repositories import START


@pytest.fixture
def warehouse() -> Warehouse:
    """Give a repository with release 1.0.0 of the agent and of a shop."""
    return Warehouse()


@pytest.fixture
def clock() -> FakeClock:
    """Give a clock at the time of the repository."""
    return FakeClock(START)
