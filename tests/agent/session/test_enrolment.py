"""Enrolment: one use of the token whatever gets lost, nothing trusted that the join string does not pin."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent import enrol, install
from fleetroll_agent.enrol import Wish
from fleetroll_agent.identity.store import IdentityStore
from fleetroll_agent.launcher.files import read_small, record_path, replace_file
from fleetroll_agent.launcher.record import decode, encode
from fleetroll_agent.startable import can_start
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError, RequestError
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
    known.publish("2.1.0", small_artefact(folder, "2.1.0", reported="9.9.9"), ("broken", "edge"))
    known.publish("2.0.1", small_artefact(folder, "2.0.1"), ("edge",))
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


def wish(join: JoinString, folder: Path, **more: str) -> Wish:
    python = more.get("interpreter", PYTHON)
    return Wish(join, folder, "host-1", more.get("channel", "stable"), python, {"site": "a"})


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


async def test_a_release_that_fails_its_self_test_is_passed_over_and_named(shop: FakeServer, tmp_path: Path) -> None:
    said = await enrolled(shop, tmp_path / "state", channel="edge")
    assert "agent 2.0.1 is installed" in said
    assert "passed over: 2.1.0: the program reports '9.9.9'" in said
    assert current(tmp_path / "state") == "2.0.1"


async def test_a_channel_in_which_nothing_works_is_refused_and_leaves_no_boot_record(
    shop: FakeServer, tmp_path: Path
) -> None:
    for _ in range(2):
        with pytest.raises(
            FleetrollError, match=r"no release of channel 'broken' works on this host: 2\.1\.0"
        ) as caught:
            await enrolled(shop, tmp_path / "state", channel="broken")
        assert (caught.value.code, bool(caught.value.remedy)) == (Code.SELF_TEST_FAILED, True)
        assert not (tmp_path / "state" / "boot.json").exists()
    assert "1.1.0" in await enrolled(shop, tmp_path / "state")
    assert shop.uses == 1


async def test_an_interpreter_that_does_not_run_is_refused_before_anything_is_stored(
    shop: FakeServer, tmp_path: Path
) -> None:
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\necho cp36\n")
    other.chmod(0o755)
    for python, says in (("/nonexistent/python", "no Python"), ("/bin/true", "no Python"), (str(other), "cp36")):
        with pytest.raises(RequestError, match=says) as caught:
            await enrolled(shop, tmp_path / "state", interpreter=python)
        assert caught.value.details == {"field": "interpreter", "value": python}
        assert "--interpreter" in caught.value.remedy
    assert not (tmp_path / "state").exists()
    assert shop.uses == 0


def remove(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_dir():
            path.chmod(0o700)
    shutil.rmtree(folder)


def lose(state: Path, loss: str) -> None:
    """Take away what ``loss`` names."""
    if "slots" in loss:
        remove(state / "slots")
    for mark in ("COMPLETE", "GOOD"):
        if mark in loss:
            (path,) = state.glob(f"slots/agent/*/{mark}")
            path.unlink()
    if "record" in loss:
        (state / "boot.json").unlink()
    if "torn" in loss:
        (state / "boot.json").write_bytes(b"torn")


@pytest.mark.parametrize("loss", ["slots", "slots, record", "slots, torn", "GOOD, torn", "COMPLETE"])
async def test_enrolling_again_installs_what_the_launcher_could_no_longer_start(
    shop: FakeServer, tmp_path: Path, loss: str
) -> None:
    state = tmp_path / "state"
    await enrolled(shop, state)
    before = IdentityStore(state / "identity", SystemIds()).load()
    lose(state, loss)
    assert not can_start(state)
    assert "agent 1.1.0 is installed" in await enrolled(shop, state)
    assert can_start(state)
    assert current(state) == "1.1.0"
    after = IdentityStore(state / "identity", SystemIds()).load()
    assert (after.enrolment, after.keys) == (before.enrolment, before.keys)
    assert shop.uses == 1
    assert "already" in await enrolled(shop, state)


async def test_each_boot_record_that_was_damaged_is_kept(shop: FakeServer, tmp_path: Path) -> None:
    state = tmp_path / "state"
    await enrolled(shop, state)
    for damage in (b"first", b"second"):
        remove(state / "slots")
        (state / "boot.json").write_bytes(damage)
        await enrolled(shop, state)
    kept = sorted(state.glob("boot.json.damaged*"))
    assert [path.read_bytes() for path in kept] == [b"first", b"second"]


@pytest.mark.parametrize("name", ["entry.py", "ballast.bin", "MANIFEST"])
@pytest.mark.parametrize("lost", [True, False])
async def test_a_damaged_slot_is_not_called_well_and_enrolling_says_what_to_remove(
    shop: FakeServer, tmp_path: Path, name: str, lost: bool
) -> None:
    state = tmp_path / "state"
    await enrolled(shop, state)
    (slot,) = state.glob("slots/agent/*")
    slot.chmod(0o700)
    (slot / name).chmod(0o600)
    (slot / name).unlink() if lost else (slot / name).write_bytes(b"damaged")
    with pytest.raises(FleetrollError, match="is not as it was signed") as caught:
        await enrolled(shop, state)
    assert (caught.value.code, f"remove {slot} and run enroll again" in caught.value.remedy) == (Code.WRONG_HASH, True)
    remove(slot)
    assert "agent 1.1.0 is installed" in await enrolled(shop, state)
    assert "already" in await enrolled(shop, state)
    assert shop.uses == 1


async def test_a_record_that_the_slots_can_replace_needs_no_repair(shop: FakeServer, tmp_path: Path) -> None:
    await enrolled(shop, tmp_path / "state")
    (tmp_path / "state" / "boot.json").write_bytes(b"torn")
    assert "nothing was changed" in await enrolled(shop, tmp_path / "state")


async def test_a_repair_keeps_what_the_record_knows_and_takes_nothing_that_was_put_back(
    shop: FakeServer, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    await enrolled(shop, state)
    path = record_path(str(state))
    before = decode(read_small(path) or b"")
    replace_file(path, encode(before._replace(highest_server=7, bad=(before.current.digest,))))
    remove(state / "slots")
    said = await enrolled(shop, state)
    assert ("agent 1.0.0 is installed" in said, "1.1.0: it was put back on this host before" in said) == (True, True)
    after = decode(read_small(path) or b"")
    assert (after.highest_server, after.bad, after.recovered) == (7, (before.current.digest,), True)
    assert can_start(state)


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


async def test_a_disk_that_refuses_the_age_of_the_key_refuses_no_enrolment(
    shop: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise AgentError("the disk is full", code=Code.DISK_FULL)

    monkeypatch.setattr(IdentityStore, "stamp_key", refuse)
    assert "enrolled as" in await enrolled(shop, tmp_path / "state")
    assert IdentityStore(tmp_path / "state" / "identity", SystemIds()).load().keys.since is None


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


async def test_a_host_with_a_damaged_candidate_can_be_enrolled(shop: FakeServer, tmp_path: Path) -> None:
    shop.script.lose_enrolments = 1
    with pytest.raises(FleetrollError):
        await enrolled(shop, tmp_path / "state")
    (tmp_path / "state" / "identity" / "candidate.json").write_bytes(b"torn")
    assert "enrolled as" in await enrolled(shop, tmp_path / "state")


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
