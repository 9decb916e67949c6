"""A repository, its address, and a client that is run by its commands."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.values.clock import FakeClock
from tests.conformance import adapter
from tests.conformance.simulator import Repository, Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class Client:
    """The client under test, with folders of its own.

    Attributes:
        clock: what the client takes for the time.
        said: what it printed last.
    """

    folder: Path
    url: str
    output: pytest.CaptureFixture[str]
    clock: FakeClock = field(default_factory=lambda: FakeClock(datetime.now(UTC)))
    said: str = ""

    @property
    def metadata(self) -> Path:
        return self.folder / "metadata"

    @property
    def targets(self) -> Path:
        return self.folder / "targets"

    def run(self, *arguments: str) -> bool:
        """Run one command; tell whether it succeeded. Whatever is no refusal of its own fails the test."""
        code = adapter.main(["--metadata-dir", str(self.metadata), *arguments], self.clock)
        self.said = self.output.readouterr().err
        assert code in {0, 1}
        assert (code == 1) == self.said.startswith("refused: "), self.said
        return code == 0

    def init(self, root: bytes) -> None:
        """Pin ``root``."""
        for folder in (self.metadata, self.targets):
            folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "initial_root").write_bytes(root)
        assert self.run("init", str(self.folder / "initial_root"))

    def refresh(self) -> bool:
        """Refresh."""
        return self.run("--metadata-url", f"{self.url}/metadata", "refresh")

    def refused(self, code: str) -> bool:
        """Refresh, and tell whether it was refused for this reason."""
        return not self.refresh() and f"({code})" in self.said

    def download(self, name: str) -> bool:
        """Download a target."""
        addresses = ("--metadata-url", f"{self.url}/metadata/", "--target-base-url", f"{self.url}/targets/")
        return self.run(*addresses, "--target-name", name, "--target-dir", str(self.targets), "download")

    def misses(self, name: str, code: str = "NOT_LISTED") -> bool:
        """Try to download, and tell whether it was refused for this reason, with nothing kept."""
        before = self.files()
        return not self.download(name) and f"({code})" in self.said and self.files() == before

    def files(self) -> list[bytes]:
        """Return what was downloaded."""
        return sorted(path.read_bytes() for path in self.targets.iterdir())

    def trusted(self) -> dict[str, int]:
        """Return the trusted versions by role, as the metadata folder shows them."""
        return {path.stem: self.signed(path.stem)["version"] for path in self.metadata.glob("*.json")}

    def signed(self, role: str) -> dict[str, Any]:
        """Return the signed part of a trusted file."""
        known: dict[str, Any] = json.loads(self.file(role))["signed"]
        return known

    def file(self, role: str) -> bytes:
        """Return a trusted file."""
        return (self.metadata / f"{role}.json").read_bytes()

    def wait(self, days: float) -> None:
        """Let time pass."""
        self.clock.advance(days * 86_400)


@pytest.fixture
def repository() -> Repository:
    """Return a fresh repository."""
    return Repository()


@pytest.fixture
def client(repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Client]:
    """Give a client that has pinned the repository's first root."""
    with Served(repository) as served:
        made = Client(tmp_path, served.url, capsys)
        made.init(repository.files["1.root.json"])
        yield made
