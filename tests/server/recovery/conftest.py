"""Worlds: a server with enrolled hosts and published releases."""

from __future__ import annotations

import asyncio
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_server.engine import engine
from tests.faults.fleet_guard import fleets_named
from tests.faults.recounts import check
from tests.faults.stocking import stock_up
from tests.faults.worlds import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.faults.stocks import Stock


@pytest.fixture(autouse=True)
def fleets_are_named() -> Iterator[None]:
    """Watch every statement of the test."""
    with fleets_named():
        yield


@pytest.fixture(scope="session")
def stock_once(installed_once: Any, tmp_path_factory: pytest.TempPathFactory) -> Stock:
    """The session's stock."""
    home = tmp_path_factory.mktemp("stock")
    shutil.copytree(installed_once.data, home / "data")
    with ThreadPoolExecutor(1) as pool:  # a test's loop may run already
        return pool.submit(lambda: asyncio.run(stock_up(home / "data", installed_once.token, home))).result()


@pytest.fixture
async def world(stock_once: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A running server. Time passes when the test says so; what is counted must add up when it ends."""
    monkeypatch.setattr(engine, "SWEEP_SECONDS", 3600.0)
    made = World(stock_once.copy(tmp_path / "data"))
    await made.start()
    try:
        yield made
        await check(made)
    finally:
        await made.stop()
