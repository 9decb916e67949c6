"""Platforms: what stands in paths."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.platform import Platform

parts = st.from_regex(r"[a-z0-9_]{1,24}", fullmatch=True).filter(lambda part: part != "any")
HOST = Platform("linux", "x86_64", "cp311")


@given(parts, parts, parts)
def test_both_spellings_are_read_and_one_is_written(os: str, arch: str, abi: str) -> None:
    platform = Platform(os, arch, abi)
    assert Platform.parse(str(platform)) == platform
    assert Platform.parse(f"{os}/{arch}/{abi}") == platform
    assert str(platform) == f"{os}-{arch}-{abi}"


@pytest.mark.parametrize("text", ["", "linux", "linux-x86_64-cp311-x", "linux--cp311", "a/b/c/d", "linux/", "any/"])
def test_other_than_two_or_three_parts_are_refused(text: str) -> None:
    """One word says too little, but for the one that means every platform."""
    with pytest.raises(RequestError):
        Platform.parse(text)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("linux/x86_64", "linux-x86_64-any"),
        ("linux/any", "linux-any-any"),
        ("any", "any-any-any"),
        ("any/any", "any-any-any"),
        ("any/any/any", "any-any-any"),
    ],
)
def test_what_an_artefact_does_not_depend_on_is_any(text: str, path: str) -> None:
    """Parts that are left out are any, and the path says so."""
    assert str(Platform.parse(text)) == path


@pytest.mark.parametrize("text", ["any/x86_64", "any/any/cp311", "linux/any/cp311", "any/x86_64/cp311"])
def test_nothing_stands_behind_any(text: str) -> None:
    """No host would look for such an artefact, so nobody can publish one."""
    with pytest.raises(RequestError) as caught:
        Platform.parse(text)
    assert caught.value.details == {"field": "platform"}


def test_a_host_looks_for_what_is_built_closest_to_it_first() -> None:
    """The order of the candidates is the order of preference."""
    found = [str(one) for one in HOST.candidates()]
    assert found == ["linux-x86_64-cp311", "linux-x86_64-any", "linux-any-any", "any-any-any"]


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("linux/x86_64/cp311", True),
        ("linux/x86_64", True),
        ("linux/any", True),
        ("any", True),
        ("linux/x86_64/cp312", False),
        ("linux/aarch64", False),
        ("darwin/any", False),
    ],
)
def test_an_artefact_covers_the_hosts_that_have_what_it_names(text: str, covered: bool) -> None:
    """Each named part has to be the host's own."""
    assert Platform.parse(text).covers(HOST) is covered


def test_a_host_that_told_nothing_is_covered_by_nothing_but_any() -> None:
    """What a host tells may be any text: it makes no error."""
    assert Platform.said("", "", "") is None
    assert Platform.said("any", "x86_64", "cp311") is None
    assert Platform("any", "any", "any").candidates() == (Platform.parse("any"),)
    assert Platform.said("linux", "x86_64", "cp311") == HOST


@pytest.mark.parametrize(("text", "whole"), [("linux/x86_64/cp311", True), ("linux/x86_64", False), ("any", False)])
def test_a_whole_platform_names_every_part(text: str, whole: bool) -> None:
    """The agent's own artefact needs all three."""
    assert Platform.parse(text).is_whole is whole


@pytest.mark.parametrize("part", ["", "Linux", "x86-64", "..", "a b", "a\n", "ä", "a" * 25, "a/b"])
def test_a_part_that_could_not_stand_in_a_path_is_refused_by_its_name(part: str) -> None:
    for place, name in enumerate(("os", "arch", "abi")):
        values = ["linux", "x86_64", "cp311"]
        values[place] = part
        with pytest.raises(RequestError) as caught:
            Platform(*values)
        assert caught.value.details == {"field": name}


def test_the_running_interpreter_names_its_own_interface() -> None:
    assert Platform.current().abi == f"cp{sys.version_info.major}{sys.version_info.minor}"


@pytest.mark.parametrize(("machine", "arch"), [("AMD64", "x86_64"), ("arm64", "aarch64"), ("x86_64", "x86_64")])
def test_two_names_of_one_processor_are_one(monkeypatch: pytest.MonkeyPatch, machine: str, arch: str) -> None:
    monkeypatch.setattr("fleetroll_common.values.platform.host_platform.machine", lambda: machine)
    assert Platform.current().arch == arch
