"""What may be installed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables."""
    _metadata_file()
    _release()
    _artifact()


def _metadata_file() -> None:
    op.create_table(
        "metadata_file",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_metadata_file")),
    )


def _release() -> None:
    op.create_table(
        "release",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("product", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("channels", sa.JSON(), nullable=False),
        sa.Column("git_sha", sa.String(), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("migrations_required", sa.Boolean(), nullable=False),
        sa.Column("breaking_changes", sa.Text(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("supported_from", sa.String(), nullable=False),
        sa.Column("protocol", sa.Integer(), nullable=False),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column("actor_kind", sa.String(), nullable=False),
        sa.Column("actor_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release")),
        sa.UniqueConstraint("product", "version", name=op.f("uq_release_product")),
    )
    op.create_index(op.f("ix_release_product"), "release", ["product"], unique=False)


def _artifact() -> None:
    op.create_table(
        "artifact",
        sa.Column("release_id", sa.String(), nullable=False),
        sa.Column("os", sa.String(), nullable=False),
        sa.Column("arch", sa.String(), nullable=False),
        sa.Column("abi", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("custom", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["release_id"], ["release.id"], name=op.f("fk_artifact_release_id")),
        sa.PrimaryKeyConstraint("release_id", "os", "arch", "abi", name=op.f("pk_artifact")),
        sa.UniqueConstraint("path", name=op.f("uq_artifact_path")),
    )
    op.create_index(op.f("ix_artifact_sha256"), "artifact", ["sha256"], unique=False)
