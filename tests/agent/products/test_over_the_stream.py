"""A whole daemon updates a real service over a real stream: commands, links, health and the way back."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import types_pb2
from fleetroll_agent.jobs.keeper import ProductFile
from fleetroll_agent.jobs.values import Attempt, Stage, Step
from fleetroll_agent.jobs.work import Work
from tests.agent.fake_server.inprocess import InProcessHost
from tests.agent.fake_server.releases import Releases
from tests.faults.shop import Shop, artefact

if TYPE_CHECKING:
    from tests.agent.fake_server.server import FakeServer


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    """Return a repository with the shop's releases: good ones, and one for each way to fail."""
    folder, known = tmp_path_factory.mktemp("shop"), Releases()
    known.publish("1.0.0", artefact(folder, "1.0.0"), product="shop")
    known.publish("1.1.0", artefact(folder, "1.1.0"), product="shop")
    known.publish("2.0.0", artefact(folder, "2.0.0", schema=2), product="shop", migrations_required=True)
    for number, fault in enumerate(("smoke", "start", "unhealthy")):
        known.publish(f"3.0.{number}", artefact(folder, f"3.0.{number}", fault=fault), product="shop")
    known.publish("3.1.0", artefact(folder, "3.1.0", reported="3.0.9"), product="shop")
    migrated = artefact(folder, "4.0.0", schema=2, fault="unhealthy")
    known.publish("4.0.0", migrated, product="shop", migrations_required=True)
    return known


@pytest.fixture
async def host(server: FakeServer, shop: Shop, tmp_path: Path) -> InProcessHost:
    """Return an enrolled host that keeps the shop; its daemon does not run."""
    enrolled = InProcessHost(tmp_path / "state", server)
    await enrolled.enrol()
    with (enrolled.folder / "agent.toml").open("a") as settings:
        settings.write(shop.settings())
    return enrolled


async def update(server: FakeServer, version: str, generation: int) -> stream_pb2.Report:
    """Bring ``version`` about; return the report that ended it."""
    await server.until(lambda: server.sessions)
    server.assign(version, generation, product="shop", soak=0.6)
    await server.until(lambda: server.result(generation, "shop"))
    result = server.result(generation, "shop")
    assert result is not None
    return result


def ended(result: stream_pb2.Report) -> str:
    return types_pb2.AttemptState.Name(result.state).removeprefix("ATTEMPT_STATE_")


async def test_a_service_is_installed_updated_and_migrated(server: FakeServer, host: InProcessHost, shop: Shop) -> None:
    async with host.running():
        assert ended(await update(server, "1.0.0", 1)) == "SUCCEEDED"
        assert await asyncio.to_thread(shop.page) == {"version": "1.0.0", "schema": 1, "orders": 1}
        assert ended(await update(server, "2.0.0", 2)) == "SUCCEEDED"
        assert await asyncio.to_thread(shop.page) == {"version": "2.0.0", "schema": 2, "orders": 1}
    assert server.states(2, "shop") == [
        "OFFERED",
        "DOWNLOADING",
        "STAGED",
        "APPLYING check",
        "APPLYING backup",
        "APPLYING migrate",
        "APPLYING smoke",
        "APPLYING switch",
        "APPLYING restart",
        "APPLYING health",
        "SOAKING health",
        "SUCCEEDED",
    ]


async def test_every_failure_leaves_the_version_before(server: FakeServer, host: InProcessHost, shop: Shop) -> None:
    async with host.running():
        await update(server, "1.0.0", 1)
        smoke = await update(server, "3.0.0", 2)
        assert ended(smoke) == "FAILED"
        assert "the frobnicator is missing" in smoke.output_tail
        assert "it ended with exit code 1; it said: smoke: the frobnicator is missing" in smoke.message
        start = await update(server, "3.0.1", 3)
        unhealthy = await update(server, "3.0.2", 4)
        mismatch = await update(server, "3.1.0", 5)
        assert [ended(one) for one in (start, unhealthy, mismatch)] == ["ROLLED_BACK", "ROLLED_BACK", "FAILED"]
        assert "status 500" in unhealthy.message
        assert "reports '3.0.9', its release is 3.1.0" in mismatch.message
        assert (await asyncio.to_thread(shop.page))["version"] == "1.0.0"


