"""Mirrors and bundles by the command line, as programs of their own against a real server, and what is refused."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from fleetroll_agent.bundle.index import read_index
from fleetroll_cli import carrying
from fleetroll_client import ServerRefusedError
from fleetroll_common.values.codes import Code
from tests.cli.test_real_server import command, line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import Commands
    from tests.faults.worlds import World


async def ran(world: World, folder: Path, *words: str) -> tuple[int, str, str]:
    """Run a command to its end; return its exit code and what it printed."""
    async with line(world, folder) as (_proxy, env), command("release", *words, env=env) as process:
        out, err = await asyncio.wait_for(process.communicate(), 40)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_mirror_is_made_and_brought_up_to_date(world: World, tmp_path: Path) -> None:
    """The first time all of it, the second time nothing; each artefact is named beside the output."""
    folder = tmp_path / "mirror"
    code, out, err = await ran(world, tmp_path, "mirror", str(folder))
    assert code == 0, err
    artefacts = [path for path in (folder / "targets").rglob("*") if path.is_file()]
    root = hashlib.sha256((folder / "metadata" / "1.root.json").read_bytes()).hexdigest()
    assert len(artefacts) == len(err.splitlines()) > 1
    assert out.splitlines()[0].startswith(f"{len(artefacts)} artefacts fetched (")
    assert out.splitlines()[1].endswith(f" files of metadata written, all verified from root {root}")
    code, out, err = await ran(world, tmp_path, "mirror", str(folder), "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "metadata": 0, "fetched": [], "fetched_bytes": 0, "kept": len(artefacts), "root_sha256": root,
    }  # fmt: skip


async def test_a_bundle_is_written_with_its_size_and_hash(world: World, tmp_path: Path) -> None:
    """What is printed is what lies there."""
    bundle = tmp_path / "agent.bundle"
    words = ("bundle", "--product", "agent", "--version", "1.1.0", "--out", str(bundle))
    code, out, err = await ran(world, tmp_path, *words)
    assert code == 0, err
    data = bundle.read_bytes()
    assert out.splitlines()[0] == str(bundle)
    assert out.splitlines()[1].startswith(f"{len(data)} bytes, ")
    assert out.splitlines()[1].endswith(f" artefacts, SHA-256 {hashlib.sha256(data).hexdigest()}")
    carried = [name for name in read_index(str(bundle)) if name.startswith("targets/")]
    assert carried
    assert {name.split("/")[2] for name in carried} == {"1.1.0"}
    code, out, _err = await ran(world, tmp_path, *words, "--json", "--platform", "linux/x86_64")
    said = json.loads(out)
    assert (code, said["bytes"]) == (0, len(data))
    assert said["targets"] == [name.removeprefix("targets/") for name in carried]


async def test_what_the_server_has_not_ends_with_a_sentence_and_no_file(world: World, tmp_path: Path) -> None:
    """Exit code 1, and the remedy in the line."""
    bundle = tmp_path / "agent.bundle"
    code, out, err = await ran(world, tmp_path, "bundle", "--release", "agent=9.9.9", "--out", str(bundle))
    assert (code, out) == (1, "")
    assert err == (
        "fleetroll: agent 9.9.9 is not among the signed releases (NOT_LISTED); publish it, or name one that is listed\n"
    )
    assert not bundle.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bundle", "--out", "B"), "release: none is named"),
        (("bundle", "--out", "B", "--product", "shop"), "release: --product and --version go together"),
        (("bundle", "--out", "B", "--version", "1.0.0"), "release: --product and --version go together"),
        (("bundle", "--out", "B", "--release", "shop"), "release: 'shop' is not PRODUCT=VERSION"),
        (("bundle", "--out", "B", "--release", "shop=x"), "version: 'x' is not"),
        (("bundle", "--out", "B", "--release", "../a=1.0.0"), "product: '../a' is not a name"),
        (("bundle", "--out", "B", "--release", "shop=1.0.0", "--platform", "linux"), "platform: 'linux' has not"),
        (("bundle", "--out", "no/folder", "--release", "shop=1.0.0"), "out: no/folder is no file's name in a folder"),
        (("bundle", "--out", ".", "--release", "shop=1.0.0"), "out: . is no file's name in a folder"),
        (("mirror", "M", "--product", ""), "product: it is empty"),
        (("mirror", "M", "--channel", " "), "channel: it is empty"),
    ],
)
def test_what_can_not_be_meant_is_refused_before_anything_is_asked(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    """By the option at fault; nothing is made."""
    monkeypatch.chdir(tmp_path)
    ended = commands.run("release", *words)
    assert ended.code in {1, 2}
    assert said in ended.err
    assert list(tmp_path.iterdir()) == []
    assert commands.asked == []


class Refusing:
    """A server of an older version, or one that wants another token."""

    def __init__(self, code: Code) -> None:
        self.releases = self
        self.code = code

    def GetRepositoryFile(self, request: Any, timeout: float) -> Any:
        raise ServerRefusedError("no", status=grpc.StatusCode.ABORTED, code=self.code, remedy="do so", details={})


@pytest.mark.parametrize("code", [Code.UNIMPLEMENTED, Code.PERMISSION_DENIED, Code.UNAVAILABLE, Code.NOT_FOUND])
def test_a_server_that_gives_no_files_is_named_as_it_answers(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: Code
) -> None:
    """One sentence with the server's own code, and no half mirror."""

    class Connected:
        def __enter__(self) -> Refusing:
            return Refusing(code)

        def __exit__(self, *_error: object) -> None:
            return None

    monkeypatch.setattr(carrying, "connected", lambda _context: Connected())
    ended = commands.run("release", "mirror", str(tmp_path / "mirror"))
    assert (ended.code, ended.out) == (1, "")
    assert f"({code})" in ended.err
    assert not list((tmp_path / "mirror").rglob("*.json"))
