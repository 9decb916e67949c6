"""Walks say nothing of what they meet: a hundred thousand steps would write a log of a million lines."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import structlog

from tests.server.conftest import postgres, sqlite_template  # noqa: F401 (fixtures)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def in_silence() -> Iterator[None]:
    """Write no log."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)
