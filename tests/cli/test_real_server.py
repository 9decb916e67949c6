"""Commands that follow, as programs of their own, against a real server on a line that breaks."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fleetroll_cli.exits import Exit
from fleetroll_cli.interrupting import INTERRUPTED
from tests.faults.followers import log
from tests.faults.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.faults.worlds import World

CLI = (sys.executable, "-c", "from fleetroll_cli.app import main; main()")
HOSTS = ("host-1", "host-2", "host-3")


@asynccontextmanager
async def line(world: World, folder: Path) -> AsyncIterator[tuple[Proxy, dict[str, str]]]:
    """A line to the server, and the environment that names its near end."""
    (folder / "ca.pem").write_bytes(world.services.ca_pem)
    (folder / "token").write_text(world.stock.token)
    host, _, port = world.server.address.rpartition(":")
    async with Proxy.to(host, int(port)) as proxy:
        named = {"SERVER": proxy.address, "CA": f"{folder}/ca.pem", "TOKEN_FILE": f"{folder}/token"}
        yield proxy, {**os.environ, **{f"FLEETROLL_{name}": value for name, value in named.items()}}


@asynccontextmanager
async def command(*words: str, env: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command that runs, and does not outlive the block."""
    piped = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*CLI, *words, env=env, stdout=piped, stderr=piped)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_events_are_followed_through_cuts_until_interrupted(world: World, tmp_path: Path) -> None:
    await world.online("host-1")
    async with (
        line(world, tmp_path) as (proxy, env),
        command("events", "--follow", "--json", "--last", "500", env=env) as process,
    ):
        assert process.stdout is not None
        printed = [json.loads(await asyncio.wait_for(process.stdout.readline(), 20))["id"]]
        for name in HOSTS[1:]:
            proxy.cut()
            await world.online(name)
        await world.roll(*HOSTS)
        expected = await log(world)
        while printed[-1:] != expected[-1:]:
            printed.append(json.loads(await asyncio.wait_for(process.stdout.readline(), 20))["id"])
        assert printed == expected
        process.send_signal(signal.SIGINT)
        _, err = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == INTERRUPTED
        assert err.decode().splitlines()[-1] == "fleetroll: interrupted; what the server was told goes on"
        assert "Traceback" not in err.decode()


async def test_a_rollout_is_watched_through_a_restart_to_its_halt(world: World, tmp_path: Path) -> None:
    await world.online(*HOSTS)
    rollout = await world.roll(*HOSTS, waves=[1, 0])
    async with line(world, tmp_path) as (proxy, env), command("rollout", "watch", rollout, env=env) as process:
        assert process.stdout is not None
        first = await asyncio.wait_for(process.stdout.readline(), 20)
        assert b"RUNNING" in first
        await world.restart()
        proxy.target = ("127.0.0.1", int(world.server.address.rpartition(":")[2]))
        await world.online(*HOSTS)
        await world.fail("host-1")
        world.left_over = {"rollout": (0, 1)}  # it is halted, not ended
        out, err = await asyncio.wait_for(process.communicate(), 40)
    assert process.returncode == Exit.HALTED
    assert "HALTED  WAVE_NOT_PASSED" in out.decode()
    assert "Traceback" not in err.decode()
