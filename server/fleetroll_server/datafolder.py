"""Where a server's files lie. Everything is below one folder that nobody else can read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FOLDER_MODE = 0o700


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Names inside of a data folder."""

    path: Path

    @property
    def database(self) -> Path:
        """SQLite's file; its ``-wal`` and ``-shm`` stand beside it."""
        return self.path / "fleetroll.db"

    @property
    def database_url(self) -> str:
        """Return the URL of that file."""
        return f"sqlite+aiosqlite:///{self.database}"

    @property
    def settings(self) -> Path:
        """The settings' file."""
        return self.path / "fleetroll-server.toml"

    @property
    def secret_key(self) -> Path:
        """Opens everything that is sealed."""
        return self.path / "secret.key"

    @property
    def lock(self) -> Path:
        """Held by the running server."""
        return self.path / "server.lock"

    @property
    def admin_token(self) -> Path:
        """The first API token, as ``init`` made it."""
        return self.path / "admin.token"

    @property
    def tls(self) -> Path:
        """Certificates, and their sealed keys."""
        return self.path / "tls"

    @property
    def artefacts(self) -> Path:
        """Artefacts by SHA-256."""
        return self.path / "artefacts"

    @property
    def spool(self) -> Path:
        """Uploads that are not accepted yet; those of an earlier process are deleted at start."""
        return self.path / "spool"

    @property
    def staged(self) -> Path:
        """Bytes by SHA-256 that no commit lists yet."""
        return self.path / "staged"

    def make(self) -> None:
        """Make the folder and those inside."""
        for folder in (self.path, self.tls, self.artefacts, self.spool, self.staged):
            folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
