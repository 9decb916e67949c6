"""Documents that change in place: their serial only rises, under whichever keys sign them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_common.durable import dump_record, load_record
from fleetroll_common.trust.floor import FLOOR_NAME, Floor, Serial, admit_serial
from fleetroll_common.values.anchors import ANCHORS_PATH, Anchors
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import TrustError
from fleetroll_common.values.product_policy import ProductPolicy, policy_path
from fleetroll_common.values.version import Version
from tests.common.values.test_anchors import FIRST
from tests.faults import rulings
from tests.faults.repositories import Host, Repository, role_signers

if TYPE_CHECKING:
    from pathlib import Path

PATH = policy_path("shop")
FLOOR = Floor("a" * 64, serials={PATH: Serial(5, "keys"), ANCHORS_PATH: Serial(2, "others")})
TWO = Version(2, 0, 0)


@pytest.fixture
def repository() -> Repository:
    return Repository(("agent", "shop"))


@pytest.fixture
def host(tmp_path: Path, repository: Repository) -> Host:
    return Host(tmp_path, repository)


def rule(repository: Repository, serial: int, product: str = "shop") -> None:
    repository.files = rulings.ruled(repository.files, repository.signers, ProductPolicy(product, serial, floor=TWO))


@pytest.mark.parametrize("number", [0, 1, 4])
def test_a_lower_serial_is_refused_and_so_is_none(number: int) -> None:
    with pytest.raises(TrustError) as caught:
        admit_serial(FLOOR, PATH, number, "keys")
    assert caught.value.code is Code.METADATA_ROLLBACK
    assert caught.value.details == {"role": PATH, "seen": "5", "offered": str(number)}


@pytest.mark.parametrize("number", [5, 6])
def test_the_same_and_a_higher_one_are_taken(number: int) -> None:
    after = admit_serial(FLOOR, PATH, number, "keys").serials
    assert after == {PATH: Serial(number, "keys"), ANCHORS_PATH: Serial(2, "others")}


@pytest.mark.parametrize("number", [1, 9])
def test_what_other_keys_have_signed_is_forgotten(number: int) -> None:
    assert admit_serial(FLOOR, PATH, number, "fresh").serials[PATH] == Serial(number, "fresh")
    assert PATH not in admit_serial(FLOOR, PATH, 0, "fresh").serials


def test_a_host_is_told_what_is_ruled_beside_what_is_listed(host: Host, repository: Repository) -> None:
    assert host.client.ruled("shop").policy is None
    rule(repository, 1)
    host.client.refresh()
    offered = host.client.ruled("shop")
    assert offered.policy == ProductPolicy("shop", 1, floor=TWO)
    assert [target.path for target in offered.targets][-1] == PATH
    assert host.client.ruled("agent").policy is None


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("serial", [2, 0])
def test_an_older_policy_is_refused_and_so_is_one_that_is_gone(
    host: Host, repository: Repository, serial: int, *, restart: bool
) -> None:
    """By the product's own key: whoever has stolen that one alone takes no floor away."""
    rule(repository, 3)
    host.update("shop")
    if serial:
        rule(repository, serial)
    else:
        repository.files = rulings.unlisted(repository.files, repository.signers, "shop", PATH)
    if restart:
        host.restart()
    host.client.refresh()
    with pytest.raises(TrustError) as caught:
        host.client.ruled("shop")
    assert caught.value.code is Code.METADATA_ROLLBACK
    assert caught.value.details["seen"] == "3"
    assert host.versions("agent") == ("1.0.0",), "no other product is blocked"
    rule(repository, 4)
    host.client.refresh()
    assert host.client.ruled("shop").policy.serial == 4


def test_a_new_key_of_the_product_begins_anew(host: Host, repository: Repository) -> None:
    """A thief's astronomic serial is no lasting harm."""
    rule(repository, 10**12)
    host.update("shop")
    fresh = role_signers(("shop",), "second ").of("products/shop")
    repository.files, repository.signers = rulings.rekeyed(repository.files, repository.signers, "shop", fresh)
    rule(repository, 1)
    host.client.refresh()
    assert host.client.ruled("shop").policy.serial == 1


def test_the_policy_of_another_product_voids_the_role(host: Host, repository: Repository) -> None:
    foreign = rulings.in_place(PATH, ProductPolicy("agent", 1).to_json())
    change = lambda role: role.targets.update({PATH: foreign})  # noqa: E731 (one change)
    repository.files = rulings.resigned(repository.files, repository.signers, "products/shop", change)
    assert _refused(host).code is Code.WRONG_PRODUCT


def test_a_policy_that_cant_be_read_voids_the_role(host: Host, repository: Repository) -> None:
    broken = rulings.in_place(PATH, {**ProductPolicy("shop", 1).to_json(), "floor": "two"})
    change = lambda role: role.targets.update({PATH: broken})  # noqa: E731 (one change)
    repository.files = rulings.resigned(repository.files, repository.signers, "products/shop", change)
    error = _refused(host)
    assert error.code is Code.METADATA_INVALID
    assert "floor" in error.message


def test_anchors_only_rise_too(host: Host, repository: Repository) -> None:
    assert host.client.anchors() is None
    for serial in (1, 4):
        anchors = Anchors(serial, ("fleet.example:7443",), (FIRST,))
        repository.files = rulings.anchored(repository.files, repository.signers, anchors.to_json())
        host.client.refresh()
        found = host.client.anchors()
        assert found is not None
        assert found.anchors == anchors
    for document in (Anchors(3, ("evil.example:1",), (FIRST,)).to_json(), None):
        shown = rulings.anchored(repository.files, repository.signers, document)
        repository.files = shown
        host.restart()
        host.client.refresh()
        with pytest.raises(TrustError) as caught:
            host.client.anchors()
        assert caught.value.code is Code.METADATA_ROLLBACK


def test_a_record_of_an_earlier_program_has_no_serials_and_is_read(host: Host, repository: Repository) -> None:
    host.update("shop")
    path = host.folder / FLOOR_NAME
    record = load_record(path.read_bytes())
    assert record.pop("serials") == {}
    path.write_bytes(dump_record(record))
    host.restart()
    rule(repository, 2)
    host.update("shop")
    assert load_record(path.read_bytes())["serials"][PATH]["serial"] == 2


@pytest.mark.parametrize(
    "serials", [[], {PATH: 3}, {PATH: {"serial": 0, "keys": "k"}}, {PATH: {"serial": True, "keys": "k"}}, {PATH: {}}]
)
def test_a_record_with_wrong_serials_is_damaged(host: Host, serials: object) -> None:
    host.update("shop")
    path = host.folder / FLOOR_NAME
    record = {**load_record(path.read_bytes()), "serials": serials}
    path.write_bytes(dump_record(record))
    host.restart()
    with pytest.raises(TrustError) as caught:
        host.update("shop")
    assert caught.value.code is Code.STORE_FAILED


def _refused(host: Host) -> TrustError:
    host.client.refresh()
    with pytest.raises(TrustError) as caught:
        host.client.ruled("shop")
    return caught.value
