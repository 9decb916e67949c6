"""What may be installed: releases, artefacts, signed metadata files."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 (SQLModel reads the annotations)
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from fleetroll_server.store.tables.types import TableModel, big_integer, instant, json_column, long_text


class ReleaseRow(TableModel, table=True):
    """One version of a product. Rows are never deleted: attestation compares with all that was ever published.

    ``state`` is why hosts may begin with it or not; ``listed`` says the same for the questions that only need that.
    """

    __tablename__ = "release"
    __table_args__ = (UniqueConstraint("product", "version"),)
    id: str = Field(primary_key=True)
    product: str = Field(index=True)
    version: str
    channels: list[str] = json_column([])
    git_sha: str
    released_at: datetime = instant()
    migrations_required: bool = False
    breaking_changes: str = long_text()
    notes: str = long_text()
    supported_from: str = ""
    protocol: int = 1
    listed: bool = True
    state: str = "listed"
    state_reason: str = long_text()
    actor_kind: str
    actor_id: str


class ArtifactRow(TableModel, table=True):
    """The bytes of a release for one platform, kept by content hash; ``custom`` is the signed part."""

    __tablename__ = "artifact"
    release_id: str = Field(primary_key=True, foreign_key="release.id")
    os: str = Field(primary_key=True)
    arch: str = Field(primary_key=True)
    abi: str = Field(primary_key=True)
    path: str = Field(unique=True)
    length: int = big_integer()
    sha256: str = Field(index=True)
    custom: dict[str, Any] = json_column({})


class MetadataFileRow(TableModel, table=True):
    """One signed metadata file by name. Versioned names never change; ``timestamp.json`` does."""

    __tablename__ = "metadata_file"
    name: str = Field(primary_key=True)
    payload: bytes
    stored_at: datetime = instant()
