"""What all disturbed shops share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crash.real.kits import in_memory
from tests.crash.shop.grounds import Grounds

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def grounds() -> Iterator[Grounds]:
    """Return what disturbed shops share, in a folder in memory where there is one."""
    with in_memory() as folder:
        yield Grounds(folder)
