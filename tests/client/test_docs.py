"""The scripts of the handbook run as they stand there."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.faults.worlds import World

PAGE = Path(__file__).resolve().parents[2] / "docs" / "steering.md"
SCRIPTS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def run(script: str) -> None:
    exec(compile(script, str(PAGE), "exec"), {"__name__": "script"})  # noqa: S102 (the page is ours)


@pytest.fixture
def reachable(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """A server that the environment names."""
    (tmp_path / "ca.pem").write_bytes(world.services.ca_pem)
    (tmp_path / "token").write_text(world.stock.token)
    monkeypatch.setenv("FLEETROLL_SERVER", world.server.address)
    monkeypatch.setenv("FLEETROLL_CA", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("FLEETROLL_TOKEN_FILE", str(tmp_path / "token"))
    return world


async def test_the_script_without_asyncio(reachable: World, capfd: pytest.CaptureFixture[str]) -> None:
    rollout = await reachable.roll("host-1")
    await asyncio.to_thread(run, SCRIPTS[0])
    assert capfd.readouterr().out.splitlines() == [f"{rollout} agent 1.1.0"]


async def test_the_script_that_follows(reachable: World, capfd: pytest.CaptureFixture[str]) -> None:
    running = asyncio.create_task(asyncio.to_thread(run, SCRIPTS[1]))
    said = ""
    async with asyncio.timeout(20):
        while "agent.online" not in said:  # until it watches
            await reachable.online("host-1")
            await asyncio.sleep(0.1)
            await reachable.drop("host-1")
            await reachable.sweep(60)  # a shorter gap would be no news
            said += capfd.readouterr().out
        await reachable.online("host-1", "host-2", "host-3")
        await running
    capfd.readouterr()
    assert len(SCRIPTS) == 2
