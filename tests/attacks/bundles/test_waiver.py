"""What a bundle is forgiven, and what it is not; and that nothing of it outlasts the bundle."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.trust import offline
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, TrustError
from fleetroll_publishing.carrying import MirrorWish, update_mirror
from tests.attacks.bundles.carrier import DAY
from tests.faults.carried import bend, contents, tar
from tests.faults.repositories import START

if TYPE_CHECKING:
    from pathlib import Path

    from tests.attacks.bundles.carrier import Carrier
    from tests.faults.carried import Warehouse

SHOP = "shop/1.0.0/any-any-any.tar.zst"


def mirror_of(carrier: Carrier) -> str:
    """Make a mirror's folder as the repository is now."""
    folder = carrier.folder / "mirror"
    update_mirror(folder, carrier.warehouse, MirrorWish(), FakeClock(max(START, carrier.warehouse.now)))
    return str(folder)


def written(carrier: Carrier, files: dict[str, bytes]) -> Path:
    """Write a bundle with these files, targets last."""
    ordered = {name: files[name] for name in sorted(files, key=lambda name: name.startswith("targets/"))}
    path = carrier.folder / "written.bundle"
    path.write_bytes(tar(ordered))
    return path


def forged(warehouse: Warehouse) -> dict[str, bytes]:
    """Return what a thief has signed, by the names in a bundle."""
    return {f"metadata/{name}": data for name, data in warehouse.forged.items() if isinstance(data, bytes)}


def test_a_fresh_bundle_waives_nothing(carrier: Carrier, warehouse: Warehouse) -> None:
    """Within a day of its timestamp it is worth as much as the server."""
    bundle = carrier.honest()
    assert carrier.waived(bundle) == ()
    assert carrier.install(bundle) == warehouse.artefacts[SHOP]


@pytest.mark.parametrize(("days", "waived"), [(2, ("timestamp",)), (40, ("timestamp", "snapshot"))])
def test_a_host_forty_days_later_takes_a_bundle_and_says_what_it_waived(
    carrier: Carrier, warehouse: Warehouse, days: int, waived: tuple[str, ...]
) -> None:
    """The expiry of the two lists alone, each named."""
    bundle = carrier.honest()
    carrier.host.clock.advance(days * DAY)
    assert carrier.waived(bundle) == waived
    assert carrier.install(bundle) == warehouse.artefacts[SHOP]


def test_a_host_forty_days_later_takes_no_mirror_of_the_same(carrier: Carrier) -> None:
    """A mirror is a network path, also where it is a folder: it must show that it is alive."""
    mirror, bundle = mirror_of(carrier), carrier.honest()
    carrier.host.clock.advance(40 * DAY)
    assert carrier.refuses(mirror, Code.METADATA_FREEZE).details["role"] in {"timestamp", "snapshot"}
    carrier.find(bundle)
    carrier.refuses(mirror, Code.METADATA_FREEZE)


@pytest.mark.parametrize("days", [370, 3000])
def test_what_is_a_year_old_is_refused(carrier: Carrier, days: int) -> None:
    """Root, targets and products are signed for a year, and that is not waived."""
    bundle = carrier.honest()
    carrier.host.clock.advance(days * DAY)
    assert carrier.refuses(bundle, Code.METADATA_FREEZE).details["role"] in {"timestamp", "targets"}


def test_an_expired_root_is_refused_although_the_lists_are_waived(carrier: Carrier, warehouse: Warehouse) -> None:
    """The library looks at it with the timestamp: the waiver must not take it along."""
    honest = carrier.honest()
    warehouse.signed_by_thief("root", lambda role: setattr(role, "expires", START - timedelta(seconds=1)))
    carrier.refuses(written(carrier, {**contents(honest), **forged(warehouse)}), Code.METADATA_FREEZE)


@pytest.mark.parametrize("role", ["targets", "products/shop"])
def test_an_expired_role_of_targets_is_refused(carrier: Carrier, warehouse: Warehouse, role: str) -> None:
    """Expiry of what is installed is enforced, in the top-level role and in the product's."""

    def expire(signed: Any) -> None:
        signed.expires = START - timedelta(seconds=1)

    honest = carrier.honest()
    warehouse.signed_by_thief(role, expire)
    bundle = written(carrier, {**contents(honest), **forged(warehouse)})
    error = carrier.refuses(bundle, Code.METADATA_FREEZE)
    assert error.details["role"] == role


def test_a_bundle_is_held_against_the_time_that_the_host_has_seen(carrier: Carrier, warehouse: Warehouse) -> None:
    """A clock that fell back by years makes nothing fresh."""
    carrier.host.clock.advance(DAY / 2)
    carrier.host.update("shop")
    honest = carrier.honest()
    warehouse.signed_by_thief("products/shop", lambda role: setattr(role, "expires", START + timedelta(hours=6)))
    carrier.host.clock.jump(-1000 * DAY)
    carrier.refuses(written(carrier, {**contents(honest), **forged(warehouse)}), Code.METADATA_FREEZE)


