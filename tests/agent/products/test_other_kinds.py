"""Products of one file and of commands, over a real stream: swapped, checked, and put back."""

from __future__ import annotations

import asyncio
import os
import stat
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import types_pb2
from fleetroll_agent.app import main
from fleetroll_publishing.artefact import build_artefact
from tests.agent.fake_server.inprocess import InProcessHost
from tests.agent.fake_server.releases import Releases

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.agent.fake_server.server import FakeServer

TOOL = '#!/bin/sh\nif [ "$1" = --version ]; then echo {version}; exit; fi\nexit {code}\n'


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    """Return a repository with releases of a tool (one file) and a till (commands)."""
    folder, known = tmp_path_factory.mktemp("kinds"), Releases()
    for version, code in (("1.0.0", 0), ("1.1.0", 0), ("2.0.0", 3)):
        tree = folder / version
        tree.mkdir()
        (tree / "tool").write_text(TOOL.format(version=version, code=code))
        (tree / "tool").chmod(0o755)
        built = build_artefact(tree, folder / f"{version}.tar.zst", entry_point="tool", level=1)
        known.publish(version, built, product="tool")
    known.import_manifest("till", "1.0.0")
    known.import_manifest("till", "1.1.0", migrations_required=True, breaking_changes="prices are in cents")
    known.import_manifest("till", "2.0.0")
    return known


async def soon(condition: Callable[[], bool]) -> None:
    """Wait for what follows a report: the versions are put in order after it is written."""
    for _ in range(400):
        if condition():
            return
        await asyncio.sleep(0.05)
    pytest.fail("it did not come about in 20 s")


async def host_with(server: FakeServer, tmp_path: Path, settings: str) -> InProcessHost:
    """Return an enrolled host whose agent.toml has ``settings`` too."""
    enrolled = InProcessHost(tmp_path / "state", server)
    await enrolled.enrol()
    with (enrolled.folder / "agent.toml").open("a") as file:
        file.write(settings)
    return enrolled


async def update(server: FakeServer, product: str, version: str, generation: int) -> stream_pb2.Report:
    """Bring ``version`` about; return the report that ended it."""
    await server.until(lambda: server.sessions)
    server.assign(version, generation, product=product, soak=0.3)
    await server.until(lambda: server.result(generation, product))
    result = server.result(generation, product)
    assert result is not None
    return result


def ended(result: stream_pb2.Report) -> str:
    return types_pb2.AttemptState.Name(result.state).removeprefix("ATTEMPT_STATE_")


def tool_settings(path: Path) -> str:
    return f"""
[products.tool]
kind = "file"
path = "{path}"
min_update_interval_seconds = 0
[products.tool.hooks]
version = ["/bin/sh", "-c", "$FLEETROLL_SLOT/tool --version"]
[products.tool.health]
command = ["{path}"]
interval_seconds = 0.1
start_seconds = 1
"""


async def test_a_file_is_swapped_with_its_mode_and_owner_and_the_old_one_is_kept(
    server: FakeServer, tmp_path: Path
) -> None:
    path = tmp_path / "bin" / "tool"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\nexit 0\n")
    path.chmod(0o750)
    os.chown(path, 65534, 65534)
    host = await host_with(server, tmp_path, tool_settings(path))
    async with host.running():
        assert ended(await update(server, "tool", "1.0.0", 1)) == "SUCCEEDED"
        facts = path.stat()
        assert (stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid) == (0o750, 65534, 65534)
        assert "1.0.0" in path.read_text()
        await soon(path.with_name("tool.old").exists)
        assert "1.0.0" not in path.with_name("tool.old").read_text()
        assert ended(await update(server, "tool", "1.1.0", 2)) == "SUCCEEDED"
        await soon(lambda: "1.0.0" in path.with_name("tool.old").read_text())
        assert sorted(file.name for file in path.parent.iterdir()) == ["tool", "tool.old"]


