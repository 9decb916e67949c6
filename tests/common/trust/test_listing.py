"""Reading a product's role: order, and what makes the whole of it void."""

from __future__ import annotations

from typing import Any

import pytest

from fleetroll_common.trust.library import DelegatedRole, TargetFile, Targets
from fleetroll_common.trust.listing import ListedTarget, product_of, read_listing, role_name
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import TrustError

SHA = "ab" * 32
DELEGATION = DelegatedRole("products/agent", ["id"], 1, terminating=True, paths=["agent/*/*"])


def role(*targets: TargetFile) -> Targets:
    return Targets(targets={target.path: target for target in targets})


def target(path: str, sha256: str = SHA, length: int = 3, custom: Any = None) -> TargetFile:
    return TargetFile(length, {"sha256": sha256}, path, {} if custom is None else {"custom": custom})


def test_newest_first_by_the_order_of_versions_and_the_rest_at_the_end() -> None:
    versions = ["1.9.0", "policy", "1.10.0", "1.10.0-rc.1", "0.0.1"]
    listed = read_listing("agent", role(*(target(f"agent/{version}/x") for version in versions)), DELEGATION)
    assert [item.path.split("/")[1] for item in listed] == ["1.10.0", "1.10.0-rc.1", "1.9.0", "0.0.1", "policy"]


def test_platforms_of_one_version_stand_in_the_order_of_their_paths() -> None:
    listed = read_listing("agent", role(target("agent/1.0.0/b"), target("agent/1.0.0/a")), DELEGATION)
    assert [item.path for item in listed] == ["agent/1.0.0/a", "agent/1.0.0/b"]


def test_the_description_is_given_as_it_was_signed() -> None:
    custom = {"product": "agent", "version": "1.0.0", "channels": ["stable"]}
    listed = read_listing("agent", role(target("agent/1.0.0/x", custom=custom)), DELEGATION)
    assert listed == (ListedTarget("agent/1.0.0/x", 3, SHA, custom),)


def test_an_entry_without_description_has_an_empty_one() -> None:
    assert read_listing("agent", role(target("agent/1.0.0/x")), DELEGATION)[0].custom == {}


def test_an_empty_role_lists_nothing() -> None:
    assert read_listing("agent", role(), DELEGATION) == ()


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (target("shop/1.0.0/x"), Code.WRONG_PRODUCT),
        (target("agent/x"), Code.WRONG_PRODUCT),
        (target("agent/1.0.0/x/y"), Code.WRONG_PRODUCT),
        (target("agent/1.0.0/x", custom={"product": "shop"}), Code.WRONG_PRODUCT),
        (target("agent/1.0.0/x", custom={"version": "2.0.0"}), Code.METADATA_INVALID),
        (target("agent/1.0.0/x", custom=["text"]), Code.METADATA_INVALID),
        (target("agent/1.0.0/x", sha256="AB" * 32), Code.METADATA_INVALID),
        (target("agent/1.0.0/x", length=0), Code.METADATA_INVALID),
        (target("agent/1.0.0/x", length=True), Code.METADATA_INVALID),
        (TargetFile(3, {"sha512": SHA}, "agent/1.0.0/x"), Code.METADATA_INVALID),
    ],
)
def test_one_wrong_entry_makes_the_whole_role_void(bad: TargetFile, code: Code) -> None:
    with pytest.raises(TrustError) as caught:
        read_listing("agent", role(target("agent/0.9.0/x"), bad), DELEGATION)
    assert caught.value.code is code
    assert caught.value.details["path"] == bad.path


def test_the_first_part_of_a_path_is_its_product() -> None:
    assert product_of("agent/1.0.0/x") == "agent"
    assert role_name("agent") == "products/agent"
