"""Statements that may look at the hosts of every fleet: each says so, and why.

Everything else is held to one fleet by a condition; the tests judge each statement that the server runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from sqlalchemy.sql.base import Executable

EVERY_FLEET = "every_fleet"
"""The option's name; its value is the reason."""
S = TypeVar("S", bound="Executable")


def every_fleet(statement: S, why: str) -> S:
    """Return ``statement`` marked as one that is held to no fleet.

    Args:
        statement: whose caller holds what it finds to its own fleet, row by row, or is nobody's but the server's.
        why: the reason, in a few words.
    """
    options: dict[str, Any] = {EVERY_FLEET: why}
    return statement.execution_options(**options)
