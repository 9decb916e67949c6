"""Releases that are signed and must not be begun all the same; a thief of every online key orders them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.values.product_policy import Revoked, Withdrawn
from fleetroll_common.values.version import Version
from tests.attacks.named.scene import OLD, SHOP, V_WANTED, WANTED, Scene, Stock, Tally, scene
from tests.faults import rulings

if TYPE_CHECKING:
    from pathlib import Path


def path_of(attacked: Scene, version: str = WANTED) -> str:
    return next(path for path in attacked.releases.artefacts if path.startswith(f"{SHOP}/{version}/"))


def relisted(attacked: Scene, here: str, there: str, **changes: Any) -> None:
    """Let the product's key list an entry under another path, or describe it otherwise."""

    def change(role: Any) -> None:
        entry = role.targets.pop(here)
        entry.path = there
        entry.unrecognized_fields["custom"] = entry.unrecognized_fields["custom"] | changes
        role.targets[there] = entry

    attacked.files = rulings.resigned(attacked.files, attacked.releases.signers, f"products/{SHOP}", change)


async def test_wrong_product(attacked: Scene) -> None:
    """Another product's role, artefact or description in the shop's place."""
    honest, signers = attacked.files, attacked.releases.signers
    here = path_of(attacked)
    relisted(attacked, here, here, product="agent")
    await attacked.refused("WRONG_PRODUCT")
    relisted(attacked, here, here.replace(SHOP, "agent", 1), product=SHOP)
    await attacked.refused("WRONG_PRODUCT", "outside")
    agents = next(data for name, data in sorted(honest.items(), reverse=True) if name.endswith("products%2Fagent.json"))
    attacked.files = rulings.listed(attacked.files, signers, f"products/{SHOP}", 9, agents)
    await attacked.refused("UNSIGNED", f"products/{SHOP}")


async def test_wrong_platform(attacked: Scene) -> None:
    """Signed for other hosts alone; signed for this one and described as another's; another one's bytes."""
    here = path_of(attacked)
    there = here.replace("any-any-any", "plan9-mips-any")
    relisted(attacked, here, there, os="plan9", arch="mips")
    await attacked.refused("WRONG_PLATFORM", "signed for other platforms")
    relisted(attacked, there, here)
    await attacked.refused("WRONG_PLATFORM", "is described as one for plan9")


async def test_listed_but_old_release(attacked: Scene) -> None:
    """Below the floor; and without a floor below what this host has kept."""
    await attacked.refused("NOT_ALLOWED", "below 1.1.0", version=OLD)
    attacked.rule(1, floor=Version.parse("1.3.0"))
    await attacked.refused("BELOW_FLOOR", "1.3.0")
    attacked.rule(2, floor=Version.parse("1.1.0"))
    await attacked.refused("BELOW_FLOOR", "1.1.0", version=OLD)
    await attacked.refused("BELOW_FLOOR", version=OLD, override_local=True, retry_bad=True)


async def test_a_jump_over_a_required_version(attacked: Scene) -> None:
    attacked.rule(1, intermediates=(Version.parse("1.1.5"),))
    await attacked.refused("BELOW_SUPPORTED", "1.1.5")


async def test_yanked(attacked: Scene) -> None:
    """Listed still, and taken off the list: the publisher's own reason is told."""
    attacked.rule(1, yanked=(Withdrawn(V_WANTED, "it eats orders"),))
    await attacked.refused("YANKED", "it eats orders")
    attacked.files = rulings.unlisted(attacked.files, attacked.releases.signers, SHOP, path_of(attacked))
    await attacked.refused("YANKED", "it eats orders")
    attacked.rule(2, retired=(Withdrawn(V_WANTED, "too old for us"),))
    await attacked.refused("NOT_LISTED", "retired by its publisher: too old for us")