async def test_a_file_that_does_not_work_is_taken_back(server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "bin" / "tool"
    path.parent.mkdir()
    host = await host_with(server, tmp_path, tool_settings(path))
    async with host.running():
        assert ended(await update(server, "tool", "1.0.0", 1)) == "SUCCEEDED"
        assert stat.S_IMODE(path.stat().st_mode) == 0o755
        result = await update(server, "tool", "2.0.0", 2)
        assert ended(result) == "ROLLED_BACK"
        assert "exit code 3" in result.message
        assert "1.0.0" in path.read_text()


async def test_a_first_file_that_does_not_work_leaves_none(server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "bin" / "tool"
    path.parent.mkdir()
    host = await host_with(server, tmp_path, tool_settings(path))
    async with host.running():
        assert ended(await update(server, "tool", "2.0.0", 1)) == "ROLLED_BACK"
    assert list(path.parent.iterdir()) == []


async def test_what_can_not_be_replaced_says_where(server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "bin" / "tool"
    path.mkdir(parents=True)
    host = await host_with(server, tmp_path, tool_settings(path))
    async with host.running():
        result = await update(server, "tool", "1.0.0", 1)
    assert f"{path} is no plain file" in result.message


@pytest.mark.parametrize("kind", ["file", "link"])
async def test_a_way_that_others_can_bend_is_refused_with_its_reason(
    server: FakeServer, tmp_path: Path, kind: str
) -> None:
    """Nothing was done by then, so nothing has to be taken back, and the host is as well as before."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "bin").symlink_to(tmp_path / "elsewhere")
    os.chown(tmp_path / "bin", 65534, 65534, follow_symlinks=False)
    settings = tool_settings(tmp_path / "bin" / "tool")
    if kind == "link":
        settings = settings.replace('kind = "file"\npath', 'kind = "slots"\nlink')
    host = await host_with(server, tmp_path, settings)
    async with host.running():
        result = await update(server, "tool", "1.0.0", 1)
    assert f"{tmp_path}/bin is a link on the way, and is not followed: it belongs to" in result.message
    assert ended(result) == "FAILED"
    assert list((tmp_path / "elsewhere").iterdir()) == []


def till_settings(home: Path, **more: str) -> str:
    hooks = {
        "backup": "echo backup-$FLEETROLL_FROM_VERSION",
        "pull": "echo pulled $FLEETROLL_VERSION $FLEETROLL_SHA $FLEETROLL_CHANNEL",
        "migrate": "echo migrated $FLEETROLL_MIGRATIONS_REQUIRED",
        "smoke": "test $FLEETROLL_VERSION != 2.0.0",
        "switch": "echo $FLEETROLL_VERSION > live; echo switched",
        "rollback": "echo ${FLEETROLL_FROM_VERSION:-none} > live; echo back from $FLEETROLL_VERSION",
        "restore": "echo restored $FLEETROLL_BACKUP_ID",
        "version": "cat live",
    } | more
    lines = [f"{name} = ['/bin/sh', '-c', 'cd {home}; exec >> story; {text}']" for name, text in hooks.items() if text]
    lines = [line.replace("exec >> story; cat live", "cat live") for line in lines]
    lines = [line.replace("exec >> story; echo backup", "echo backed up >> story; echo backup") for line in lines]
    table = '[products.till]\nkind = "command"\nmin_update_interval_seconds = 0\n'
    check = f"command = ['/bin/sh', '-c', 'test -f {home}/live']"
    health = f"[products.till.health]\n{check}\ninterval_seconds = 0.1\nstart_seconds = 1\n"
    return "\n" + table + health + "[products.till.hooks]\n" + "\n".join(lines) + "\n"


async def test_a_manifest_drives_the_commands(server: FakeServer, tmp_path: Path) -> None:
    home = tmp_path / "till"
    home.mkdir()
    host = await host_with(server, tmp_path, till_settings(home))
    async with host.running():
        assert ended(await update(server, "till", "1.0.0", 1)) == "SUCCEEDED"
        assert ended(await update(server, "till", "1.1.0", 2)) == "SUCCEEDED"
    assert (home / "story").read_text().splitlines() == [
        *("backed up", "pulled 1.0.0 abc1234 stable", "switched"),
        *("backed up", "pulled 1.1.0 abc1234 stable", "migrated true", "switched"),
    ]


async def test_from_pull_on_a_failure_goes_back_by_its_command(server: FakeServer, tmp_path: Path) -> None:
    home = tmp_path / "till"
    home.mkdir()
    host = await host_with(server, tmp_path, till_settings(home))
    async with host.running():
        await update(server, "till", "1.0.0", 1)
        result = await update(server, "till", "2.0.0", 2)
    assert ended(result) == "ROLLED_BACK"
    assert (home / "story").read_text().splitlines()[3:] == [
        *("backed up", "pulled 2.0.0 abc1234 stable", "back from 2.0.0"),
    ]
    assert (home / "live").read_text() == "1.0.0\n"


async def test_without_a_rollback_a_person_is_told_what_to_do(server: FakeServer, tmp_path: Path) -> None:
    home = tmp_path / "till"
    home.mkdir()
    host = await host_with(server, tmp_path, till_settings(home, rollback=""))
    async with host.running():
        await update(server, "till", "1.0.0", 1)
        result = await update(server, "till", "2.0.0", 2)
    assert ended(result) == "ROLLBACK_FAILED"
    assert "bring 1.0.0 up by hand" in result.message


async def test_a_program_that_runs_another_version_is_found_out(server: FakeServer, tmp_path: Path) -> None:
    home = tmp_path / "till"
    home.mkdir()
    host = await host_with(server, tmp_path, till_settings(home, switch="echo 0.9.0 > live"))
    async with host.running():
        result = await update(server, "till", "1.0.0", 1)
    assert types_pb2.AttemptState.Name(result.state) in {"ATTEMPT_STATE_ROLLED_BACK", "ATTEMPT_STATE_ROLLBACK_FAILED"}
    assert "it reports '0.9.0', its release is 1.0.0" in result.message


async def test_a_person_finds_and_takes_a_manifest_too(
    server: FakeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "till"
    home.mkdir()
    host = await host_with(server, tmp_path, till_settings(home, smoke="true"))
    async with host.running():
        await server.until(lambda: server.sessions)
        command = ["update", "till", "--soak", "0.2s", "--state", str(host.folder)]
        assert await asyncio.to_thread(main, command) == 0
    assert "till succeeded; 2.0.0 runs" in capsys.readouterr().out
