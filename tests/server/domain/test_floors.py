"""Whom a floor leaves without a way up: by artefacts, by what releases update, and by what hosts have to pass."""

from __future__ import annotations

import pytest

from fleetroll_common.values.platform import Platform
from fleetroll_common.values.product_policy import ProductPolicy
from fleetroll_common.values.version import Version
from fleetroll_server.domain.floors import Rung, no_way_up

V = Version.parse
LINUX, ARM, ANY = Platform("linux", "x86_64", "any"), Platform("linux", "arm64", "any"), Platform("any", "any", "any")


def why(
    running: str, floor: str, rungs: dict[str, tuple[Platform, str]], *passed: str, on: Platform | None = LINUX
) -> str:
    policy = ProductPolicy("shop", 1, V(floor), tuple(V(one) for one in passed))
    known = {
        V(version): Rung(frozenset({platform}), V(supported) if supported else None)
        for version, (platform, supported) in rungs.items()
    }
    return no_way_up(V(running), on, known, policy)


@pytest.mark.parametrize(
    ("running", "floor", "rungs", "passed"),
    [
        ("1.0.0", "2.0.0", {"2.0.0": (LINUX, "")}, ()),
        ("1.0.0", "2.0.0", {"2.1.0": (ANY, "1.0.0")}, ()),
        ("2.0.0", "2.0.0", {}, ()),
        ("3.0.0", "2.0.0", {}, ()),
        ("1.0.0", "3.0.0", {"2.0.0": (LINUX, "1.0.0"), "3.0.0": (LINUX, "2.0.0")}, ("2.0.0",)),
        ("1.0.0", "2.0.0", {"2.0.0": (LINUX, "1.5.0"), "3.0.0": (LINUX, "")}, ()),
        ("1.0.0", "2.0.0", {"2.0.0": (LINUX, "")}, ("3.0.0",)),
        ("1.0.0", "2.0.0", {"2.0.0": (LINUX, "")}, ("0.9.0",)),
    ],
)
def test_a_way_leads_up(
    running: str, floor: str, rungs: dict[str, tuple[Platform, str]], passed: tuple[str, ...]
) -> None:
    assert why(running, floor, rungs, *passed) == ""


@pytest.mark.parametrize(
    ("rungs", "passed", "says"),
    [
        ({}, (), "nothing at or above 3.0.0"),
        ({"2.9.0": (LINUX, "")}, (), "nothing at or above 3.0.0"),
        ({"3.0.0": (ARM, "")}, (), "nothing at or above 3.0.0 is listed for linux-x86_64-any"),
        ({"3.0.0": (LINUX, "2.0.0")}, (), "updates nothing below 2.0.0, and no intermediate leads there"),
        ({"2.0.0": (LINUX, "1.0.0"), "3.0.0": (LINUX, "2.0.0")}, (), "no intermediate leads there from 1.0.0"),
        ({"2.0.0": (ARM, ""), "3.0.0": (LINUX, "")}, ("2.0.0",), "2.0.0 is required before 3.0.0, and not listed for"),
        ({"3.0.0": (LINUX, "")}, ("2.0.0",), "2.0.0 is required before 3.0.0"),
        ({"2.0.0": (LINUX, "1.5.0"), "3.0.0": (LINUX, "")}, ("2.0.0",), "2.0.0 updates nothing below 1.5.0"),
    ],
)
def test_no_way_leads_up_and_it_says_why(
    rungs: dict[str, tuple[Platform, str]], passed: tuple[str, ...], says: str
) -> None:
    assert says in why("1.0.0", "3.0.0", rungs, *passed)


def test_a_host_that_says_no_platform_is_stranded() -> None:
    """Nobody can say what would run there."""
    assert why("1.0.0", "3.0.0", {"3.0.0": (ANY, "")}, on=None) == "its platform is not known"


def test_without_a_floor_nobody_is() -> None:
    assert no_way_up(V("1.0.0"), LINUX, {}, ProductPolicy("shop", 1)) == ""
