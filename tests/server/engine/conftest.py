"""Worlds: a server with enrolled hosts and published releases."""

from __future__ import annotations

import asyncio
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_server.engine import engine
from fleetroll_server.engine.probing import prober
from tests.faults.fleet_guard import fleets_named
from tests.faults.recounts import check
from tests.faults.stocking import stock_up
from tests.faults.stocks import move_in
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
    monkeypatch.setattr(prober, "LOOK_SECONDS", 3600.0)
    made = World(stock_once.copy(tmp_path / "data"))
    await made.start()
    try:
        yield made
        await check(made)
    finally:
        await made.stop()


@pytest.fixture
async def worlds(
    stock_once: Stock, postgres: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[World]]:
    """Two servers on one PostgreSQL, with one clock."""
    monkeypatch.setattr(engine, "SWEEP_SECONDS", 3600.0)
    monkeypatch.setattr(prober, "LOOK_SECONDS", 3600.0)
    url = postgres.fresh()
    await move_in(stock_once, url)
    made = [World(stock_once.copy(tmp_path / f"data-{number}"), url) for number in (1, 2)]
    made[1].clock = made[0].clock
    for one in made:
        await one.start()
    try:
        yield made
        await check(made[0])
    finally:
        for one in made:
            await one.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
async def world_on_each(
    request: pytest.FixtureRequest, stock_once: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """A running server on each kind of database."""
    monkeypatch.setattr(engine, "SWEEP_SECONDS", 3600.0)
    monkeypatch.setattr(prober, "LOOK_SECONDS", 3600.0)
    url = ""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").fresh()
        await move_in(stock_once, url)
    made = World(stock_once.copy(tmp_path / "data"), url)
    await made.start()
    try:
        yield made
        await check(made)
    finally:
        await made.stop()
