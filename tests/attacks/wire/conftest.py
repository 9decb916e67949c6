"""A stopped fleet that is made once; each module runs a copy of it, with somebody between its agents and its server."""

from __future__ import annotations

import pytest

from tests.e2e.fleet.releases import GOOD
from tests.e2e.fleet.template import Template

NAMES = tuple(f"h{number}" for number in range(1, 8))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Return a stopped fleet of seven hosts that run 1.0.0 and have not seen 1.1.0, which is published."""
    return Template.shared(tmp_path_factory.getbasetemp(), NAMES, (GOOD,))
