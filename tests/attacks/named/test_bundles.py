"""A bundle carries what its publisher rules: it is enforced on a host that has met no server since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent.jobs.keeper import ProductFile
from fleetroll_common.values.product_policy import Revoked, Withdrawn
from fleetroll_common.values.version import Version
from tests.agent.control.person import Person
from tests.attacks.named.scene import OLD, RUNS, SHOP, V_WANTED, WANTED, Scene

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_agent.jobs.values import ProductRecord


class AirGap:
    """A person with a bundle at a host whose server is gone."""

    def __init__(self, attacked: Scene, person: Person, folder: Path) -> None:
        self.attacked, self.person, self.folder = attacked, person, folder
        self.bundles = 0

    def bundle(self, *versions: str) -> str:
        """Make a bundle of the repository as it is now."""
        self.bundles += 1
        releases = ((SHOP, version) for version in versions or (WANTED,))
        return str(self.attacked.releases.bundle(self.folder / f"{self.bundles}.bundle", *releases))

    async def updates(self, bundle: str, version: str = "") -> int:
        named = ("--version", version) if version else ()
        return await self.person.runs("update", SHOP, *named, "--from", bundle, "--soak", "0.2s")

    async def refused(self, code: str, says: str, version: str = WANTED, bundle: str = "") -> None:
        """Update by a bundle, be refused by this reason, and see that nothing was changed."""
        exit_code = await self.updates(bundle or self.bundle(version), version)
        said = self.person.out + self.person.err
        assert exit_code == 21, said
        assert code in said
        assert says in said
        self.attacked.see_nothing_changed()

    def record(self) -> ProductRecord:
        return ProductFile(self.attacked.host.folder, SHOP).read()


@pytest.fixture
async def gap(attacked: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AirGap:
    """Give a host that its server has left for good."""
    person = Person(attacked.host, capsys)
    await person.is_heard()
    await attacked.server.stop()
    return AirGap(attacked, person, tmp_path)


RULED: dict[str, tuple[dict[str, Any], str, str]] = {
    "yanked": ({"yanked": (Withdrawn(V_WANTED, "it eats orders"),)}, "YANKED", "it eats orders"),
    "retired": ({"retired": (Withdrawn(V_WANTED, "too old for us"),)}, "NOT_LISTED", "too old for us"),
    "floor": ({"floor": Version.parse("1.3.0")}, "BELOW_FLOOR", "1.3.0"),
    "jump": ({"intermediates": (Version.parse("1.1.5"),)}, "BELOW_SUPPORTED", "1.1.5"),
}


@pytest.mark.parametrize("name", RULED)
async def test_a_bundle_of_what_was_ruled_out(gap: AirGap, name: str) -> None:
    rules, code, says = RULED[name]
    gap.attacked.rule(1, **rules)
    await gap.refused(code, says)


async def test_a_bundle_of_a_revoked_release(gap: AirGap) -> None:
    sha256 = gap.attacked.releases.digests[f"{SHOP}/{WANTED}"]
    gap.attacked.rule(1, revoked=(Revoked(sha256, V_WANTED, "it is not ours"),))
    await gap.refused("DIGEST_REVOKED", "it is not ours")


async def test_an_older_bundle_takes_no_ruling_back(gap: AirGap) -> None:
    """What the newer one brought stays, over the way back to the older one, and without any server."""
    before = gap.bundle(WANTED)
    gap.attacked.rule(1, yanked=(Withdrawn(V_WANTED, "it eats orders"),))
    await gap.refused("YANKED", "it eats orders")
    await gap.refused("METADATA_ROLLBACK", "older", bundle=before)


async def test_a_person_goes_down_by_a_bundle_but_not_below_the_floor(gap: AirGap) -> None:
    gap.attacked.rule(1, floor=Version.parse(RUNS))
    await gap.refused("BELOW_FLOOR", RUNS, OLD)
    gap.attacked.rule(2, floor=Version.parse("0.1.0"))
    assert await gap.updates(gap.bundle(OLD), OLD) == 0, gap.person.out + gap.person.err
    assert gap.attacked.shop.seen()["version"] == OLD


async def test_a_floor_that_came_by_a_bundle_is_remembered_with_what_was_kept(gap: AirGap) -> None:
    gap.attacked.rule(1, floor=Version.parse(WANTED))
    assert await gap.updates(gap.bundle(WANTED)) == 0, gap.person.out + gap.person.err
    assert (gap.record().floor, gap.attacked.shop.seen()["version"]) == (WANTED, WANTED)


async def test_without_a_version_a_bundle_leads_to_the_required_stop_first(gap: AirGap) -> None:
    """1.2.0 is on the way to 1.3.0, which is not carried yet: it is the newest that may be taken."""
    gap.attacked.rule(1, intermediates=(V_WANTED,), floor=Version.parse("1.3.0"))
    assert await gap.updates(gap.bundle(WANTED)) == 0, gap.person.out + gap.person.err
    assert gap.record().current is not None
    assert gap.record().started_at is not None, "of the first installation: a stop counts as no update"
    assert gap.attacked.shop.seen()["version"] == WANTED


async def test_check_says_what_a_bundle_holds_against_what_runs(gap: AirGap) -> None:
    """And so do status and doctor, from this host's own files; nothing is stopped."""
    sha256 = gap.attacked.releases.digests[f"{SHOP}/{RUNS}"]
    bans = (Revoked(sha256, Version.parse(RUNS), "it is not ours"),)
    gap.attacked.rule(1, floor=V_WANTED, revoked=bans)
    exit_code, said = await gap.person.asks("check", SHOP, "--from", gap.bundle(WANTED))
    assert (exit_code, said["newest"], said["against"]) == (
        10,
        {SHOP: WANTED},
        {SHOP: ["DIGEST_REVOKED", "BELOW_FLOOR"]},
    )
    _exit, status = await gap.person.asks("status")
    (product,) = (one for one in status["products"] if one["product"] == SHOP)
    assert [note["code"] for note in product["against"]] == ["DIGEST_REVOKED", "BELOW_FLOOR"]
    await gap.person.runs("status")
    assert "shop DIGEST_REVOKED: 1.1.0 runs here, and was revoked: it is not ours" in gap.person.out
    gap.attacked.see_nothing_changed()


async def test_no_person_goes_back_to_a_revoked_version_before(gap: AirGap) -> None:
    """And whoever runs a revoked version is led away from it all the same."""
    sha256 = gap.attacked.releases.digests[f"{SHOP}/{RUNS}"]
    gap.attacked.rule(1, revoked=(Revoked(sha256, Version.parse(RUNS), "it is not ours"),))
    assert await gap.updates(gap.bundle(WANTED)) == 0, gap.person.out + gap.person.err
    assert await gap.person.runs("rollback", SHOP) == 21
    assert "DIGEST_REVOKED" in gap.person.out + gap.person.err
    assert gap.attacked.shop.seen()["version"] == WANTED
