"""Hosts without disk and network."""

from __future__ import annotations

import pytest

from tests.faults.jobs import Host


@pytest.fixture
def host() -> Host:
    """Return a host that runs 1.0.0, knows nothing and has no session."""
    return Host.start()
