"""``fleetroll context``: kept under a name, shown, used; refused before anything is kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from fleetroll_cli.exits import Exit
from fleetroll_client.contexts import load
from tests.cli.commands import Commands
from tests.client.test_errors import PEM

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CA, a token, and a file of contexts that is not there; this folder is where people work."""
    (tmp_path / "ca.pem").write_bytes(PEM)
    (tmp_path / "token").write_text("secret-token\n")
    (tmp_path / "empty").touch()
    monkeypatch.setenv("FLEETROLL_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def commands(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The command line as it is."""
    return Commands(capsys, monkeypatch)


FLEET = ("--server", "fleet.example:8443", "--ca", "ca.pem", "--token-file", "token")


def test_a_context_is_added_and_the_first_one_is_current(files: Path, commands: Commands) -> None:
    added = commands.run("context", "add", "prod", *FLEET, "--environment", "production", "--fleet", "eu")
    assert (added.code, added.out) == (Exit.OK, "prod is added, and current\n")
    kept = load().by_name["prod"]
    assert (kept.ca_file, kept.token_file) == (files / "ca.pem", files / "token"), "from wherever it is used"
    assert commands.run(*FLEET, "context", "add", "stage", "--environment", "staging").out == "stage is added\n"
    listed = commands.run("context", "list")
    assert [line.split() for line in listed.out.splitlines()] == [
        ["NAME", "ENVIRONMENT", "SERVER", "FLEET"],
        ["*", "prod", "production", "fleet.example:8443", "eu"],
        ["stage", "staging", "fleet.example:8443"],
    ]


def test_another_one_is_used_and_one_is_removed(files: Path, commands: Commands) -> None:
    for name in ("prod", "stage"):
        commands.run(*FLEET, "context", "add", name)
    assert commands.run("context", "use", "stage").out == "stage is current\n"
    shown = json.loads(commands.run("context", "show", "--json").out)
    assert (shown["name"], shown["current"], shown["server"]) == ("stage", True, "fleet.example:8443")
    assert commands.run("context", "remove", "stage").out == "stage is removed\n"
    assert [each["name"] for each in json.loads(commands.run("context", "list", "--json").out)["contexts"]] == ["prod"]
    assert (files / "token").exists()


def test_one_is_shown_by_name_by_option_or_as_the_current_one(files: Path, commands: Commands) -> None:
    for name in ("prod", "stage"):
        commands.run(*FLEET, "context", "add", name)
    for words in (("context", "show", "stage"), ("--context", "stage", "context", "show")):
        assert "stage" in commands.run(*words).out.splitlines()[0]
    assert "prod" in commands.run("context", "show").out.splitlines()[0]
    assert "secret-token" not in commands.run("context", "show").out
    assert str(files / "config.toml") in commands.run("context", "show").out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("context", "add", "a"), "ca: not given"),
        (("--ca", "ca.pem", "context", "add", "a"), "server: '' is not host:port"),
        ((*FLEET, "--server", "nowhere", "context", "add", "a"), "server: 'nowhere'"),
        ((*FLEET, "--ca", "empty", "context", "add", "a"), "ca: there is no certificate"),
        ((*FLEET, "--token-file", "empty", "context", "add", "a"), "token-file: empty does not hold"),
        ((*FLEET, "--token-file", "absent", "context", "add", "a"), "token-file: absent can't be read"),
        ((*FLEET, "context", "add", "a b"), "name: 'a b'"),
        ((*FLEET, "context", "add", "a", "--environment", "prod"), "environment: 'prod' is none"),
        (("context", "use", "nothing"), "context: there is no 'nothing'"),
        (("context", "remove", "nothing"), "context: there is no 'nothing'"),
        (("context", "show"), "context: there is no ''"),
        (("agents", "list"), "server: not given"),
        (("--context", "nothing", "agents", "list"), "context: there is no 'nothing'"),
    ],
)
def test_what_would_not_work_is_refused_by_name_in_one_line(
    files: Path, commands: Commands, words: tuple[str, ...], named: str
) -> None:
    ended = commands.run(*words)
    assert ended.code == Exit.ERROR
    assert ended.err.startswith(f"fleetroll: {named}")
    assert len(ended.err.splitlines()) == 1
    assert "(INVALID_ARGUMENT); " in ended.err
    assert not (files / "config.toml").exists()


def test_a_broken_file_is_one_harmless_line(files: Path, commands: Commands) -> None:
    (files / "config.toml").write_bytes(b'current = "\x1b[2J')
    ended = commands.run("agents", "list")
    assert ended.code == Exit.ERROR
    assert "is no TOML" in ended.err
    assert "\x1b" not in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_name_that_is_taken_is_kept(files: Path, commands: Commands) -> None:
    commands.run(*FLEET, "context", "add", "a")
    again = (*FLEET[2:], "--server", "other.example:1", "context", "add", "a")
    assert "'a' is taken" in commands.run(*again).err
    assert load().by_name["a"].server == "fleet.example:8443"
    assert commands.run(*again, "--replace").code == Exit.OK
    assert load().by_name["a"].server == "other.example:1"


def test_the_fleet_of_a_context_is_meant_where_none_is_named(files: Path, commands: Commands) -> None:
    from fleetroll_cli.context import fleet_of  # noqa: PLC0415 (the double of other tests stands in its place)
    from fleetroll_client import Wanted  # noqa: PLC0415

    commands.run(*FLEET, "context", "add", "a", "--fleet", "eu")

    class Said:
        obj = Wanted()

    assert fleet_of(Said, "") == "eu"  # type: ignore[arg-type]  # all that is read of it
    assert fleet_of(Said, "us") == "us"  # type: ignore[arg-type]
