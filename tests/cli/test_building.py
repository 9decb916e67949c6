"""``release build`` and ``publish`` of products: what is said, what is refused, what stands beside the artefact."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll.v1 import releases_pb2
from fleetroll_cli.publish import _parts as real

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.commands import Commands, Ended

SHA = "0123456789abcdef"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    tree = tmp_path / "shop"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin" / "shop").write_bytes(b"#!/bin/sh\n")
    return tree


def build(commands: Commands, out: Path, *words: str, **changes: str) -> Ended:
    """Build with the usual options, some of them changed or left out (empty)."""
    said = {"product": "shop", "version": "1.2.0", "platform": "linux/x86_64", "git-sha": SHA} | changes
    options = [word for name, value in said.items() if value for word in (f"--{name}", value)]
    return commands.run("release", "build", *options, "--out", str(out), "--level", "1", *words)


def test_a_folder_becomes_an_artefact_with_its_description(commands: Commands, shop: Path, tmp_path: Path) -> None:
    """The description is what `release publish` sends."""
    ended = build(commands, tmp_path / "out", str(shop), entry="bin/shop")
    made = tmp_path / "out" / "shop-1.2.0-linux-x86_64-any.tar.zst"
    assert (ended.code, ended.out) == (0, f"{made}\n")
    assert json.loads(made.with_name(made.name + ".json").read_text()) == {
        "product": "shop",
        "version": "1.2.0",
        "platform": "linux-x86_64-any",
        "git_sha": SHA,
        "entry_point": "bin/shop",
        "kind": "artefact",
    }


def test_the_same_folder_gives_the_same_file_twice(commands: Commands, shop: Path, tmp_path: Path) -> None:
    """Byte for byte, in other folders too."""
    built = []
    for name in ("one", "two"):
        ended = build(commands, tmp_path / name, str(shop), entry="bin/shop", platform="any")
        assert ended.code == 0
        built.append((tmp_path / name / "shop-1.2.0-any-any-any.tar.zst").read_bytes())
    assert built[0] == built[1]


def test_a_repository_tells_its_commit(commands: Commands, shop: Path, tmp_path: Path) -> None:
    """With +dirty where it has changes; what is said counts more."""
    who = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "one")):
        subprocess.run(["git", *who, "-C", str(shop), *words], check=True, timeout=30)
    head = subprocess.run(["git", "-C", str(shop), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    sha = head.stdout.strip()

    def built(**changes: str) -> str:
        ended = build(commands, tmp_path / "out", str(shop / "bin" / "shop"), **changes)
        assert ended.code == 0, ended.err
        description = tmp_path / "out" / "shop-1.2.0-linux-x86_64-any.tar.zst.json"
        return str(json.loads(description.read_text())["git_sha"])

    assert built(**{"git-sha": ""}) == sha
    (shop / "new").write_bytes(b"x")
    assert built(**{"git-sha": ""}) == f"{sha}+dirty"
    assert built(**{"git-sha": "abcdef0"}) == "abcdef0"


REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "no commit": ({"git-sha": ""}, "git_sha"),
    "no commit's id": ({"git-sha": "HEAD"}, "git_sha"),
    "no platform": ({"platform": ""}, "platform"),
    "half a platform": ({"platform": "linux"}, "platform"),
    "no name": ({"product": "Shop"}, "product"),
    "the agent": ({"product": "agent"}, "product"),
    "no version": ({"version": "1.2"}, "version"),
    "no first file": ({"entry": ""}, "entry_point"),
    "another first file": ({"entry": "shop"}, "entry_point"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_not_be_built_is_refused_by_name(commands: Commands, shop: Path, tmp_path: Path, case: str) -> None:
    """One line that names the field, and no artefact."""
    changes, field = REFUSED[case]
    ended = build(commands, tmp_path / "out", str(shop), **({"entry": "bin/shop"} | changes))
    assert ended.code == 1
    assert ended.err.startswith(f"fleetroll: {field}: ")
    assert len(ended.err.splitlines()) == 1
    assert not list(tmp_path.glob("out/*"))


def test_a_product_without_a_path_says_what_is_missing(commands: Commands, tmp_path: Path) -> None:
    """Only the agent is built of what is known."""
    ended = build(commands, tmp_path / "out")
    assert (ended.code, ended.err.split(": ")[1]) == (1, "path")


@pytest.mark.parametrize("option", ["entry", "git-sha"])
def test_of_the_agent_neither_entry_nor_commit_is_said(commands: Commands, tmp_path: Path, option: str) -> None:
    """Its source tree tells both."""
    said = {"product": "", "platform": "", "git-sha": ""} | {option: "abcdef0"}
    ended = build(commands, tmp_path / "out", **said)
    assert (ended.code, ended.err.split(": ")[1]) == (1, option.replace("-", "_"))


def test_what_is_published_is_what_the_description_and_the_options_say(
    commands: Commands, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header carries the first file, the platform and all that hosts have to know before they update."""
    build(commands, tmp_path / "out", str(shop), entry="bin/shop")
    headers: list[Any] = []

    def listen(parts: Iterator[Any]) -> Iterator[Any]:
        headers.append(next(parts).header)
        return parts

    monkeypatch.setattr("fleetroll_cli.publish._parts", lambda header, path, told: listen(real(header, path, told)))
    commands.answers["PublishRelease"] = releases_pb2.PublishReleaseResponse()
    artefact = tmp_path / "out" / "shop-1.2.0-linux-x86_64-any.tar.zst"
    words = ("--migrations-required", "--supported-from", ">=1.0.0", "--breaking-changes", "all", "--channel", "beta")
    assert commands.run("release", "publish", str(artefact), *words).code == 0
    (header,) = headers
    assert (header.product, header.entry_point, header.platform.abi) == ("shop", "bin/shop", "any")
    assert (header.migrations_required, header.supported_from) == (True, ">=1.0.0")
    assert (header.breaking_changes, list(header.channels)) == ("all", ["beta"])
