"""One template of a fleet per run of this folder; each test module runs a copy of it."""

from __future__ import annotations

import pytest

from tests.e2e.fleet.releases import GOOD, MISTAKES
from tests.e2e.fleet.template import Template

NAMES = tuple(f"h{number}" for number in range(1, 9))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Return a stopped fleet of eight hosts that run 1.0.0, with a good release and all bad ones published."""
    return Template.shared(tmp_path_factory.getbasetemp(), NAMES, (GOOD, *MISTAKES))
