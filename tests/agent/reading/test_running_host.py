"""What a host says of itself while its agent runs, after a person's update over a real stream."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from fleetroll_agent.app import main
from tests.agent.fake_server.inprocess import InProcessHost
from tests.agent.fake_server.releases import Releases
from tests.agent.fake_server.server import FakeServer
from tests.faults.shop import Shop, artefact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    Asks = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[FakeServer]:
    """Give a running server with a good release of the shop and one that does not start."""
    releases = Releases()
    releases.publish("1.0.0", artefact(tmp_path, "1.0.0"), product="shop")
    releases.publish("2.0.0", artefact(tmp_path, "2.0.0", fault="start"), product="shop")
    async with FakeServer(releases) as running:
        yield running


@pytest.fixture
async def host(server: FakeServer, shop: Shop, tmp_path: Path) -> InProcessHost:
    """Return an enrolled host that keeps the shop."""
    enrolled = InProcessHost(tmp_path / "state", server)
    await enrolled.enrol()
    with (enrolled.folder / "agent.toml").open("a") as settings:
        settings.write(shop.settings())
    return enrolled


async def test_a_persons_update_stands_in_status_history_log_and_doctor(
    server: FakeServer, host: InProcessHost, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With who started it, how long it took, what its commands printed, and what went wrong in the end."""
    monkeypatch.setenv("SUDO_USER", "ann")

    async def asks(*words: str) -> dict[str, Any]:
        capsys.readouterr()
        await asyncio.to_thread(main, [*words, "--state", str(host.folder), "--json"])
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    with structlog.testing.capture_logs() as logs:
        shop, (newest, first), printed, findings = await _updated(server, host, asks)
    opened = next(line for line in logs if line["event"] == "session_open")
    assert abs(opened["clock_ahead_seconds"]) <= 2
    assert (shop["installed"]["version"], shop["last"]["result"]) == ("1.0.0", "ROLLED_BACK")
    assert [each["id"] for each in (newest, first)] == ["local:2", "local:1"]
    assert (first["version"], first["result"], first["actor"]) == ("1.0.0", "SUCCEEDED", "root (ann)")
    assert first["duration_seconds"] > 0
    assert newest["result"] == "ROLLED_BACK"
    assert any("backup: backup-1.0.0.db" in line for line in printed["lines"])
    silent = [line for line in printed["lines"] if " switch: " in line]
    assert silent[0].endswith("switch: [begins]")
    assert "switch: [done, after " in silent[1]
    signs = {finding["code"]: finding for finding in findings if finding["subject"] == "shop"}
    assert set(signs) <= {"ROLLED_BACK", "RESTART_FAILED"}
    assert len(signs) == 1
    assert not {finding["code"] for finding in findings if finding["code"].startswith("AGENT_")}
    assert not {finding["code"] for finding in findings} & {"SERVER_CLOSED", "SERVER_CERTIFICATE", "CLOCK_SKEW"}


async def _updated(server: FakeServer, host: InProcessHost, asks: Asks) -> tuple[Any, Any, Any, Any]:
    """Update twice by hand; return what the host then says of the shop, while its launcher's lock is held."""
    async with host.running():
        await server.until(lambda: server.sessions)
        while not (host.folder / "control.sock").exists():
            await asyncio.sleep(0.02)
        await asks("update", "shop", "--version", "1.0.0", "--soak", "0.2s", "--reason", "first")
        await asks("update", "shop", "--version", "2.0.0", "--soak", "0.2s")
        lock = os.open(host.folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        status, history = await asks("status"), await asks("history", "shop")
        printed, found = await asks("log", "shop", "local:1"), await asks("doctor")
        os.close(lock)
    return status["products"][1], history["attempts"], printed, found["findings"]
