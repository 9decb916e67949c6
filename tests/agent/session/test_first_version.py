"""The first version of a host: the server chooses among signed releases, and can't make a host take anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_agent import enrol
from fleetroll_agent.enrol import Wish
from fleetroll_agent.first_slot import check_named
from fleetroll_agent.identity.store import IdentityStore
from fleetroll_agent.launcher.files import read_small, record_path, replace_file
from fleetroll_agent.launcher.record import decode, encode
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError
from fleetroll_common.values.ids import SystemIds
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.version import Version
from tests.agent.fake_server.hosts import RealHost
from tests.agent.fake_server.inprocess import PYTHON, small_artefact
from tests.agent.fake_server.releases import Releases
from tests.agent.fake_server.server import FakeServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    """Return a repository with three stable releases, the newest of which fails its self-test, and one in beta."""
    folder = tmp_path_factory.mktemp("shelf")
    known = Releases()
    known.publish("1.0.0", small_artefact(folder, "1.0.0"))
    known.publish("1.1.0", small_artefact(folder, "1.1.0"))
    known.publish("1.2.0", small_artefact(folder, "1.2.0", reported="9.9.9"))
    known.publish("2.0.0", small_artefact(folder, "2.0.0"), ("beta",))
    return known


@pytest.fixture
async def shop(shelf: Releases) -> AsyncIterator[FakeServer]:
    """Give a server with that repository."""
    async with FakeServer(shelf) as server:
        yield server


@pytest.fixture(autouse=True)
def few_pythons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for interpreters in the system's own folders: a developer's wrappers take seconds each."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


async def enrolled(shop: FakeServer, folder: Path, channel: str = "stable") -> str:
    return await enrol.enroll(Wish(shop.join_string(), folder, "host-1", channel, PYTHON, {}))


async def refused(shop: FakeServer, folder: Path, channel: str = "stable") -> FleetrollError:
    with pytest.raises(FleetrollError) as caught:
        await enrolled(shop, folder, channel)
    assert caught.value.remedy
    return caught.value


def current(folder: Path) -> str:
    return decode(read_small(record_path(str(folder))) or b"").current.version


def slots(folder: Path) -> list[str]:
    return sorted(path.name.split("-")[0] for path in folder.glob("slots/agent/*"))


async def test_what_the_server_names_is_installed_and_no_newer_one(shop: FakeServer, tmp_path: Path) -> None:
    shop.script.names = ["1.0.0"]
    assert "agent 1.0.0 is installed" in await enrolled(shop, tmp_path / "state")
    assert (current(tmp_path / "state"), slots(tmp_path / "state")) == ("1.0.0", ["1.0.0"])
    (asked,) = shop.asked
    assert (asked.product, asked.channel, list(asked.passed_over)) == ("agent", "stable", [])
    assert asked.platform.abi == Platform.current().abi


async def test_what_does_not_work_here_is_passed_over_and_another_one_is_asked_for(
    shop: FakeServer, tmp_path: Path
) -> None:
    said = await enrolled(shop, tmp_path / "state")
    assert ("agent 1.1.0 is installed" in said, "passed over: 1.2.0" in said) == (True, True)
    assert [list(asked.passed_over) for asked in shop.asked] == [[], ["1.2.0"]]


HOSTILE: dict[str, tuple[str, Code, str]] = {
    "unknown": ("9.9.9", Code.NOT_LISTED, "not among the signed releases"),
    "another channel's": ("2.0.0", Code.CHANNEL_NOT_ALLOWED, "not in channel 'stable'"),
    "nothing": ("", Code.INVALID_ARGUMENT, "which is no version"),
    "words": ("newest", Code.INVALID_ARGUMENT, "which is no version"),
    "a path": ("1.0.0/../2.0.0", Code.INVALID_ARGUMENT, "which is no version"),
    "a line": ("1.0.0\n", Code.INVALID_ARGUMENT, "which is no version"),
    "letters of another script": ("１.0.0", Code.INVALID_ARGUMENT, "which is no version"),  # noqa: RUF001 (the point)
    "a long one": ("1.0.0-" + "a" * 100_000, Code.INVALID_ARGUMENT, "which is no version"),
    "large numbers": (f"{'9' * 40}.0.0", Code.INVALID_ARGUMENT, "which is no version"),
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_a_name_that_no_server_should_give_is_refused_and_nothing_is_installed(
    shop: FakeServer, tmp_path: Path, case: str
) -> None:
    named, code, says = HOSTILE[case]
    shop.script.names = [named]
    error = await refused(shop, tmp_path / "state")
    assert (error.code, says in error.message, len(str(error)) < 1000) == (code, True, True)
    assert not (tmp_path / "state" / "slots").exists()
    assert not (tmp_path / "state" / "boot.json").exists()
    assert shop.fetched == []
    assert IdentityStore(tmp_path / "state" / "identity", SystemIds()).is_enrolled()
    shop.script.names = ["1.0.0"]
    assert "agent 1.0.0 is installed" in await enrolled(shop, tmp_path / "state")
    assert (shop.uses, len(shop.agents)) == (1, 1)


async def test_a_server_that_names_what_was_passed_over_gets_no_second_try(shop: FakeServer, tmp_path: Path) -> None:
    shop.script.names = ["1.2.0"] * 5
    error = await refused(shop, tmp_path / "state")
    assert error.code is Code.SELF_TEST_FAILED
    assert (len(shop.asked), len(shop.fetched)) == (2, 1)
    assert not (tmp_path / "state" / "boot.json").exists()


async def test_a_server_that_names_none_keeps_the_identity_and_says_so(shop: FakeServer, tmp_path: Path) -> None:
    error = await refused(shop, tmp_path / "state", "nightly")
    assert error.code is Code.NO_ARTIFACT
    assert "enrolled and keeps its identity, but nothing is installed" in error.message
    assert "agent 1.1.0 is installed" in await enrolled(shop, tmp_path / "state")
    assert (shop.uses, len(shop.agents)) == (1, 1)


async def test_a_server_too_old_to_name_one_is_not_guessed_for(shop: FakeServer, tmp_path: Path) -> None:
    shop.script.names = [None]
    error = await refused(shop, tmp_path / "state")
    assert (error.code, error.remedy) == (Code.UNIMPLEMENTED, "update the server, then run enroll again")
    assert shop.fetched == []
    assert "agent 1.1.0 is installed" in await enrolled(shop, tmp_path / "state")


async def kept_before(shop: FakeServer, state: Path, version: str, *, bad: bool = False) -> None:
    """Let ``state`` have kept ``version`` and lost its slots."""
    shop.script.names = [version]
    await enrolled(shop, state)
    path = record_path(str(state))
    record = decode(read_small(path) or b"")
    replace_file(path, encode(record._replace(bad=(record.current.digest,) if bad else ())))
    (state / "slots").rename(state.with_name("lost"))


async def test_what_is_older_than_what_the_host_has_kept_is_refused(shop: FakeServer, tmp_path: Path) -> None:
    state = tmp_path / "state"
    await kept_before(shop, state, "1.1.0")
    before, fetched = read_small(record_path(str(state))), len(shop.fetched)
    shop.script.names = ["1.0.0"]
    error = await refused(shop, state)
    assert (error.code, error.details) == (Code.BELOW_FLOOR, {"version": "1.0.0", "floor": "1.1.0"})
    assert (read_small(record_path(str(state))), slots(state), len(shop.fetched)) == (before, [], fetched)
    shop.script.names = ["1.1.0"]
    assert "agent 1.1.0 is installed" in await enrolled(shop, state)


async def test_a_version_that_was_put_back_as_bad_is_no_floor(shop: FakeServer, tmp_path: Path) -> None:
    await kept_before(shop, tmp_path / "state", "1.1.0", bad=True)
    shop.script.names = ["1.0.0"]
    assert "agent 1.0.0 is installed" in await enrolled(shop, tmp_path / "state")


async def test_a_host_whose_record_was_moved_away_begins_anew(shop: FakeServer, tmp_path: Path) -> None:
    state = tmp_path / "state"
    await kept_before(shop, state, "1.1.0")
    (state / "boot.json").unlink()
    shop.script.names = ["1.0.0"]
    assert "agent 1.0.0 is installed" in await enrolled(shop, state)


def test_the_floor_itself_and_what_is_above_it_are_allowed() -> None:
    for named in ("1.1.0", "1.1.1-rc.1", "2.0.0"):
        assert str(check_named(named, Version.parse("1.1.0"))) == named


async def test_the_command_line_says_it_in_one_line(shop: FakeServer, tmp_path: Path) -> None:
    shop.script.names = ["9.9.9"]
    code, out, err = await RealHost(tmp_path / "state").enroll(shop.join_string())
    assert (code, out, "(NOT_LISTED)" in err, "Traceback" in err) == (21, "", True, False)
