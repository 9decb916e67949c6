"""While the services are driven: every statement on a table of one fleet's things is held to one fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.fleet_guard import fleets_named

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def fleets_are_named() -> Iterator[None]:
    """Watch every statement of the test."""
    with fleets_named():
        yield