async def test_a_migrated_database_comes_back_with_its_data(
    server: FakeServer, host: InProcessHost, shop: Shop
) -> None:
    async with host.running():
        await update(server, "1.0.0", 1)
        result = await update(server, "4.0.0", 2)
        assert ended(result) == "ROLLED_BACK"
        assert await asyncio.to_thread(shop.page) == {"version": "1.0.0", "schema": 1, "orders": 1}
    assert "SOAKING restore" not in server.states(2, "shop")
    assert "APPLYING restore" in server.states(2, "shop")


async def test_a_host_that_is_cut_off_for_its_whole_update_keeps_a_healthy_product(
    server: FakeServer, host: InProcessHost, shop: Shop
) -> None:
    async with host.running():
        await update(server, "1.0.0", 1)
        server.assign("2.0.0", 2, product="shop", soak=0.6)
        await server.until(lambda: "APPLYING check" in server.states(2, "shop"))
        await server.stop()
        heard = len(server.states(2, "shop"))
        kept = ProductFile(host.folder, "shop")
        async with asyncio.timeout(40):
            while kept.read().attempt is not None:
                await asyncio.sleep(0.05)
        assert kept.read().current.version == "2.0.0"
        assert await asyncio.to_thread(shop.page) == {"version": "2.0.0", "schema": 2, "orders": 1}
        assert len(server.states(2, "shop")) == heard
        await server.start()
        await server.until(lambda: server.result(2, "shop"))
        assert server.states(2, "shop")[heard:][-1:] == ["SUCCEEDED"]
        assert server.states(2, "shop").count("SUCCEEDED") == 1


async def test_an_orderly_end_waits_for_a_backup_and_the_next_agent_goes_on(
    server: FakeServer, host: InProcessHost, shop: Shop
) -> None:
    """The command is not killed, nor run twice, and nothing is taken back."""
    async with host.running():
        await update(server, "1.0.0", 1)
    path, begun = host.folder / "agent.toml", shop.home / "begun"
    slow = f"echo x >>{begun} && sleep 1.5 && cp {shop.home}/shop.db"
    path.write_text(path.read_text().replace(f"cp {shop.home}/shop.db", slow, 1))
    async with host.running() as daemon:
        await server.until(lambda: len(server.sessions) == 2)
        server.assign("1.1.0", 2, product="shop", soak=0.3)
        async with asyncio.timeout(20):
            while not begun.exists():
                await asyncio.sleep(0.02)
        at = time.monotonic()
        daemon._begin_leaving("stopping", 0)
        assert await asyncio.wait_for(host.work, 20) == 0
        assert time.monotonic() - at > 0.5
        assert host.launcher is not None
        (asked,) = host.launcher.said("extend")
        assert 600 <= asked["seconds"] <= 700
    assert server.result(2, "shop") is None
    async with host.running():
        await server.until(lambda: server.result(2, "shop"))
        assert (await asyncio.to_thread(shop.page))["version"] == "1.1.0"
    assert begun.read_text() == "x\n"
    assert "APPLYING switch_back" not in server.states(2, "shop")


async def test_a_health_command_stands_in_the_record_while_it_runs(
    server: FakeServer, host: InProcessHost, shop: Shop
) -> None:
    """Whoever starts next can end it; once it has ended it is not there any more."""
    path = host.folder / "agent.toml"
    settings = path.read_text().replace(f'url = "http://127.0.0.1:{shop.port}/"\nversion = "version"\n', "")
    asks = '["/bin/sh", "-c", "echo $$ >PID; sleep 0.5"]'.replace("PID", str(shop.home / "asked"))
    path.write_text(settings.replace("[products.shop.health]\n", f"[products.shop.health]\ncommand = {asks}\n"))
    async with host.running():
        await server.until(lambda: server.sessions)
        server.assign("1.0.0", 1, product="shop", soak=0.3)
        async with asyncio.timeout(20):
            while not (shop.home / "asked").exists():
                await asyncio.sleep(0.02)
        attempt = ProductFile(host.folder, "shop").read().attempt
        assert attempt is not None
        assert attempt.work is not None
        assert attempt.work.child is not None
        assert attempt.work.child.pid == int((shop.home / "asked").read_text())
        await server.until(lambda: server.result(1, "shop"))
    assert server.states(1, "shop")[-1] == "SUCCEEDED"


