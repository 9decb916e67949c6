"""The policy: one document per level and product, and every change of it."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 (SQLModel reads the annotations)
from typing import Any

from sqlmodel import Field

from fleetroll_server.store.tables.types import TableModel, big_integer, instant, json_column, long_text


class PolicyRow(TableModel, table=True):
    """What is said at one level: ``scope`` is ``global``, ``fleet/<id>`` or ``agent/<id>``; no product means all.

    The fleet is empty for the global one. ``entries`` hold each field with its value, who said it and when.
    """

    __tablename__ = "policy"
    scope: str = Field(primary_key=True)
    product: str = Field(primary_key=True)
    fleet_id: str = Field(index=True)
    serial: int = big_integer()
    entries: dict[str, Any] = json_column({})
    actor_kind: str
    actor_id: str
    reason: str = long_text()
    decided_at: datetime = instant()


class PolicyChangeRow(TableModel, table=True):
    """One change: the values of the changed fields before and after it; a field that was not said is not there."""

    __tablename__ = "policy_change"
    scope: str = Field(primary_key=True)
    product: str = Field(primary_key=True)
    serial: int = big_integer(primary_key=True, sa_column_kwargs={"autoincrement": False})
    fleet_id: str = Field(index=True)
    before: dict[str, Any] = json_column({})
    after: dict[str, Any] = json_column({})
    actor_kind: str
    actor_id: str
    reason: str = long_text()
    decided_at: datetime = instant()
