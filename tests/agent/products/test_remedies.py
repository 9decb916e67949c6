"""A fault of the host that an update meets is told with its path and with what a person can do about it."""

from __future__ import annotations

import asyncio
import errno
import subprocess
from typing import TYPE_CHECKING

import pytest
import structlog

from fleetroll_agent.jobs import keeper
from fleetroll_agent.jobs.effects import RunStep
from fleetroll_agent.jobs.events import HoldSet
from fleetroll_agent.jobs.journal import Journal
from fleetroll_agent.jobs.keeper import Keeper, Part, ProductFile
from fleetroll_agent.jobs.state import Rules, Running
from fleetroll_agent.jobs.values import Attempt, Stage, Step
from fleetroll_agent.products.doing import Doer
from fleetroll_agent.products.places import Places
from fleetroll_agent.products.recipes import recipe_of
from fleetroll_agent.settings import read_settings
from fleetroll_agent.slots import SlotStore
from fleetroll_agent.slots.disk import typed_disk_errors
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError
from fleetroll_common.values.ids import SystemIds
from fleetroll_common.values.version import Version
from tests.faults.jobs import boot_record
from tests.faults.whole_host import WholeHost, whole_host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fleetroll_agent.jobs.events import StepEnded


@pytest.fixture
def host(tmp_path: Path) -> Iterator[WholeHost]:
    """Give a host on which nothing is wrong."""
    with whole_host(tmp_path / "root") as whole:
        yield whole


async def switch(host: WholeHost, name: str) -> StepEnded:
    """Switch a product to its version before; return how that ended."""
    product = read_settings(host.state).product(name)
    previous = host.record(name).previous
    assert product is not None
    assert previous is not None
    doer = Doer(host.state, product, recipe_of(product), Places(host.state, product), "agent-1", SystemClock())
    attempt = Attempt(3, previous.version, stage=Stage.APPLYING, step=Step.SWITCH, sha256=previous.sha256)

    async def started(_child: object) -> None:
        raise AssertionError("no command is run")

    return await doer.step(RunStep(1, attempt), started, lambda _attempt, _line: None)


class Immutable:
    """Protects a folder from everybody while the block runs."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        subprocess.run(["chattr", "+i", self._path], check=True)

    def __exit__(self, *_error: object) -> None:
        subprocess.run(["chattr", "-i", self._path], check=True)


async def test_a_file_that_can_not_be_replaced_is_told_with_path_and_remedy(host: WholeHost) -> None:
    """The old file stands."""
    before = host.tool.read_bytes()
    with Immutable(host.tool.parent):
        ended = await switch(host, "tool")
    assert ended.code is Code.INTERNAL
    assert f"switching tool: the disk answered EPERM for {host.tool.parent}" in ended.message
    assert "chattr -i" in ended.message
    assert host.tool.read_bytes() == before


async def test_a_link_that_can_not_be_replaced_is_told_with_path_and_remedy(host: WholeHost) -> None:
    """The old link stands."""
    with Immutable(host.link.parent):
        ended = await switch(host, "shop")
    assert f"EPERM for {host.link.parent}" in ended.message
    assert "chattr -i" in ended.message
    assert host.link.readlink() == host.slot("shop")


async def test_a_missing_artefact_is_told_with_its_name_and_remedy(host: WholeHost) -> None:
    """Somebody removed it after it was staged."""
    (host.slot("shop", "previous") / "COMPLETE").unlink()
    ended = await switch(host, "shop")
    assert ended.code is Code.NOT_FOUND
    assert f"slot: {host.slot('shop', 'previous').name} is not complete" in ended.message
    assert "update to this version again" in ended.message


async def test_a_bad_checksum_is_told_with_the_file_and_remedy(host: WholeHost) -> None:
    """Somebody changed it after it was staged."""
    entry = host.slot("tool", "previous") / "entry.py"
    entry.chmod(0o644)
    entry.write_text("hacked")
    ended = await switch(host, "tool")
    assert ended.code is Code.WRONG_HASH
    assert "entry.py" in ended.message
    assert "find out who changed it" in ended.message


def test_a_state_folder_that_takes_nothing_is_told_when_a_slot_is_made(host: WholeHost) -> None:
    """Before a byte is unpacked."""
    folder = host.state / "slots" / "shop"
    with Immutable(folder), pytest.raises(AgentError) as caught:
        SlotStore(host.state, product="shop").begin(Version(3, 0, 0), "d" * 64)
    assert f"EPERM for {folder}" in caught.value.message
    assert "chattr -i" in caught.value.remedy


async def test_a_record_that_can_not_be_written_is_logged_with_a_remedy(
    host: WholeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has happened until it can; then it goes on by itself."""
    monkeypatch.setattr(keeper, "RETRY_SECONDS", 0.01)
    journal = Journal(host.state / "journal", SystemIds())
    part = Part(Rules(), Running("1.1.0", "a" * 64))
    kept = Keeper(ProductFile(host.state), journal, SystemClock(), part)
    await kept.begin(boot_record())
    with structlog.testing.capture_logs() as logs:
        with Immutable(host.state / "products"):
            step = asyncio.create_task(kept.step(HoldSet("root", 2e9)))
            while kept.writable:
                await asyncio.sleep(0)
        await step
    refused = next(line for line in logs if line["event"] == "disk_refused")
    assert (refused["what"], "chattr -i" in refused["remedy"]) == ("the record", True)
    assert kept.writable


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EROFS, "remount,rw"),
        (errno.EACCES, "ls -ld"),
        (errno.EBUSY, "mount the folder around it"),
        (errno.EIO, "kernel log"),
    ],
)
def test_each_answer_of_a_disk_has_a_remedy(number: int, said: str) -> None:
    """A full disk has a code of its own."""
    with pytest.raises(AgentError) as caught, typed_disk_errors("switching"):
        raise OSError(number, "refused", "/opt/tool")
    assert said in caught.value.remedy
    assert caught.value.message == f"switching: the disk answered {errno.errorcode[number]} for /opt/tool"
