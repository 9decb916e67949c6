"""Platforms: what stands in paths."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.platform import Platform

parts = st.from_regex(r"[a-z0-9_]{1,24}", fullmatch=True)


@given(parts, parts, parts)
def test_both_spellings_are_read_and_one_is_written(os: str, arch: str, abi: str) -> None:
    platform = Platform(os, arch, abi)
    assert Platform.parse(str(platform)) == platform
    assert Platform.parse(f"{os}/{arch}/{abi}") == platform
    assert str(platform) == f"{os}-{arch}-{abi}"


@pytest.mark.parametrize("text", ["", "linux", "linux-x86_64", "linux-x86_64-cp311-x", "linux--cp311", "a/b/c/d"])
def test_other_than_three_parts_are_refused(text: str) -> None:
    with pytest.raises(RequestError):
        Platform.parse(text)


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
