"""Enrolment: one use of the token whatever gets lost, nothing trusted that the join string does not pin."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent import enrol, install
from fleetroll_agent.enrol import Wish
from fleetroll_agent.identity.store import IdentityStore
from fleetroll_agent.launcher.files import read_small, record_path
from fleetroll_agent.launcher.record import decode
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError
from fleetroll_common.values.ids import SystemIds
from tests.agent.fake_server.hosts import RealHost
from tests.agent.fake_server.inprocess import PYTHON, small_artefact
from tests.agent.fake_server.releases import Releases
from tests.agent.fake_server.server import FakeServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from fleetroll_common.wire.joinstring import JoinString


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    """Return a repository whose newest stable release is not its newest one."""
    folder = tmp_path_factory.mktemp("shelf")
    known = Releases()
    known.publish("1.0.0", small_artefact(folder, "1.0.0"))
    known.publish("1.1.0", small_artefact(folder, "1.1.0"), ("beta", "stable"))
    known.publish("2.0.0", small_artefact(folder, "2.0.0"), ("beta",))
    return known


@pytest.fixture
async def shop(shelf: Releases) -> AsyncIterator[FakeServer]:
    """Give a server with that repository."""
    async with FakeServer(shelf) as server:
        yield server


def wish(join: JoinString, folder: Path, **more: str) -> Wish:
    return Wish(join, folder, "host-1", more.get("channel", "stable"), PYTHON, {"site": "a"})


async def enrolled(shop: FakeServer, folder: Path, **more: str) -> str:
    return await enrol.enroll(wish(shop.join_string(), folder, **more))


def current(folder: Path) -> str:
    data = read_small(record_path(str(folder)))
    assert data is not None
    return decode(data).current.version


async def test_enrolment_ends_with_an_identity_and_the_newest_release_of_the_channel(
    shop: FakeServer, tmp_path: Path
) -> None:
    said = await enrolled(shop, tmp_path / "state")
    assert shop.agent.agent_id in said
    assert "1.1.0" in said
    assert current(tmp_path / "state") == "1.1.0"
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert shop.uses == 1


async def test_another_channel_gives_its_own_newest_release(shop: FakeServer, tmp_path: Path) -> None:
    await enrolled(shop, tmp_path / "state", channel="beta")
    assert current(tmp_path / "state") == "2.0.0"


async def test_an_answer_that_got_lost_spends_one_use(shop: FakeServer, tmp_path: Path) -> None:
    shop.script.lose_enrolments = 2
    for _ in range(2):
        with pytest.raises(FleetrollError) as caught:
            await enrolled(shop, tmp_path / "state")
        assert caught.value.code is Code.UNAVAILABLE
    await enrolled(shop, tmp_path / "state")
    assert (shop.uses, len(shop.agents)) == (1, 1)


async def test_enrolling_an_agent_again_changes_nothing(shop: FakeServer, tmp_path: Path) -> None:
    await enrolled(shop, tmp_path / "state")
    before = IdentityStore(tmp_path / "state" / "identity", SystemIds()).load()
    assert "already" in await enrolled(shop, tmp_path / "state")
    assert IdentityStore(tmp_path / "state" / "identity", SystemIds()).load() == before
    assert shop.uses == 1


async def test_a_crash_before_the_boot_record_is_finished_by_asking_again(
    shop: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(install, "first_record", lambda *_args: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            await enrolled(shop, tmp_path / "state")
    fetched = len(shop.fetched)
    assert "1.1.0" in await enrolled(shop, tmp_path / "state")
    assert (shop.uses, len(shop.fetched)) == (1, fetched)


async def test_an_unknown_token_is_refused_in_words(shop: FakeServer, tmp_path: Path) -> None:
    join = shop.join_string("not-a-token")
    with pytest.raises(FleetrollError, match="the token is not known"):
        await enrol.enroll(wish(join, tmp_path / "state"))
    assert not (tmp_path / "state" / "boot.json").exists()


async def test_a_root_that_the_join_string_does_not_pin_is_refused(shop: FakeServer, tmp_path: Path) -> None:
    join = replace(shop.join_string(), root_sha256=hashlib.sha256(b"another root").digest())
    with pytest.raises(FleetrollError) as caught:
        await enrol.enroll(wish(join, tmp_path / "state"))
    assert caught.value.code is Code.WRONG_HASH
    assert not IdentityStore(tmp_path / "state" / "identity", SystemIds()).is_enrolled()


async def test_a_channel_without_a_release_is_refused_in_words(shop: FakeServer, tmp_path: Path) -> None:
    with pytest.raises(FleetrollError) as caught:
        await enrolled(shop, tmp_path / "state", channel="nightly")
    assert caught.value.code is Code.NO_ARTIFACT


async def test_readmission_makes_a_new_key_for_the_same_agent(shop: FakeServer, tmp_path: Path) -> None:
    await enrolled(shop, tmp_path / "state")
    store = IdentityStore(tmp_path / "state" / "identity", SystemIds())
    before, agent = store.load(), shop.agent
    join = shop.join_string(f"readmit:{agent.agent_id}")
    await enrol.readmit(wish(join, tmp_path / "state"))
    after = store.load()
    assert after.enrolment.agent_id == before.enrolment.agent_id
    assert after.keys.current != before.keys.current
    assert shop.agent.row.public_key != before.keys.current


async def test_a_readmission_of_another_agent_is_refused(shop: FakeServer, tmp_path: Path) -> None:
    await enrolled(shop, tmp_path / "a")
    first = shop.agent.agent_id
    await enrolled(shop, tmp_path / "b")
    join = shop.join_string(f"readmit:{first}")
    before = IdentityStore(tmp_path / "b" / "identity", SystemIds()).load()
    with pytest.raises(FleetrollError) as caught:
        await enrol.readmit(wish(join, tmp_path / "b"))
    assert caught.value.code is Code.CONFLICT
    assert IdentityStore(tmp_path / "b" / "identity", SystemIds()).load() == before


@pytest.mark.parametrize("running", [True, False])
async def test_the_command_line_says_what_happened(shop: FakeServer, tmp_path: Path, running: bool) -> None:
    join = shop.join_string()
    if not running:
        await shop.stop()
    code, out, err = await RealHost(tmp_path / "state").enroll(join)
    if running:
        assert (code, "enrolled as" in out) == (0, True), err
    else:
        assert (code, "Traceback" in err, "UNAVAILABLE" in err) == (20, False, True)