async def test_a_hello_lists_every_product(server: FakeServer, host: InProcessHost) -> None:
    async with host.running():
        await update(server, "1.0.0", 1)
    async with host.running():
        await server.until(lambda: len(server.sessions) == 2)
        shown = {product.product: product for product in server.session.hello.products}
    assert shown["agent"].version == "1.0.0"
    assert (shown["shop"].version, shown["shop"].highest_generation, shown["shop"].healthy) == ("1.0.0", 1, True)


async def test_live_lines_come_with_their_attempt(server: FakeServer, host: InProcessHost) -> None:
    async with host.running():
        await update(server, "1.0.0", 1)
        lines = [heard.log_lines for heard in server.session.heard if heard.HasField("log_lines")]
    said = {line for message in lines for line in message.lines}
    assert "backup: backup-1.0.0.db" in said
    assert {(message.product, message.generation) for message in lines} == {("shop", 1)}


async def test_the_service_outlives_the_agent(server: FakeServer, host: InProcessHost, shop: Shop) -> None:
    async with host.running():
        await update(server, "1.0.0", 1)
        before = (shop.home / "pid").read_text()
    assert (await asyncio.to_thread(shop.page))["version"] == "1.0.0"
    assert (shop.home / "pid").read_text() == before


async def test_another_account_reaches_the_active_version_and_no_secret(
    server: FakeServer, host: InProcessHost, shop: Shop
) -> None:
    async with host.running():
        await update(server, "1.0.0", 1)
    program = (
        "import os, sys; os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
        "print(len(open(sys.argv[1] + '/shop.py').read()) > 0)\n"
        "print([name for name in ('identity', 'journal', 'products', 'slots', '.')"
        " if os.access(sys.argv[2] + '/' + name, os.R_OK)])\n"
    )
    # The way to the test's own folders is not open to others; the host's is what counts.
    base = Path(tempfile.gettempdir())
    for folder in host.folder.parents:
        if base in folder.parents:
            folder.chmod(0o755)
    command = (sys.executable, "-c", program, str(shop.link), str(host.folder))
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=20, check=False)
    assert done.stdout.splitlines() == ["True", "[]"], done.stderr


async def test_a_damaged_record_is_rebuilt_from_the_versions_that_are_there(
    server: FakeServer, host: InProcessHost, shop: Shop
) -> None:
    async with host.running():
        await update(server, "1.0.0", 1)
        await update(server, "1.1.0", 2)
    folder = host.folder / "products"
    kept = sorted(path.name for path in (host.folder / "slots" / "shop").iterdir())
    (folder / "shop.json").write_bytes(b"\0" * 300)
    async with host.running():
        await server.until(lambda: len(server.sessions) == 1)
        assert sorted(path.name for path in (host.folder / "slots" / "shop").iterdir()) == kept
        assert ended(await update(server, "1.1.0", 3)) == "SUCCEEDED", "nobody takes it for done unseen"
        assert (await asyncio.to_thread(shop.page))["version"] == "1.1.0"
    assert [path.read_bytes() for path in folder.glob("shop.damaged*")] == [b"\0" * 300]


async def test_a_product_that_left_agent_toml_in_the_middle_of_an_update_is_told(
    server: FakeServer, host: InProcessHost
) -> None:
    async with host.running():
        await update(server, "1.0.0", 1)
    record = ProductFile(host.folder, "shop").read()
    attempt = Attempt(
        2, "1.1.0", 1, 60, stage=Stage.APPLYING, step=Step.RESTART, work=Work("1.0.0", "", pulled=True, switched=True)
    )
    ProductFile(host.folder, "shop").write(replace(record, attempt=attempt))
    text = (host.folder / "agent.toml").read_text()
    (host.folder / "agent.toml").write_text(text[: text.index("[products.shop]")])
    async with host.running():
        await server.until(lambda: server.result(2, "shop"))
    result = server.result(2, "shop")
    assert result is not None
    assert ended(result) == "ROLLBACK_FAILED"
