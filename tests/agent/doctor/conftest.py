"""A whole host for every test of the doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.whole_host import WholeHost, whole_host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_container(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever these tests run in, the hosts are none."""
    for name in ("FLEETROLL_DISABLE_SELFUPDATE", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[WholeHost]:
    """Give a host on which nothing is wrong."""
    with whole_host(tmp_path / "root") as whole:
        yield whole
