"""Column types and helpers that all tables share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa
from sqlalchemy import types
from sqlmodel import Field, SQLModel

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect


# Named constraints: a later migration can only change what has a name (SQLite rebuilds the table around it).
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(types.TypeDecorator[datetime]):
    """An aware UTC instant on every database: SQLite would drop the zone by itself."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive values: they are a defect of the caller."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            message = f"naive datetime {value!r} for a UTC column"
            raise ValueError(message)
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class TableModel(SQLModel):
    """The base of all tables. Models describe rows; hot paths use Core statements over :func:`table_of`."""


def table_of(model: type[SQLModel]) -> sa.Table:
    """Return the Core table of a model."""
    return cast("sa.Table", model.__table__)  # type: ignore[attr-defined]  # set by the metaclass


def instant(**column: Any) -> Any:  # noqa: ANN401 (SQLModel's Field is untyped by design)
    """Declare a UTC instant that is always there."""
    return Field(sa_type=UtcDateTime, **column)


def maybe_instant(**column: Any) -> Any:  # noqa: ANN401
    """Declare a UTC instant that may be absent."""
    return Field(default=None, sa_type=UtcDateTime, nullable=True, **column)


def json_column(default: Any) -> Any:  # noqa: ANN401
    """Declare a JSON value with ``default`` made anew for each row."""
    return Field(default_factory=default.copy, sa_type=sa.JSON, nullable=False)


def big_integer(default: int = 0, **column: Any) -> Any:  # noqa: ANN401
    """Declare a 64-bit integer: sequences, generations, epochs and byte counts."""
    return Field(default=default, sa_type=sa.BigInteger, **column)


def long_text() -> Any:  # noqa: ANN401
    """Declare text of any length, empty by default."""
    return Field(default="", sa_type=sa.Text, nullable=False)
