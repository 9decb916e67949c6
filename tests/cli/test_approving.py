"""A rollout from its preview to its approval, by programs of their own against a real server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.cli.test_real_server import command, line
from tests.faults.second_admin import label, second

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.worlds import World

CHOSEN = (
    "--selector",
    "site in (ams),!spare",
    "--canary",
    "canary=yes",
    "--batch-size",
    "1",
    "--order-by",
    "label:rack",
)


async def said(env: dict[str, str], *words: str) -> tuple[int | None, list[str], str]:
    """Run a command to its end; return its exit code, its lines, and what it said beside them."""
    async with command("rollout", *words, env=env) as process:
        out, err = await asyncio.wait_for(process.communicate(), 40)
    return process.returncode, out.decode().splitlines(), err.decode()


async def test_a_plan_is_looked_at_asked_for_and_approved_by_another_token(world: World, tmp_path: Path) -> None:
    await label(
        world,
        host_1={"site": "ams", "rack": "b"},
        host_2={"site": "ams", "rack": "a"},
        host_3={"site": "ams", "canary": "yes"},
        host_4={"site": "ams", "spare": ""},
    )
    await world.online("host-1", "host-2", "host-3")
    other = await second(world)
    async with line(world, tmp_path) as (_proxy, env):
        code, lines, _ = await said(env, "preview", *CHOSEN)
        assert (code, lines[0].endswith("to 3 hosts"), lines[-1]) == (0, True, "nothing was started")
        waves = [row.split()[-1] for row in lines if row.startswith("wave ")]
        assert waves == ["host-3", "host-2", "host-1"]
        assert await world.events("rollout.state") == []

        code, lines, _ = await said(env, "start", *CHOSEN, "--require-approval")
        rollout = lines[0].split()[0]
        assert (code, "AWAITING_APPROVAL" in lines[0]) == (0, True)
        code, _, err = await said(env, "approve", rollout)
        assert (code, "NOT_ALLOWED" in err, "second admin" in err) == (1, True, True)
        (tmp_path / "other").write_text(other.secret)
        code, lines, _ = await said({**env, "FLEETROLL_TOKEN_FILE": f"{tmp_path}/other"}, "approve", rollout)
        assert (code, "RUNNING" in lines[0], "both may be one person's" in lines[-1]) == (0, True, True)
    for name in ("host-3", "host-2", "host-1"):
        await world.update(name, "1.2.0")
    assert await world.state(rollout) == "COMPLETED"
