"""One template of a fleet per run of this folder, of which each test module runs a copy; an owner of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.fleet.releases import GOOD, MISTAKES
from tests.e2e.fleet.template import Template
from tests.e2e.owners import Story

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = tuple(f"h{number}" for number in range(1, 9))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Return a stopped fleet of eight hosts that run 1.0.0, with a good release and all bad ones published."""
    return Template.shared(tmp_path_factory.getbasetemp(), NAMES, (GOOD, *MISTAKES))


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """Return an owner with nothing but empty folders."""
    made = Story(tmp_path)
    try:
        yield made
    finally:
        made.fleet.end()
