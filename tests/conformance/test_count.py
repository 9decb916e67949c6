"""How many cases there are: a shrunken proof is seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

HERE = Path(__file__).parent
LEAST = 250


def test_the_cases_are_counted(request: pytest.FixtureRequest) -> None:
    collected = [
        item.path for item in request.session.items if item.path.parent == HERE and item.path != Path(__file__)
    ]
    whole = set(collected) == set(HERE.glob("test_*.py")) - {Path(__file__)} and not request.config.getoption("-k")
    assert len(collected) >= LEAST or not whole
    print(f"conformance: {len(collected)} cases")
