"""Each marker of a container is found by itself, and reported by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.containers import container_marker

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give the files of a host that is no container."""
    (tmp_path / "run").mkdir()
    (tmp_path / "proc" / "1").mkdir(parents=True)
    (tmp_path / "proc" / "1" / "environ").write_bytes(b"HOME=/\0mycontainer=no\0container_x=1\0")
    return tmp_path


def test_a_host_without_any_marker_is_no_container(root: Path) -> None:
    """Names that merely hold a marker's are none."""
    assert container_marker({"PATH": "/bin", "KUBERNETES_SERVICE_PORT": "1"}, root) == ""


@pytest.mark.parametrize(
    ("environ", "marker"),
    [
        ({"FLEETROLL_DISABLE_SELFUPDATE": "1"}, "FLEETROLL_DISABLE_SELFUPDATE=1"),
        ({"FLEETROLL_DISABLE_SELFUPDATE": "0"}, ""),
        ({"FLEETROLL_DISABLE_SELFUPDATE": ""}, ""),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "KUBERNETES_SERVICE_HOST"),
        ({"KUBERNETES_SERVICE_HOST": ""}, ""),
    ],
)
def test_a_variable_of_this_process_is_a_marker(root: Path, environ: dict[str, str], marker: str) -> None:
    """The switch is on with 1 alone; of a pod any address says so."""
    assert container_marker(environ, root) == marker


@pytest.mark.parametrize("name", [".dockerenv", "run/.containerenv"])
def test_a_file_that_the_runtime_leaves_is_a_marker(root: Path, name: str) -> None:
    """Empty as it mostly is."""
    (root / name).touch()
    assert container_marker({}, root) == f"/{name}"


@pytest.mark.parametrize("place", [b"container=lxc\0HOME=/\0", b"HOME=/\0container=lxc\0", b"HOME=/\0container=lxc"])
def test_what_the_first_process_was_told_is_a_marker(root: Path, place: bytes) -> None:
    """Wherever it stands."""
    (root / "proc" / "1" / "environ").write_bytes(place)
    assert container_marker({}, root) == "container=lxc"


def test_a_first_process_that_can_not_be_read_is_no_marker(root: Path) -> None:
    """Others than root can't read it, and some hosts hide it."""
    (root / "proc" / "1" / "environ").unlink()
    assert container_marker({}, root) == ""


def test_what_somebody_wrote_into_a_marker_is_cut_and_decoded(root: Path) -> None:
    """It is reported to the server."""
    (root / "proc" / "1" / "environ").write_bytes(b"container=\xff" + b"x" * 100)
    assert container_marker({}, root) == "container=\N{REPLACEMENT CHARACTER}" + "x" * 63


def test_the_switch_of_the_owner_is_named_before_what_the_runtime_left(root: Path) -> None:
    """It is what the owner can change."""
    (root / ".dockerenv").touch()
    assert container_marker({"FLEETROLL_DISABLE_SELFUPDATE": "1"}, root) == "FLEETROLL_DISABLE_SELFUPDATE=1"