def test_a_bundle_on_a_clock_that_is_ahead_does_not_move_the_hosts_time(carrier: Carrier, warehouse: Warehouse) -> None:
    """Else a host whose clock was once wrong would take nothing from its server until that time has come."""
    bundle = carrier.honest()
    carrier.host.clock.advance(200 * DAY)
    carrier.install(bundle)
    carrier.host.clock.jump(-200 * DAY)
    carrier.host.restart()
    assert carrier.host.update("shop") == ("1.0.0",)
    warehouse.release("1.1.0")
    assert carrier.host.update("shop") == ("1.1.0", "1.0.0")


def test_what_a_bundle_brought_is_kept_and_the_server_goes_on_from_there(
    carrier: Carrier, warehouse: Warehouse
) -> None:
    """The same files as after a refresh, durable; the next refresh fetches only what is newer."""
    bundle = carrier.honest()
    carrier.host.clock.advance(40 * DAY)
    carrier.install(bundle)
    assert carrier.state()["timestamp.json"] == warehouse.files["timestamp.json"]
    assert carrier.state()["products%2Fshop.json"] == warehouse.files["2.products%2Fshop.json"]
    warehouse.now = carrier.host.clock.now()
    warehouse.release("1.1.0")
    warehouse.asked.clear()
    carrier.host.restart()
    assert carrier.host.update("shop") == ("1.1.0", "1.0.0")
    assert "1.targets.json" not in warehouse.asked


def test_what_was_waived_for_a_bundle_is_not_waived_for_what_comes_next(carrier: Carrier) -> None:
    """In the same process and after a restart: the network has to show fresh lists."""
    carrier.host.update("shop")
    bundle = carrier.honest()
    carrier.host.clock.advance(40 * DAY)
    carrier.install(bundle)
    for _ in range(2):
        with pytest.raises(TrustError) as caught:
            carrier.host.versions("shop")
        assert caught.value.code is Code.METADATA_FREEZE
        carrier.host.restart()


def test_nothing_is_answered_from_a_listing_that_a_bundle_has_superseded(
    carrier: Carrier, warehouse: Warehouse
) -> None:
    """The host asks its server again; when that is away, there is no answer rather than the older one."""
    carrier.host.update("shop")
    warehouse.release("1.1.0")
    carrier.install(carrier.honest("shop", "1.1.0"), version="1.1.0")
    warehouse.shown = {}
    with pytest.raises(AgentError) as caught:
        carrier.host.versions("shop")
    assert caught.value.code is Code.DOWNLOAD_FAILED
    warehouse.shown = None
    assert carrier.host.versions("shop") == ("1.1.0", "1.0.0")


def test_a_bundle_newer_than_the_server_stops_nothing_for_good(carrier: Carrier, warehouse: Warehouse) -> None:
    """A server from a backup is refused until it has signed as far as the bundle; bundles go on all the time."""
    old = warehouse.frozen()
    for _ in range(3):
        warehouse.refresh_timestamp()
    path = warehouse.release("1.1.0")
    bundle = carrier.honest("shop", "1.1.0")
    newest = warehouse.frozen()
    assert carrier.install(bundle, version="1.1.0") == warehouse.artefacts[path]
    warehouse.files = old
    carrier.host.refuses(Code.METADATA_ROLLBACK, kept=("floor.json",))
    assert carrier.install(bundle, version="1.1.0") == warehouse.artefacts[path]
    assert carrier.host.client.host_files()["timestamp.json"] == newest["timestamp.json"]  # what the server learns from
    warehouse.files = newest
    warehouse.refresh_timestamp()
    assert carrier.host.update("shop") == ("1.1.0", "1.0.0")


def test_an_older_bundle_than_what_the_host_has_is_refused(carrier: Carrier, warehouse: Warehouse) -> None:
    """By the timestamp's version already: which of two is newer, nobody has to guess. The remedy says what helps."""
    bundle = carrier.honest()
    warehouse.refresh_timestamp()
    carrier.host.update("shop")
    error = carrier.refuses(bundle, Code.METADATA_ROLLBACK)
    assert error.remedy.startswith("make the bundle anew")


def test_a_refused_bundle_leaves_the_listing_of_the_server(carrier: Carrier, warehouse: Warehouse) -> None:
    """Whoever comes with a bad stick takes nothing away from a host that is online."""
    carrier.host.update("shop")
    warehouse.asked.clear()
    honest = carrier.honest()
    bad = bend(honest, {"metadata/timestamp.json": b"{}"})
    with pytest.raises(TrustError):
        carrier.install(bad)
    assert carrier.host.versions("shop") == ("1.0.0",)


def test_no_waiver_is_left_when_the_library_asks_otherwise(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two checks that are replaced are internal to it: with them renamed, expiry is enforced."""
    for name in ("_check_final_timestamp", "_check_final_snapshot"):
        monkeypatch.delattr(offline._CarriedSet, name)
    bundle = carrier.honest()
    carrier.host.clock.advance(40 * DAY)
    carrier.refuses(bundle, Code.METADATA_FREEZE)


def test_a_host_that_never_had_a_network_begins_with_a_bundle(tmp_path: Path, carrier: Carrier) -> None:
    """From the pinned root, and durably: a restart without the bundle knows what it brought."""
    assert carrier.state() == {}
    bundle = carrier.honest()
    carrier.install(bundle)
    carrier.host.restart()
    carrier.warehouse.shown = {}
    with pytest.raises(AgentError):
        carrier.host.update("shop")
    assert "floor.json" in carrier.state()
    carrier.install(bundle)
