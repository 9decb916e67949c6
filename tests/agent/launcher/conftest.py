"""Hosts for real launchers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.launcher_host import Host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    yield made
    made.close()
