"""Finding releases in bundles and mirrors, through a host's own trust."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.bundle import files, open_source
from fleetroll_agent.fetch import SourceFailed, fetch_target
from fleetroll_agent.fetch.files import FileReader
from fleetroll_agent.fetch.values import Absent
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError, RequestError, TrustError
from fleetroll_common.values.platform import Platform
from fleetroll_publishing.carrying import MirrorWish, update_mirror
from tests.faults.carried import HERE, Warehouse
from tests.faults.repositories import START, Host
from tests.faults.served import served
from tests.faults.web_mirror import WebMirror

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fleetroll_common.trust import TrustClient


@pytest.fixture
def warehouse() -> Warehouse:
    return Warehouse()


@pytest.fixture
def host(tmp_path: Path, warehouse: Warehouse) -> Host:
    return Host(tmp_path, warehouse)


@pytest.fixture
def trust(host: Host) -> TrustClient:
    return host.client


@pytest.fixture
def bundle(tmp_path: Path, warehouse: Warehouse) -> Callable[..., str]:
    """Make a bundle of releases of the shop."""

    def make(*versions: str, product: str = "shop") -> str:
        releases = [(product, version) for version in versions]
        return str(warehouse.bundle(tmp_path / "some.bundle", FakeClock(START), *releases))

    return make


async def versions_found(source: str, trust: TrustClient, *channels: str) -> str:
    found, _ = await open_source(source).find(trust, "shop", None, channels or None)
    return str(found.custom.version)


async def refused(source: str, trust: TrustClient, version: str | None, product: str = "shop") -> FleetrollError:
    with pytest.raises(FleetrollError) as caught:
        await open_source(source).find(trust, product, version)
    assert caught.value.remedy
    return caught.value


async def test_a_bundle_gives_a_named_release_and_its_bytes(
    bundle: Callable[..., str], trust: TrustClient, warehouse: Warehouse, tmp_path: Path
) -> None:
    """From any byte on, as a download that goes on wants it."""
    source = open_source(bundle("1.0.0"))
    found, waived = await source.find(trust, "shop", "1.0.0")
    assert (found.target.path, waived, source.is_bundle) == ("shop/1.0.0/any-any-any.tar.zst", (), True)
    right = warehouse.artefacts[found.target.path]
    await fetch_target(source.targets, found.target, tmp_path / "dest", FakeClock(START))
    assert (tmp_path / "dest").read_bytes() == right
    for offset in (0, 1, len(right) - 1, len(right)):
        assert b"".join([piece async for piece in source.targets.open(found.target.path, offset)]) == right[offset:]
    with pytest.raises(SourceFailed):
        [piece async for piece in source.targets.open(found.target.path, len(right) + 1)]


async def test_a_bundle_gives_nothing_that_it_does_not_hold(bundle: Callable[..., str]) -> None:
    """Another release, and what is no target's path at all."""
    source = open_source(bundle("1.0.0"))
    for path in ("shop/9.9.9/any-any-any.tar.zst", "../metadata/timestamp.json", ""):
        with pytest.raises(Absent):
            [piece async for piece in source.targets.open(path, 0)]


async def test_a_bundle_that_was_exchanged_since_it_was_opened_is_not_believed(
    bundle: Callable[..., str], trust: TrustClient, tmp_path: Path
) -> None:
    """The stick was pulled, or another file was copied over it."""
    name = bundle("1.0.0")
    source = open_source(name)
    (tmp_path / "some.bundle").write_bytes(b"x" * 100)
    with pytest.raises(FleetrollError) as caught:
        await source.find(trust, "shop", "1.0.0")
    assert caught.value.code in {Code.METADATA_INVALID, Code.DOWNLOAD_FAILED}
    (tmp_path / "some.bundle").unlink()
    assert (await source_refused(source, trust)).code is Code.DOWNLOAD_FAILED


async def source_refused(source: object, trust: TrustClient) -> AgentError:
    with pytest.raises(AgentError) as caught:
        await source.find(trust, "shop", "1.0.0")  # type: ignore[attr-defined]
    return caught.value


async def test_without_a_version_the_newest_is_taken_that_the_bundle_holds(
    bundle: Callable[..., str], trust: TrustClient, warehouse: Warehouse
) -> None:
    """Newer ones are listed in its metadata, and their bytes are not there."""
    for version in ("1.9.0", "1.10.0", "2.0.0"):
        warehouse.release(version)
    assert await versions_found(bundle("1.9.0", "1.10.0"), trust) == "1.10.0"


def test_what_is_listed_and_held_is_told_to_whoever_chooses_by_other_rules(
    bundle: Callable[..., str], host: Host, warehouse: Warehouse
) -> None:
    """Of a bundle what is in it, newest first, with what was waived."""
    for version in ("1.9.0", "1.10.0", "2.0.0"):
        warehouse.release(version)
    name = bundle("1.9.0", "1.10.0")
    host.clock.advance(2 * 86_400)
    listed = open_source(name).listed(host.client, "shop")
    assert [target.path.split("/")[1] for target in listed.targets] == ["1.10.0", "1.9.0"]
    assert listed.waived == ("timestamp",)


async def test_the_newest_is_looked_for_in_the_channels_of_the_host(
    bundle: Callable[..., str], trust: TrustClient, warehouse: Warehouse
) -> None:
    """A pre-release of stable is only ever taken by name."""
    warehouse.release("2.0.0", channels=("edge",))
    warehouse.release("3.0.0-rc.1", channels=("stable",))
    warehouse.release("4.0.0-rc.1", channels=("beta", "stable"))
    name = bundle("1.0.0", "2.0.0", "3.0.0-rc.1", "4.0.0-rc.1")
    assert await versions_found(name, trust, "stable") == "1.0.0"
    assert await versions_found(name, trust, "edge", "stable") == "2.0.0"
    assert await versions_found(name, trust, "beta") == "4.0.0-rc.1"
    assert await versions_found(name, trust) == "4.0.0-rc.1"
    with pytest.raises(RequestError) as caught:
        await versions_found(name, trust, "nightly")
    assert caught.value.code is Code.NO_ARTIFACT
    found, _ = await open_source(name).find(trust, "shop", "3.0.0-rc.1")
    assert str(found.custom.version) == "3.0.0-rc.1"


