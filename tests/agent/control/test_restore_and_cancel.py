"""A person restores a backup, ends what was begun, and takes a release from a bundle: real commands, a real shop."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.agent.fake_server.inprocess import InProcessHost
from tests.agent.fake_server.releases import Releases
from tests.faults.shop import Shop, artefact

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent.control.person import Person
    from tests.agent.fake_server.server import FakeServer


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    """Return a repository with two versions of the shop."""
    folder, known = tmp_path_factory.mktemp("shop"), Releases()
    for version in ("1.0.0", "1.1.0"):
        known.publish(version, artefact(folder, version), product="shop")
    return known


@pytest.fixture
def busy(tmp_path: Path) -> Path:
    """Return the file whose presence locks the shop."""
    return tmp_path / "busy"


@pytest.fixture
async def host(server: FakeServer, shop: Shop, tmp_path: Path, busy: Path) -> InProcessHost:
    """Return an enrolled host that keeps the shop; its daemon does not run."""
    enrolled = InProcessHost(tmp_path / "state", server)
    await enrolled.enrol()
    with (enrolled.folder / "agent.toml").open("a") as settings:
        settings.write(shop.settings(lock_command=f'["/bin/sh", "-c", "! test -e {busy}"]'))
    return enrolled


async def test_the_last_backup_comes_back_under_the_version_that_runs(
    server: FakeServer, host: InProcessHost, shop: Shop, person: Person
) -> None:
    async with host.running():
        await server.until(lambda: server.sessions)
        await person.is_heard()
        await person.runs("update", "shop", "--version", "1.0.0", "--soak", "0.2s")
        await person.runs("update", "shop", "--version", "1.1.0", "--soak", "0.2s")
        with contextlib.closing(sqlite3.connect(shop.home / "shop.db")) as known, known:
            known.execute("DELETE FROM orders")
        assert (await asyncio.to_thread(shop.page))["orders"] == 0
        assert await person.runs("restore", "shop") == 0, person.out + person.err
        assert "1.1.0 runs" in person.out
        assert await asyncio.to_thread(shop.page) == {"version": "1.1.0", "schema": 1, "orders": 1}


async def test_a_backup_that_is_not_there_is_named_and_nobody_says_that_the_version_failed(
    server: FakeServer, host: InProcessHost, person: Person
) -> None:
    async with host.running():
        await server.until(lambda: server.sessions)
        await person.is_heard()
        await person.runs("update", "shop", "--version", "1.1.0", "--soak", "0.2s")
        assert await person.runs("restore", "shop", "--backup", "of-last-year.db") == 23
    assert "the backup of-last-year.db was not restored" in person.out
    assert "fleetroll-agent restore shop --backup ID" in person.out
    assert "1.1.0 failed" not in person.out


async def test_what_waits_is_cancelled_and_what_runs_stays(
    server: FakeServer, host: InProcessHost, shop: Shop, person: Person, busy: Path
) -> None:
    """Whoever cancels what has ended, or never was, hears that nothing goes on."""
    async with host.running():
        await server.until(lambda: server.sessions)
        await person.is_heard()
        await person.runs("update", "shop", "--version", "1.0.0", "--soak", "0.2s")
        busy.touch()
        await person.runs("update", "shop", "--version", "1.1.0", "--soak", "0.2s", "--no-wait")
        assert (await asyncio.to_thread(shop.page))["version"] == "1.0.0"
        assert await person.runs("cancel", "shop") == 0
        assert "nothing that was started here is going on" in person.out
        assert await person.runs("history", "shop") == 0
        assert "cancelled" in person.out
        busy.unlink()
        assert await person.runs("cancel", "shop") == 0
        assert (await asyncio.to_thread(shop.page))["version"] == "1.0.0"
        assert await person.runs("update", "shop", "--version", "1.1.0", "--soak", "0.2s") == 0


async def test_a_bundle_is_named_as_one_or_as_any_other_source(
    server: FakeServer, releases: Releases, host: InProcessHost, person: Person, tmp_path: Path
) -> None:
    bundle = releases.bundle(tmp_path / "bundle.tar", ("shop", "1.0.0"))
    await server.stop()
    async with host.running():
        await person.is_heard()
        assert await person.runs("check", "shop", "--bundle", str(bundle)) == 10, person.err
        assert await person.runs("update", "shop", "--bundle", str(bundle), "--soak", "0.2s") == 0, person.err
        assert await person.runs("check", "shop", "--from", str(bundle)) == 0


async def test_a_place_that_can_not_be_looked_into_is_named_with_what_to_do(
    server: FakeServer, host: InProcessHost, person: Person
) -> None:
    async with host.running():
        await server.until(lambda: server.sessions)
        await person.is_heard()
        assert await person.runs("check", "shop", "--from", "https://nowhere.invalid/repo") != 0
        assert "see to https://nowhere.invalid/repo and the way there" in person.err + person.out


@pytest.mark.parametrize("variable", ["reason", "SUDO_USER"])
async def test_what_is_no_text_does_not_end_the_agent(
    server: FakeServer, host: InProcessHost, person: Person, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """A terminal of another encoding says bytes that no message can carry."""
    async with host.running():
        await server.until(lambda: server.sessions)
        await person.is_heard()
        if variable == "reason":
            assert await person.runs("hold", "shop", "--reason", "gr\udcffn") == 21
            assert "reason: it is no text in UTF-8" in person.err
        else:
            monkeypatch.setenv("SUDO_USER", "j\udcffrg")
        assert await person.runs("hold", "shop", "--reason", "grün") == 0
        await server.until(lambda: len(server.sessions) == 2)
        (held,) = server.session.hello.overrides
        assert held.reason == "grün"


@pytest.mark.parametrize(
    "words", [("update", "shop", "--bundle", ""), ("check", "shop", "--from", ""), ("restore", "shop", "--backup", "")]
)
async def test_an_empty_word_stands_for_no_default(person: Person, words: tuple[str, ...]) -> None:
    """A variable of a script that was never set must not begin something else."""
    with pytest.raises(SystemExit) as ended:
        await person.runs(*words)
    assert ended.value.code == 2
