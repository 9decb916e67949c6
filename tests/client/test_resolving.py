"""Options are stronger than variables, variables than contexts; a token goes nowhere else."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleetroll_client.contexts import Context, Environment
from fleetroll_client.keeping import put, use
from fleetroll_client.resolving import Resolved, Wanted, resolve, token_in
from fleetroll_common.values.errors import RequestError
from tests.client.test_errors import PEM

if TYPE_CHECKING:
    from collections.abc import Mapping

OTHER_PEM = b"# another\n" + PEM


class Home:
    """Files that contexts, variables and options name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        self.other_ca = self.file("other.pem", OTHER_PEM)
        self.other_token = self.file("other.token", b"other-token")
        self.context("prod", Environment.PRODUCTION)
        self.context("stage", Environment.STAGING)

    def file(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def context(self, name: str, environment: Environment) -> None:
        ca, token = self.file(f"{name}.pem", PEM), self.file(f"{name}.token", f"{name}-token".encode())
        put(Context(name, f"{name}.example:1", ca, token, environment, f"{name}-fleet"), self.config)

    def resolve(self, wanted: Wanted | None = None, environ: Mapping[str, str] | None = None) -> Resolved:
        return resolve(wanted, {"FLEETROLL_CONFIG": str(self.config), **(environ or {})})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Two contexts; prod is current."""
    return Home(tmp_path)


def shown(found: Resolved) -> tuple[str, str, str, str]:
    return found.endpoint.address, found.endpoint.token, found.environment.value, found.fleet


PROD = ("prod.example:1", "prod-token", "production", "prod-fleet")
STAGE = ("stage.example:1", "stage-token", "staging", "stage-fleet")


def test_without_a_word_the_current_context_is_meant(home: Home) -> None:
    assert shown(home.resolve()) == PROD
    use("stage", home.config)
    assert shown(home.resolve()) == STAGE


def test_a_context_is_named_by_option_then_by_variable(home: Home) -> None:
    stage = {"FLEETROLL_CONTEXT": "stage"}
    assert shown(home.resolve(environ=stage)) == STAGE
    assert shown(home.resolve(Wanted(context="prod"), stage)) == PROD


def test_a_context_that_is_not_there_is_refused_even_where_the_rest_is_given(home: Home) -> None:
    wanted = Wanted("x:1", home.other_ca, home.other_token, "nothing")
    with pytest.raises(RequestError, match="no 'nothing'"):
        home.resolve(wanted)


def test_an_option_is_stronger_than_a_variable_and_that_than_a_context(home: Home) -> None:
    environ = {"FLEETROLL_SERVER": "variable.example:1", "FLEETROLL_TOKEN_FILE": str(home.other_token)}
    assert shown(home.resolve(environ=environ)) == ("variable.example:1", "other-token", "other", "")
    found = home.resolve(Wanted(server="option.example:1"), environ)
    assert found.endpoint.address == "option.example:1"
    assert found.context == "prod"


def test_the_environment_of_a_context_is_not_shown_over_another_server(home: Home) -> None:
    """The band of staging over production would lie."""
    found = home.resolve(Wanted(server="prod.example:1", context="stage"))
    assert (found.environment, found.fleet) == (Environment.OTHER, "")


def test_the_token_of_a_context_goes_to_no_server_that_its_ca_does_not_vouch_for(home: Home) -> None:
    with pytest.raises(RequestError, match="token-file: not given"):
        home.resolve(Wanted(server="evil.example:1", ca_file=home.other_ca))
    with pytest.raises(RequestError, match="token-file: not given"):
        home.resolve(environ={"FLEETROLL_CA": str(home.other_ca)})
    assert home.resolve(Wanted(server="replica.example:1")).endpoint.token == "prod-token"


def test_what_is_given_whole_needs_no_file(home: Home) -> None:
    home.config.write_text("broken = ")
    found = home.resolve(Wanted("x:1", home.other_ca, home.other_token))
    assert shown(found) == ("x:1", "other-token", "other", "")
    with pytest.raises(RequestError, match="is no TOML"):
        home.resolve(Wanted("x:1", home.other_ca))


@pytest.mark.parametrize(("missing", "field"), [("server", "server"), ("ca_file", "ca"), ("token_file", "token-file")])
def test_what_is_not_given_is_named_with_the_ways_to_give_it(tmp_path: Path, missing: str, field: str) -> None:
    values = {"server": "x:1", "ca_file": tmp_path / "ca", "token_file": tmp_path / "token"}
    (tmp_path / "ca").write_bytes(PEM)
    (tmp_path / "token").write_text("t")
    del values[missing]
    with pytest.raises(RequestError, match=f"{field}: not given") as refused:
        resolve(Wanted(**values), {"FLEETROLL_CONFIG": str(tmp_path / "none")})  # type: ignore[arg-type]
    assert f"--{field}" in refused.value.remedy
    assert "FLEETROLL_" in refused.value.remedy
    assert "context add" in refused.value.remedy


def test_files_of_a_context_that_are_gone_are_named(home: Home) -> None:
    (home.folder / "prod.token").unlink()
    with pytest.raises(RequestError, match=r"token-file: .*prod\.token can't be read"):
        home.resolve()


@pytest.mark.parametrize("which", ["ca", "token-file"])
@pytest.mark.timeout(20)
def test_a_file_without_an_end_or_a_name_is_refused(home: Home, which: str) -> None:
    for path, why in ((Path("/dev/zero"), "has more than 1048576 bytes"), (Path("a\0b"), "can't be read: no file")):
        token, ca = (path, home.other_ca) if which == "token-file" else (home.other_token, path)
        with pytest.raises(RequestError, match=why) as refused:
            home.resolve(Wanted("x:1", ca, token))
        assert refused.value.message.startswith(f"{which}: ")


def test_a_token_may_come_through_a_pipe(home: Home) -> None:
    pipe = home.folder / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(pipe.write_bytes, b"of-a-pipe\n")
        assert home.resolve(Wanted("x:1", home.other_ca, pipe)).endpoint.token == "of-a-pipe"
        written.result()


@pytest.mark.parametrize("content", [b"", b"\n", "tök".encode(), b"\xff\xfe", b"two words", b"a\x00b", b"a\x1bb"])
def test_a_file_that_holds_no_token_is_refused_by_its_option(content: bytes) -> None:
    with pytest.raises(RequestError, match="token-file: x does not hold one API token"):
        token_in(content, Path("x"))


def test_space_around_a_token_is_not_part_of_it() -> None:
    assert token_in(b" token \n", Path("x")) == "token"
