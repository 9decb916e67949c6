"""Budgets: never more hosts out than a scope allows, and a broken host never blocks its own way back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_server.domain.budget import (
    ChargeKind,
    ScopeBudget,
    break_,
    can_charge,
    charge,
    charge_unconditionally,
    free,
    heal,
    recount,
    scopes_of,
    stricter,
)
from fleetroll_server.domain.limits import RolloutLimits


def scope(max_in_use: int = 1, max_out: int = 1, in_use: int = 0, broken: int = 0) -> ScopeBudget:
    return ScopeBudget("rollout/r", max_in_use, max_out, in_use, broken)


def test_scopes_are_charged_from_the_widest_to_the_narrowest() -> None:
    assert scopes_of("f", "r") == ("global", "fleet/f", "rollout/r")


@pytest.mark.parametrize(("fleet", "rollout"), [("", "r"), ("f", "")])
def test_a_scope_without_an_id_is_refused(fleet: str, rollout: str) -> None:
    with pytest.raises(ValueError, match="ids"):
        scopes_of(fleet, rollout)


@pytest.mark.parametrize(
    ("budget", "allowed"),
    [
        (scope(1, 1), True),
        (scope(1, 1, in_use=1), False),
        (scope(2, 2, in_use=1), True),
        (scope(2, 2, in_use=1, broken=1), False),
        (scope(2, 3, in_use=1, broken=1), True),
        (scope(1, 1, broken=1), False),
        (scope(1, 2, broken=1), True),
        (scope(0, 5), False),
        (scope(5, 0), False),
    ],
    ids=str,
)
def test_a_host_passes_go_only_where_both_limits_have_room(budget: ScopeBudget, allowed: bool) -> None:
    assert can_charge(budget, own_broken=False) is allowed
    if allowed:
        assert charge(budget, own_broken=False) == replace(budget, in_use=budget.in_use + 1)
    else:
        with pytest.raises(ValueError, match="no room"):
            charge(budget, own_broken=False)


def test_its_own_failure_never_blocks_a_host_s_way_back() -> None:
    full = scope(1, 1, broken=1)
    assert not can_charge(full, own_broken=False)
    assert charge(full, own_broken=True) == scope(1, 1, in_use=1, broken=0)


def test_a_way_back_still_waits_while_as_many_as_may_are_in_use() -> None:
    assert not can_charge(scope(1, 2, in_use=1, broken=1), own_broken=True)


def test_a_way_back_is_open_even_where_more_are_out_than_allowed() -> None:
    assert can_charge(scope(2, 2, in_use=1, broken=3), own_broken=True)


def test_what_is_past_go_is_charged_also_above_the_limit() -> None:
    assert charge_unconditionally(scope(1, 1, in_use=1), own_broken=False) == scope(1, 1, in_use=2)
    assert charge_unconditionally(scope(1, 1, broken=1), own_broken=True) == scope(1, 1, in_use=1)


def test_a_broken_host_stays_out_until_it_heals() -> None:
    broken = break_(charge(scope(), own_broken=False))
    assert broken == scope(broken=1)
    assert not can_charge(broken, own_broken=False)
    assert can_charge(heal(broken), own_broken=False)


def test_success_makes_room() -> None:
    assert free(charge(scope(), own_broken=False)) == scope()


@pytest.mark.parametrize("move", [free, break_, heal], ids=lambda move: move.__name__)
def test_what_was_never_charged_can_not_be_freed(move: object) -> None:
    assert callable(move)
    with pytest.raises(ValueError, match="would be -1"):
        move(scope())


@pytest.mark.parametrize("move", [can_charge, charge, charge_unconditionally], ids=lambda move: move.__name__)
def test_a_host_that_is_not_broken_can_not_move_as_one(move: object) -> None:
    assert callable(move)
    with pytest.raises(ValueError, match="broken would be -1"):
        move(scope(), True)


@pytest.mark.parametrize("name", ["max_in_use", "max_out", "in_use", "broken"])
def test_negative_numbers_are_refused(name: str) -> None:
    numbers = {"max_in_use": 1, "max_out": 1, "in_use": 0, "broken": 0} | {name: -1}
    with pytest.raises(ValueError, match=f"{name} would be -1"):
        ScopeBudget("rollout/r", **numbers)


def test_a_recount_takes_kinds_as_they_are_stored() -> None:
    assert recount(["in_use", "broken", ChargeKind.IN_USE]) == (2, 1)
    assert recount([]) == (0, 0)
    with pytest.raises(ValueError, match="perhaps"):
        recount(["perhaps"])


def test_the_stricter_number_holds_in_each_place() -> None:
    assert stricter((1, 0), (0, 2)) == (1, 2)
    assert stricter((0, 2), (1, 0)) == (1, 2)
    assert stricter((3, 1), (3, 1)) == (3, 1)


@given(concurrent=st.integers(1, 20), failed=st.integers(1, 20))
def test_with_the_limits_of_a_rollout_the_gate_speaks_before_the_budget_starves(concurrent: int, failed: int) -> None:
    """As long as the gate is silent (fewer broken than max_failed), every host that may run finds room."""
    limits = RolloutLimits(max_concurrent=concurrent, max_failed=failed)
    for broken in range(failed):
        budget = ScopeBudget("rollout/r", limits.max_concurrent, limits.max_out, 0, broken)
        for _ in range(concurrent):
            budget = charge(budget, own_broken=False)
        assert not can_charge(budget, own_broken=False)


ACTIONS = st.lists(st.tuples(st.sampled_from(["go", "free", "break", "heal"]), st.integers(0, 5)), max_size=60)


@given(ACTIONS, st.integers(0, 4), st.integers(0, 6))
def test_no_sequence_of_steps_goes_beyond_a_limit_and_every_recount_agrees(
    steps: list[tuple[str, int]], max_in_use: int, max_out: int
) -> None:
    """Six hosts that start, succeed, break and heal in any order; ``held`` is what each one holds."""
    budget, held = scope(max_in_use, max_out), dict[int, ChargeKind]()
    for action, host in steps:
        holding = held.get(host)
        if action == "go" and holding is not ChargeKind.IN_USE and can_charge(budget, holding is ChargeKind.BROKEN):
            budget = charge(budget, holding is ChargeKind.BROKEN)
            held[host] = ChargeKind.IN_USE
        elif action == "free" and holding is ChargeKind.IN_USE:
            budget = free(budget)
            del held[host]
        elif action == "break" and holding is ChargeKind.IN_USE:
            budget, held[host] = break_(budget), ChargeKind.BROKEN
        elif action == "heal" and holding is ChargeKind.BROKEN:
            budget = heal(budget)
            del held[host]
        assert budget.in_use <= max_in_use
        assert budget.in_use + budget.broken <= max_out
        counted = recount(held.values())
        assert counted == (budget.in_use, budget.broken)
        assert stricter((budget.in_use, budget.broken), counted) == counted
