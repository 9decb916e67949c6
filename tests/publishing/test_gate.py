"""The publish gate: a role signed elsewhere, held against the listed one; a repository seen as a host sees it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.trust import limits
from fleetroll_common.trust.library import TargetFile
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, RequestError, TrustError
from fleetroll_common.values.manifest_custom import ManifestCustom
from fleetroll_common.values.version import Version
from fleetroll_publishing import repository as building
from fleetroll_publishing.gate import check_product, check_repository
from fleetroll_publishing.roles import read_repository, sign_role
from tests.faults.repositories import START, Repository, entry, path_of, role_signers, signer

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_common.trust.library import Signer

FILES = Repository().files


def candidate(change: Callable[[Any], object], by: Signer | None = None, version: int = 3) -> bytes:
    """Return the product's next role as another publisher made it, bent by ``change``."""
    role = read_repository(FILES).product("agent")
    role.version, role.expires = version, START + timedelta(days=300)
    change(role)
    return sign_role(role, [by or signer("products/agent")])


def add(role: Any, path: str = path_of("1.1.0"), custom: dict[str, Any] | None = None) -> None:
    role.targets[path] = TargetFile(7, {"sha256": "0" * 64}, path, {"custom": custom or {}})


def test_a_well_made_role_passes_and_can_be_sealed() -> None:
    role = check_product(FILES, "agent", candidate(add), START)
    assert sorted(role.targets) == [path_of("1.0.0"), path_of("1.1.0")]
    new = building.seal_product(FILES, "agent", candidate(add), role_signers(), START)
    assert list(new) == ["3.products%2Fagent.json", "3.snapshot.json", "timestamp.json"]


def test_channels_may_change_by_a_new_signature() -> None:
    """Else nothing could be promoted."""
    data = candidate(lambda role: _custom(role).update(channels=["beta", "stable"]))
    assert check_product(FILES, "agent", data, START).version == 3


def _custom(role: Any) -> dict[str, Any]:
    custom: dict[str, Any] = role.targets[path_of("1.0.0")].unrecognized_fields["custom"]
    return custom


def said_of(platform: str, version: str = "1.1.0") -> dict[str, Any]:
    return {
        "product": "agent",
        "version": version,
        **dict(zip(("os", "arch", "abi"), platform.split("-"), strict=True)),
    }


@pytest.mark.parametrize(
    ("path", "custom"),
    [
        ("agent/1.1.0/linux-x86_64-cp312.tar.zst", said_of("linux-x86_64-cp311")),
        ("agent/1.1.0/linux-x86_64-cp311.tar.gz", said_of("linux-x86_64-cp311")),
    ],
)
def test_a_file_whose_description_has_another_place_is_refused_by_name(path: str, custom: dict[str, Any]) -> None:
    """So no two files are for one platform, and none hides where no host looks."""
    with pytest.raises(RequestError) as caught:
        check_product(FILES, "agent", candidate(lambda role: add(role, path, custom)), START)
    assert (caught.value.code, path in caught.value.message) == (Code.INVALID_ARGUMENT, True)
    right = path_of("1.1.0")
    role = check_product(FILES, "agent", candidate(lambda role: add(role, right, said_of("linux-x86_64-cp311"))), START)
    assert right in role.targets


def drop(role: Any) -> None:
    del role.targets[path_of("1.0.0")]


def other_bytes(role: Any) -> None:
    role.targets[path_of("1.0.0")].hashes = {"sha256": "0" * 64}


def other_length(role: Any) -> None:
    role.targets[path_of("1.0.0")].length += 1


def other_words(role: Any) -> None:
    _custom(role)["git_sha"] = "0" * 40


@pytest.mark.parametrize("change", [drop, other_bytes, other_length, other_words])
def test_what_is_listed_neither_vanishes_nor_changes(change: Callable[[Any], object]) -> None:
    with pytest.raises(RequestError) as caught:
        check_product(FILES, "agent", candidate(change), START)
    assert caught.value.code is Code.CONFLICT
    assert path_of("1.0.0") in caught.value.message


@pytest.mark.parametrize("version", [1, 2, 4, 2**40])
def test_of_two_publishers_one_is_told_to_try_again(version: int) -> None:
    with pytest.raises(RequestError) as caught:
        check_product(FILES, "agent", candidate(add, version=version), START)
    assert caught.value.code is Code.CONFLICT
    assert "try again" in caught.value.remedy


@pytest.mark.parametrize("days", [-1, 0, 0.5, 401, 36_500])
def test_a_life_time_that_is_not_sane_is_refused(days: float) -> None:
    def set_expiry(role: Any) -> None:
        role.expires = START + timedelta(days=days)

    with pytest.raises(RequestError) as caught:
        check_product(FILES, "agent", candidate(set_expiry), START)
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("name", ["targets", "snapshot", "products/shop", "root-0"])
def test_only_the_delegated_key_signs(name: str) -> None:
    with pytest.raises(TrustError) as caught:
        check_product(FILES, "agent", candidate(add, by=signer(name)), START)
    assert caught.value.code is Code.UNSIGNED


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda role: add(role, path_of("1.0.0", "shop")), Code.WRONG_PRODUCT),
        (lambda role: add(role, "agent/x"), Code.WRONG_PRODUCT),
        (lambda role: add(role, custom={"product": "shop"}), Code.WRONG_PRODUCT),
        (lambda role: add(role, custom={"version": "9.9.9"}), Code.METADATA_INVALID),
        (lambda role: add(role, custom={"x": "y" * limits.TARGETS_BYTES_MAX}), Code.METADATA_ENDLESS),
    ],
)
def test_what_hosts_would_refuse_is_not_listed(change: Callable[[Any], object], code: Code) -> None:
    with pytest.raises(TrustError) as caught:
        check_product(FILES, "agent", candidate(change), START)
    assert caught.value.code is code