async def test_of_several_artefacts_the_one_closest_to_the_host_is_taken(
    bundle: Callable[..., str], trust: TrustClient, warehouse: Warehouse
) -> None:
    """As from a server; of the agent only the exact one."""
    warehouse.release("2.0.0", platform=Platform(HERE.os, HERE.arch, "any"))
    warehouse.release("2.0.0", platform=HERE)
    found, _ = await open_source(bundle("2.0.0")).find(trust, "shop", "2.0.0")
    assert found.custom.platform == HERE
    warehouse.release("2.0.0", "agent", platform=Platform.parse("any"))
    assert (await refused(bundle("2.0.0", product="agent"), trust, "2.0.0", "agent")).code is Code.WRONG_PLATFORM


async def test_what_is_not_there_is_refused_by_name(
    bundle: Callable[..., str], trust: TrustClient, warehouse: Warehouse
) -> None:
    """Not listed, listed elsewhere, no such product, no version, no name."""
    warehouse.release("2.0.0", platform=Platform.parse("plan9/mips"))
    warehouse.release("3.0.0")
    name = bundle("1.0.0", "2.0.0")
    assert (await refused(name, trust, "9.0.0")).code is Code.NOT_LISTED
    assert (await refused(name, trust, "2.0.0")).code is Code.WRONG_PLATFORM
    assert (await refused(name, trust, "3.0.0")).code is Code.NO_ARTIFACT
    assert (await refused(name, trust, None, "till")).code is Code.NOT_LISTED
    assert (await refused(name, trust, "one")).code is Code.INVALID_ARGUMENT
    assert (await refused(name, trust, None, "../agent")).code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("form", ["{address}", "{address}/", "{address}/{{path}}", "folder", "file:"])
async def test_a_mirror_is_read_by_its_folder_or_its_address(
    form: str, trust: TrustClient, warehouse: Warehouse, tmp_path: Path
) -> None:
    """All the names of its files survive the way through an address."""
    folder = tmp_path / "the mirror's {folder}"
    update_mirror(folder, warehouse, MirrorWish(), FakeClock(START))
    with served(folder) as address:
        named = {"folder": str(folder), "file:": folder.as_uri()}.get(form) or form.format(address=address)
        source = open_source(named)
        found, waived = await source.find(trust, "shop")
        await fetch_target(source.targets, found.target, tmp_path / "dest", FakeClock(START))
    assert (tmp_path / "dest").read_bytes() == warehouse.artefacts[found.target.path]
    assert (waived, source.is_bundle, source.name) == ((), False, named)


async def test_a_mirror_that_is_not_there_is_worth_another_try(trust: TrustClient, tmp_path: Path) -> None:
    """An empty folder where a share should be; a web server that has nothing; one that has a fault."""
    (tmp_path / "empty").mkdir()
    assert (await refused(str(tmp_path / "empty"), trust, None)).code is Code.DOWNLOAD_FAILED
    for status in (404, 403, 500):
        with WebMirror(status=status) as web:
            error = await refused(web.pattern, trust, None)
        assert error.code is Code.DOWNLOAD_FAILED
        assert "timestamp.json" in error.message if status == 404 else f"HTTP {status}" in error.message


@pytest.mark.parametrize("over_the_network", [False, True])
async def test_an_endless_mirror_is_cut_at_the_bound_of_each_file(
    trust: TrustClient, tmp_path: Path, over_the_network: bool
) -> None:
    """No more is read than a file of its kind may have, and one byte: of 1 TiB the test would notice."""
    (tmp_path / "mirror" / "metadata").mkdir(parents=True)
    with (tmp_path / "mirror" / "metadata" / "2.root.json").open("wb") as endless:
        endless.truncate(2**40)
    with served(tmp_path / "mirror") as address:
        error = await refused(address if over_the_network else str(tmp_path / "mirror"), trust, None)
    assert error.code is Code.METADATA_ENDLESS


async def test_a_mirror_that_drips_is_given_up(
    trust: TrustClient, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file has a deadline, however alive the line looks."""
    update_mirror(tmp_path / "mirror", warehouse, MirrorWish(), FakeClock(START))
    clock = FakeClock(START)

    class Dripping(FileReader):
        def read(self) -> bytes:
            clock.advance(20.0)
            return os.read(self._handle, 1)

    monkeypatch.setattr(files, "reader_of", lambda url: Dripping(url.removeprefix("file" + "://")))
    with pytest.raises(AgentError) as caught:
        await open_source(str(tmp_path / "mirror"), clock).find(trust, "shop")
    assert caught.value.code is Code.DOWNLOAD_FAILED
    assert "did not come within 30 s" in caught.value.message


async def test_a_mirror_that_is_older_than_what_the_host_has_is_refused(
    trust: TrustClient, host: Host, warehouse: Warehouse, tmp_path: Path
) -> None:
    """The remedy says what helps against that."""
    update_mirror(tmp_path / "mirror", warehouse, MirrorWish(), FakeClock(START))
    warehouse.refresh_timestamp()
    host.update("shop")
    error = await refused(str(tmp_path / "mirror"), trust, None)
    assert isinstance(error, TrustError)
    assert (error.code, error.remedy.partition(" from")[0]) == (Code.METADATA_ROLLBACK, "update the mirror")
