"""A product's key that was stolen and exchanged: no list of before brings it back, whatever else has been exchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_common.trust.exchanged import GONE_MAX, ProductKeys, admit_keys, read_keys
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, TrustError
from fleetroll_publishing import repository as publishing
from fleetroll_publishing.roles import file_name, read_repository
from tests.faults import rulings
from tests.faults.repositories import Host, Repository, signer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_publishing.signers import RoleSigners

FOREIGN = publishing.TargetFile(1000, "e" * 64, {"product": "agent", "version": "6.6.6"})
PATH = "agent/6.6.6/linux-x86_64-cp311.tar.zst"


def exchanged(repository: Repository) -> tuple[dict[str, bytes], RoleSigners]:
    """Let the product get another key, since its own was stolen; return what was before, and the thief's keys."""
    before, stolen = repository.frozen(), repository.signers
    repository.files, repository.signers = rulings.rekeyed(
        repository.files, repository.signers, "agent", signer("agent second")
    )
    return before, stolen


def relisted(repository: Repository, before: Mapping[str, bytes], stolen: RoleSigners) -> None:
    """Show the list of before over what the stolen key signs, under the server's newest keys."""
    evil = {**before, **publishing.publish_targets(before, "agent", {PATH: FOREIGN}, stolen, repository.now)}
    shown = {**evil, **repository.files}
    for role in ("targets", "products/agent"):
        read = read_repository(evil)
        version = read.targets.version if role == "targets" else read.product("agent").version
        shown = rulings.listed(shown, repository.signers, role, version, evil[file_name(role, version)])
        shown[file_name(role, version)] = evil[file_name(role, version)]
    repository.shown = shown


def test_an_older_list_does_not_bring_it_back_after_the_online_keys_were_exchanged(
    host: Host, repository: Repository
) -> None:
    """Versions are forgotten with the snapshot's key; whoever sits on the server has the next one as well."""
    before, stolen = exchanged(repository)
    assert host.update() == ("1.0.0",)
    repository.rotate_online("second ")
    relisted(repository, before, stolen)
    for _ in range(2):
        with pytest.raises(FleetrollError, match="again that was exchanged") as caught:
            host.update()
        assert caught.value.code is Code.METADATA_ROLLBACK
        host.restart()
    repository.shown = None
    repository.rotate_online("third ")
    assert host.update() == ("1.0.0",)


def test_other_keys_of_targets_begin_anew() -> None:
    """Whoever stole those before named keys as he liked; the owner's are taken again."""
    named = {"products/agent": ("a",)}
    seen = admit_keys(admit_keys({}, named, "stolen"), {"products/agent": ("evil",)}, "stolen")
    with pytest.raises(TrustError, match="exchanged"):
        admit_keys(seen, named, "stolen")
    assert admit_keys(seen, named, "fresh") == {"products/agent": ProductKeys("fresh", ("a",))}


def test_what_stays_is_no_key_that_comes_back() -> None:
    """A second key is named, and taken out again: the first one was there all along."""
    seen: dict[str, ProductKeys] = {}
    for publics in (("a",), ("a", "b"), ("a",), ("a", "c")):
        seen = admit_keys(seen, {"products/agent": publics}, "t")
    assert seen["products/agent"] == ProductKeys("t", ("a", "c"), ("b",))
    assert read_keys({role: keys.to_record() for role, keys in seen.items()}) == seen


def test_a_product_that_is_named_no_more_keeps_its_memory() -> None:
    seen = admit_keys({}, {"products/agent": ("a",)}, "t")
    seen = admit_keys(seen, {"products/agent": ("b",)}, "t")
    seen = admit_keys(seen, {}, "t")
    with pytest.raises(TrustError, match="exchanged"):
        admit_keys(seen, {"products/agent": ("a",)}, "t")


def test_the_memory_has_a_bound() -> None:
    seen: dict[str, ProductKeys] = {}
    for number in range(GONE_MAX + 10):
        seen = admit_keys(seen, {"products/agent": (str(number),)}, "t")
    assert len(seen["products/agent"].gone) == GONE_MAX