@pytest.mark.parametrize("data", [b"", b"{}", FILES["timestamp.json"], FILES["1.root.json"], b"x" * 100])
def test_what_is_no_role_is_refused(data: bytes) -> None:
    with pytest.raises(TrustError) as caught:
        check_product(FILES, "agent", data, START)
    assert caught.value.code in {Code.METADATA_INVALID, Code.UNSIGNED}


def test_an_unknown_product_is_the_callers_fault() -> None:
    with pytest.raises(RequestError) as caught:
        check_product(FILES, "shop", candidate(add), START)
    assert caught.value.code is Code.NOT_FOUND


def test_a_refused_role_leaves_nothing_behind() -> None:
    before = dict(FILES)
    with pytest.raises(FleetrollError):
        building.seal_product(FILES, "agent", candidate(drop), role_signers(), START)
    assert before == FILES


def test_a_repository_in_order_passes() -> None:
    repository = Repository(("agent", "shop"))
    repository.rotate_online("second ")
    check_repository(repository.files)


@pytest.mark.parametrize(
    "name", ["1.root.json", "timestamp.json", "2.snapshot.json", "1.targets.json", "2.products%2Fagent.json"]
)
def test_a_changed_byte_in_any_file_is_found(name: str) -> None:
    for position in range(0, len(FILES[name]), 97):
        data = bytearray(FILES[name])
        data[position] ^= 1
        with pytest.raises(FleetrollError):
            check_repository({**FILES, name: bytes(data)})


def test_a_file_of_another_time_is_found() -> None:
    twin = Repository()
    twin.publish("1.9.0")
    repository = Repository()
    repository.publish("1.1.0")
    for name in ("3.snapshot.json", "3.products%2Fagent.json"):
        with pytest.raises(TrustError) as caught:
            check_repository({**repository.files, name: twin.files[name]})
        assert caught.value.code is Code.METADATA_MIXED


@pytest.mark.parametrize("bend", ["gap", "twice", "foreign"])
def test_a_broken_chain_of_roots_is_found(bend: str) -> None:
    repository = Repository()
    repository.rotate_online("second ")
    repository.rotate_online("third ")
    files = repository.frozen()
    if bend == "gap":
        del files["2.root.json"]
    elif bend == "twice":
        files["2.root.json"] = files["1.root.json"]
    else:
        foreign = Repository(prefix="foreign ")
        foreign.rotate_online("second ")
        files["2.root.json"] = foreign.files["2.root.json"]
    with pytest.raises(TrustError) as caught:
        check_repository(files)
    assert caught.value.code in {Code.METADATA_MIXED, Code.UNSIGNED}
    assert caught.value.details["role"] == "root"


def test_a_repository_without_roots_is_refused() -> None:
    files = {name: data for name, data in FILES.items() if not name.endswith("root.json")}
    with pytest.raises(FleetrollError):
        check_repository(files)


def test_now_may_be_in_any_zone() -> None:
    """Callers keep aware times; which zone they are written in is their affair."""
    elsewhere = datetime.fromisoformat("2026-03-01T14:00:00+02:00")
    assert elsewhere == START
    new = building.publish_targets(FILES, "agent", {path_of("1.1.0"): entry("1.1.0")}, role_signers(), elsewhere)
    assert read_repository(FILES | new).snapshot.expires == START + timedelta(days=7)


MANIFEST_CUSTOM = ManifestCustom(
    "agent", Version.parse("1.1.0"), ("stable",), "0123456", 1, migrations_required=False, breaking_changes=None,
    released_at=START,
).to_json()  # fmt: skip


def test_a_release_manifest_that_is_described_as_one_passes() -> None:
    """Under the one name that such files have."""
    data = candidate(lambda role: add(role, "agent/1.1.0/manifest.json", MANIFEST_CUSTOM))
    assert "agent/1.1.0/manifest.json" in check_product(FILES, "agent", data, START).targets


@pytest.mark.parametrize(
    ("path", "custom"),
    [
        ("agent/1.1.0/manifest.json", {}),
        ("agent/1.1.0/manifest.json", {"kind": "artefact"}),
        ("agent/1.1.0/manifest.json", {"kind": "manifest"}),
        ("agent/1.1.0/manifest.json", MANIFEST_CUSTOM | {"migrations_required": 1}),
        ("agent/1.1.0/manifest.json", MANIFEST_CUSTOM | {"kind": "pack"}),
        ("agent/1.1.0/any-any-any.tar.zst", MANIFEST_CUSTOM),
        ("agent/1.1.0/any-any-any.tar.zst", {"kind": "pack"}),
    ],
)
def test_a_manifest_under_another_name_or_another_file_under_its_name_is_refused(
    path: str, custom: dict[str, Any]
) -> None:
    """Hosts compute the path and do with it what stands there: both ends of publishing refuse it."""
    with pytest.raises(RequestError) as caught:
        check_product(FILES, "agent", candidate(lambda role: add(role, path, custom)), START)
    assert caught.value.code is Code.INVALID_ARGUMENT
    target = building.TargetFile(7, "0" * 64, custom)
    with pytest.raises(RequestError) as caught:
        building.publish_targets(FILES, "agent", {path: target}, role_signers(), START)
    assert caught.value.details["field"].startswith("custom.")
