"""Named contexts in one file: read, written whole or not at all, and refused by field where they are wrong."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleetroll_client import contexts
from fleetroll_client.contexts import Context, Environment, config_path, load
from fleetroll_client.keeping import put, remove, use
from fleetroll_common.durable import effects
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

FULL = """\
# Mine.
current = "production"
editor = "ed"  # of another version

[contexts.production]
server = "fleet.example:8443"
ca_file = "ca.pem"
token_file = "~/tokens/production"
environment = "production"
fleet = "eu"
colour = "red"

[contexts."old.one"]
server = "old.example:1"
ca_file = "/etc/old.pem"
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that a variable names; it is not there."""
    made = tmp_path / "deep" / "config.toml"
    monkeypatch.setenv("FLEETROLL_CONFIG", str(made))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return made


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def one(name: str = "a", server: str = "a.example:1") -> Context:
    return Context(name, server, Path("/etc/ca.pem"))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"FLEETROLL_CONFIG": "/x/y.toml", "XDG_CONFIG_HOME": "/xdg", "HOME": "/h"}, "/x/y.toml"),
        ({"XDG_CONFIG_HOME": "/xdg", "HOME": "/h"}, "/xdg/fleetroll/config.toml"),
        ({"XDG_CONFIG_HOME": "relative", "HOME": "/h"}, "/h/.config/fleetroll/config.toml"),
        ({"FLEETROLL_CONFIG": "", "XDG_CONFIG_HOME": "", "HOME": "/h"}, "/h/.config/fleetroll/config.toml"),
    ],
)
def test_the_file_is_where_the_environment_says(environ: dict[str, str], expected: str) -> None:
    assert config_path(environ) == Path(expected)


def test_a_file_that_is_not_there_holds_no_context(path: Path) -> None:
    assert load() == contexts.Contexts(path)


def test_what_the_file_says_is_read(path: Path, tmp_path: Path) -> None:
    write(path, FULL)
    read = load()
    assert read.current == "production"
    assert read.by_name == {
        "production": Context(
            "production", "fleet.example:8443", path.parent / "ca.pem", tmp_path / "home/tokens/production",
            Environment.PRODUCTION, "eu",
        ),
        "old.one": Context("old.one", "old.example:1", Path("/etc/old.pem")),
    }  # fmt: skip


def test_what_is_not_known_is_kept(path: Path) -> None:
    write(path, FULL)
    put(one())
    use("old.one")
    remove("a")
    kept = path.read_text()
    assert kept.rstrip() == FULL.replace('current = "production"', 'current = "old.one"').rstrip()


def test_the_first_context_is_current_and_others_are_not(path: Path) -> None:
    assert put(one("a")).current == "a"
    both = put(Context("b", "b.example:1", Path("/b.pem"), Path("/b.token"), Environment.STAGING, "eu"))
    assert both.current == "a"
    assert load() == both
    assert list(both.by_name) == ["a", "b"]
    assert both.by_name["b"].environment is Environment.STAGING


def test_the_file_and_its_folder_are_the_owners_alone(path: Path) -> None:
    put(one())
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.chmod(0o644)
    put(one("b"))
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "kept.toml")
    put(one())
    assert path.is_symlink()
    assert "a.example" in (tmp_path / "kept.toml").read_text()


def test_a_write_that_fails_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(one())
    before = path.read_bytes()

    def full(_handle: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(effects, "fsync_file", full)
    with pytest.raises(OSError, match="No space"):
        put(one("b"))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_writers_at_one_time_lose_nothing(path: Path) -> None:
    names = [f"c{number}" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: put(one(name)), names))
    assert sorted(load().by_name) == sorted(names)


def test_a_name_that_is_taken_is_refused_unless_it_is_to_be_replaced(path: Path) -> None:
    write(path, FULL)
    with pytest.raises(RequestError, match="taken"):
        put(one("production"))
    put(one("production", "b.example:2"), replace=True)
    replaced = load().by_name["production"]
    assert (replaced.server, replaced.token_file, replaced.environment) == ("b.example:2", None, Environment.OTHER)
    assert 'colour = "red"' in path.read_text()


def test_the_current_one_that_is_removed_leaves_none(path: Path) -> None:
    put(one())
    assert remove("a") == contexts.Contexts(path)


def test_a_current_one_that_is_gone_can_be_mended(path: Path) -> None:
    write(path, FULL.replace('current = "production"', 'current = "gone"'))
    with pytest.raises(RequestError, match=r"no 'gone'.*production, old\.one"):
        load().named(load().current)
    assert use("old.one").current == "old.one"


@pytest.mark.parametrize("act", [use, remove])
def test_a_name_that_is_not_there_is_refused_with_those_that_are(path: Path, act: Callable[[str], object]) -> None:
    write(path, FULL)
    with pytest.raises(RequestError, match=r"no 'nothing'.*production, old\.one"):
        act("nothing")


@pytest.mark.parametrize("name", ["", ".", "-a", "a b", "ä", "a/b", "a" * 65, "a\x1b[2J", "a\n"])
def test_a_name_that_could_mislead_is_refused(path: Path, name: str) -> None:
    with pytest.raises(RequestError, match="name: "):
        put(one(name))
    assert not path.exists()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("current = 1", "current: 1 is no text"),
        ("contexts = 1", "contexts: it is no table"),
        ("[contexts]\na = 1", r"contexts\.a: it is no table"),
        ("[contexts.a]", r"contexts\.a\.server: it is not given"),
        ('[contexts.a]\nserver = "a:1"', r"contexts\.a\.ca_file: it is not given"),
        ('[contexts.a]\nserver = 7\nca_file = "c"', r"contexts\.a\.server: 7 is no text"),
        ('[contexts.a]\nserver = "nowhere"\nca_file = "c"', r"contexts\.a\.server: 'nowhere' is not host:port"),
        ('[contexts.a]\nserver = "a:1"\nca_file = ["c"]', r"contexts\.a\.ca_file: .* is no text"),
        (
            '[contexts.a]\nserver = "a:1"\nca_file = "c"\nenvironment = "prod"',
            r"environment: 'prod' is none.*production",
        ),
        ('[contexts."a b"]\nserver = "a:1"\nca_file = "c"', "name: 'a b'"),
        ("[contexts.a", "config: .* is no TOML"),
        ("a = 1\na = 2", "config: .* is no TOML"),
        ("x = '\x00'", "config: .* is no TOML"),
    ],
)
def test_what_is_wrong_is_named_with_field_value_and_remedy(path: Path, text: str, named: str) -> None:
    write(path, text)
    with pytest.raises(RequestError, match=named) as refused:
        load()
    assert refused.value.remedy
    with pytest.raises(RequestError):
        put(one())
    assert path.read_text() == text, "a file that can't be read is not overwritten"


def test_a_file_that_is_no_text_is_named(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RequestError, match="is no TOML"):
        load()


def test_a_file_that_is_none_is_named(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(RequestError, match="can't be read"):
        load()


@pytest.mark.parametrize(
    "text",
    [
        'contexts = { a = { server = "a:1", ca_file = "c" }, b = { server = "b:1", ca_file = "c" } }\n',
        'contexts.a.server = "a:1"\ncontexts.a.ca_file = "c"\ncontexts.b = { server = "b:1", ca_file = "c" }\n',
        '[contexts.a]\nserver = "a:1"\nca_file = "c"\n[other]\nx = 1\n[contexts.b]\nserver = "b:1"\nca_file = "c"\n',
        '[contexts]\n[contexts.a]\nserver = "a:1"\nca_file = "c"\n[contexts.b]\nserver = "b:1"\nca_file = "c"\n',
    ],
)
def test_however_the_tables_are_written_they_are_changed(path: Path, text: str) -> None:
    write(path, text)
    put(one("new"))
    put(one("a", "other:2"), replace=True)
    use("a")
    left = remove("b")
    assert {name: each.server for name, each in left.by_name.items()} == {"a": "other:2", "new": "a.example:1"}
    assert left.current == "a"
    assert ("x = 1" in path.read_text()) is ("x = 1" in text)
