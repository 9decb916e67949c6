"""A place to unpack into, with witnesses around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.archives import Arena

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def arena(tmp_path: Path) -> Arena:
    """Return a fresh arena, three folders deep so that `..` would hit something that is watched."""
    root = tmp_path / "outer" / "inner"
    (root / "into").mkdir(parents=True)
    (root / "witness").write_text("untouched")
    return Arena(root)
