"""Budgets: how many hosts of a scope may be out at the same time, over all rollouts.

A host is *in use* from Go to its end, and *broken* from a bad end after Go until it is known to be well. Rules:

1. Scopes are charged and freed in one fixed order (:func:`scopes_of`), so that two transactions never wait for each
   other in a circle.
2. A charge needs room in every scope: ``in_use + 1 <= max_in_use`` and ``in_use + broken + 1 <= max_out``.
3. A host that is itself broken in a scope moves broken -> in_use there. The number that is out stays the same, so its
   own failure never blocks its fix or its way back.
4. What a host shows as past Go is charged also above the limits: it is true.
5. A recount that differs from what is stored never loosens: the stricter number holds.

Not done here: the conditional update that makes a charge exact across processes. It states rules 2 and 3 in SQL.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

GLOBAL_SCOPE = "global"


class ChargeKind(StrEnum):
    """What one charge of one host stands for in a scope."""

    IN_USE = auto()
    BROKEN = auto()


@dataclass(frozen=True, slots=True)
class ScopeBudget:
    """The budget of one scope.

    Attributes:
        scope: ``global``, ``fleet/<id>`` or ``rollout/<id>``.
        max_in_use: hosts past Go at the same time, >= 0; 0 lets nothing start.
        max_out: hosts past Go or broken at the same time, >= 0.
        in_use: hosts past Go now, >= 0; above the limit only by rule 4.
        broken: broken hosts now, >= 0.
    """

    scope: str
    max_in_use: int
    max_out: int
    in_use: int = 0
    broken: int = 0

    def __post_init__(self) -> None:
        """Refuse negative numbers.

        Raises:
            ValueError: a number is negative: something was freed that was never charged (programming error).
        """
        numbers = {"max_in_use": self.max_in_use, "max_out": self.max_out}
        numbers |= {"in_use": self.in_use, "broken": self.broken}
        for name, number in numbers.items():
            if number < 0:
                raise ValueError(f"budget {self.scope}: {name} would be {number}")


def scopes_of(fleet_id: str, rollout_id: str) -> tuple[str, ...]:
    """Return the scopes that a host of this rollout is charged in, widest first. Charge and free MUST keep this order.

    Raises:
        ValueError: an id is empty (programming error).
    """
    if not fleet_id or not rollout_id:
        raise ValueError(f"a budget's scope needs ids: fleet {fleet_id!r}, rollout {rollout_id!r}")
    return (GLOBAL_SCOPE, f"fleet/{fleet_id}", f"rollout/{rollout_id}")


def scopes_of_host(fleet_id: str) -> tuple[str, ...]:
    """Return the scopes that an attempt which was started on a host is charged in: it is of no rollout.

    Raises:
        ValueError: the id is empty (programming error).
    """
    if not fleet_id:
        raise ValueError("a budget's scope needs the fleet's id")
    return (GLOBAL_SCOPE, f"fleet/{fleet_id}")


def can_charge(budget: ScopeBudget, own_broken: bool) -> bool:  # noqa: FBT001 (the one fact about the host)
    """Tell whether one more host may pass Go in this scope.

    Args:
        budget: the scope as it stands.
        own_broken: this very host is one of ``budget.broken``.

    Raises:
        ValueError: ``own_broken`` where no host is broken (programming error).
    """
    charged = charge_unconditionally(budget, own_broken)
    return charged.in_use <= charged.max_in_use and (own_broken or charged.in_use + charged.broken <= charged.max_out)


def charge(budget: ScopeBudget, own_broken: bool) -> ScopeBudget:  # noqa: FBT001 (the one fact about the host)
    """Charge one host that passes Go.

    Raises:
        ValueError: there is no room; ask :func:`can_charge` first (programming error).
    """
    if not can_charge(budget, own_broken):
        raise ValueError(
            f"budget {budget.scope}: no room: {budget.in_use} of {budget.max_in_use} in use, "
            f"{budget.in_use + budget.broken} of {budget.max_out} out"
        )
    return charge_unconditionally(budget, own_broken)


def charge_unconditionally(budget: ScopeBudget, own_broken: bool) -> ScopeBudget:  # noqa: FBT001 (the one fact)
    """Charge a host that *is* past Go, whatever the limits say (a job of a person on the host, a hello that shows it).

    Raises:
        ValueError: ``own_broken`` where no host is broken (programming error).
    """
    return replace(budget, in_use=budget.in_use + 1, broken=budget.broken - int(own_broken))


def free(budget: ScopeBudget) -> ScopeBudget:
    """Take out a host that was in use: it succeeded, or proved that it never used its Go.

    Raises:
        ValueError: none is in use (programming error).
    """
    return replace(budget, in_use=budget.in_use - 1)


def break_(budget: ScopeBudget) -> ScopeBudget:
    """Move a host that was in use to the broken ones. The number that is out stays the same.

    Raises:
        ValueError: none is in use (programming error).
    """
    return replace(budget, in_use=budget.in_use - 1, broken=budget.broken + 1)


def heal(budget: ScopeBudget) -> ScopeBudget:
    """Take out a broken host: it holds its health, was dismissed, or its rollout ended or was resumed.

    Raises:
        ValueError: none is broken (programming error).
    """
    return replace(budget, broken=budget.broken - 1)


def recount(charges: Iterable[str]) -> tuple[int, int]:
    """Count the charges of one scope.

    Args:
        charges: the kind of each charge (:class:`ChargeKind`); one per host, product and generation.

    Returns:
        (in use, broken).

    Raises:
        ValueError: a kind is unknown (programming error).
    """
    kinds = [ChargeKind(kind) for kind in charges]
    return kinds.count(ChargeKind.IN_USE), kinds.count(ChargeKind.BROKEN)


def stricter(stored: tuple[int, int], counted: tuple[int, int]) -> tuple[int, int]:
    """Return the (in use, broken) that holds when a recount differs from what is stored: the larger of each."""
    return max(stored[0], counted[0]), max(stored[1], counted[1])