async def test_yanked_between_staging_and_the_permit(attacked: Scene) -> None:
    """The thief says nothing of newer metadata, and gives the permit: the last look finds it."""
    attacked.server.script.grant = False
    generation = attacked.assign()
    await attacked.server.until(lambda: "STAGED" in attacked.server.states(generation, SHOP))
    attacked.rule(1, yanked=(Withdrawn(V_WANTED, "it eats orders"),))
    assert attacked.host.daemon is not None
    keeper = attacked.host.daemon._desk._seats[SHOP].keeper
    keeper._clock = _Later(keeper._clock, 30)
    attacked.server.script.grant = True
    await attacked.server.until(lambda: attacked.server.result(generation, SHOP), 60)
    attacked.ended(generation, "YANKED", "it eats orders")


class _Later:
    """A clock whose boot is older: so long ago was the release looked up."""

    def __init__(self, clock: Any, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)

    def boottime(self) -> float:
        return float(self._clock.boottime() + self._seconds)


async def test_revoked(attacked: Scene) -> None:
    sha256 = attacked.releases.digests[f"{SHOP}/{WANTED}"]
    attacked.rule(1, revoked=(Revoked(sha256, V_WANTED, "it is not ours"),))
    await attacked.refused("DIGEST_REVOKED", "it is not ours")


async def test_what_runs_is_revoked_and_goes_on_running(attacked: Scene) -> None:
    """A revocation stops nothing by itself: the next hello says it, and the host can still be led away from it."""
    sha256 = attacked.releases.digests[f"{SHOP}/1.1.0"]
    attacked.rule(1, revoked=(Revoked(sha256, Version.parse("1.1.0"), "it is not ours"),), floor=V_WANTED)
    sessions = len(attacked.server.sessions)
    attacked.server.session.send(metadata_notice={"timestamp_version": 10**6})
    await attacked.server.until(lambda: len(attacked.server.sessions) > sessions, 30)
    (shown,) = (one for one in attacked.server.session.hello.products if one.product == SHOP)
    assert "DIGEST_REVOKED" in shown.note
    assert "it is not ours" in shown.note
    assert "BELOW_FLOOR" in shown.note
    attacked.see_nothing_changed()
    await attacked.installs()


async def test_channel_not_allowed(stock: Stock, tmp_path: Path, tally: Tally) -> None:
    """Whatever channels a release is in: the host's own file says which it takes."""

    def stable(text: str) -> str:
        return text.replace("[products.shop]\n", '[products.shop]\nallowed_channels = ["stable"]\n')

    async with scene(stock, tmp_path, tally, stable) as attacked:
        here = path_of(attacked)
        relisted(attacked, here, here, channels=["beta", "evil"])
        await attacked.refused("CHANNEL_NOT_ALLOWED", "stable")


async def test_artefact_swapped_after_verification(attacked: Scene) -> None:
    """Somebody on the host changes what was staged, before the permit is used: it is compared once more."""
    attacked.server.script.grant = False
    generation = attacked.assign()
    await attacked.server.until(lambda: "STAGED" in attacked.server.states(generation, SHOP))
    file = attacked.staged_slot() / "shop.py"
    file.parent.chmod(0o755)
    file.chmod(0o644)
    file.write_text("print('evil')\n")
    attacked.server.script.grant = True
    await attacked.server.until(lambda: attacked.server.result(generation, SHOP))
    attacked.before["started"] = attacked.untouched()["started"]  # it was begun, and ended at its first step
    assert set(attacked.before["started"]) == {"check"}
    attacked.ended(generation, "WRONG_HASH", "changed after it was staged")
    assert (await asyncio.to_thread(attacked.shop.page))["version"] == "1.1.0"


@pytest.mark.parametrize("product", ["agent"])
async def test_the_agent_itself_is_no_exception(attacked: Scene, product: str) -> None:
    """Its own releases go by the same rules."""
    version = Version.parse("1.1.0")
    sha256 = attacked.releases.digests["agent/1.1.0"]
    attacked.rule(1, product, floor=Version.parse("2.0.0"))
    await attacked.refused("BELOW_FLOOR", "2.0.0", "1.1.0", product)
    attacked.rule(2, product, yanked=(Withdrawn(version, "it forgets its key"),))
    await attacked.refused("YANKED", "it forgets its key", "1.1.0", product)
    attacked.rule(3, product, revoked=(Revoked(sha256, version, "not ours"),))
    await attacked.refused("DIGEST_REVOKED", "not ours", "1.1.0", product)
