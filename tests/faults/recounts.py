"""What holds at the end of every test on a world: counts equal a recount from the rows that they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_server.domain.budget import scopes_of
from fleetroll_server.domain.charges import Holding, holding
from fleetroll_server.domain.states import BEFORE_GO, FINAL, AttemptState
from fleetroll_server.domain.summary import HostView, WaveCounters, count
from fleetroll_server.engine.moves import CHECK_IN, OUT_OF_COUNT
from fleetroll_server.engine.silence import had_succeeded
from fleetroll_server.store.tables import AgentRow, BudgetRow, ChargeRow, ClaimRow, RolloutHostRow, WaveRow

if TYPE_CHECKING:
    from tests.faults.worlds import World

COUNTED = (
    "planned",
    "attempted",
    "bad",
    "ended",
    "waiting",
    "succeeded",
    "pending",
    "downloading",
    "lost",
    "expected",
    "shut",
)
"""Counts of a wave that follow from its hosts' rows alone; what people forgave does not."""


async def check(world: World) -> None:
    """Compare budgets, claims and counters with a recount; nothing is held but what the test says."""
    hosts = await world.rows(RolloutHostRow)
    await _check_budgets(world, hosts)
    await _check_claims(world, hosts)
    for wave in await world.rows(WaveRow):
        mine = [row for row in hosts if (row["rollout_id"], row["wave"]) == (wave["rollout_id"], wave["number"])]
        stored, counted = WaveCounters.from_json(wave["counters"]), count(_view(row) for row in mine)
        assert [getattr(stored, name) for name in COUNTED] == [getattr(counted, name) for name in COUNTED], COUNTED
    away = {row["id"] for row in await world.rows(AgentRow) if not row["server_id"]}
    for row in hosts:
        silent = row["state"] == AttemptState.SUCCEEDED.value and row["agent_id"] in away
        assert row["state"] not in FINAL or row["deadline"] is None or silent, "what ended has no deadline"


async def _check_budgets(world: World, hosts: list[dict[str, Any]]) -> None:
    """Budget rows equal the charges; charges are what the hosts' states hold; nothing else is left over."""
    charges = await world.rows(ChargeRow)
    for row in await world.rows(BudgetRow):
        kinds = [charge["kind"] for charge in charges if charge["scope"] == row["scope"]]
        assert (row["in_use"], row["broken"]) == (kinds.count("in_use"), kinds.count("broken")), row["scope"]
        kind = row["scope"].partition("/")[0]
        held = (row["in_use"], row["broken"])
        assert held == world.left_over.get(row["scope"], world.left_over.get(kind, (0, 0))), (row["scope"], held)
    for row in hosts:
        own = {
            charge["scope"]: charge["kind"]
            for charge in charges
            if (charge["agent_id"], charge["generation"]) == (row["agent_id"], row["generation"])
        }
        wanted = holding(AttemptState(row["state"]), attempted=row["attempted"])
        wide = scopes_of(row["fleet_id"], row["rollout_id"])[:2]
        assert [own.get(scope) == "in_use" for scope in wide] == [wanted is Holding.IN_USE] * 2, row["name"]


async def _check_claims(world: World, hosts: list[dict[str, Any]]) -> None:
    """A claim runs from OFFERED to the end; one that was offered and cut off may keep it while it waits."""
    claimed = {(row["agent_id"], row["rollout_id"]) for row in await world.rows(ClaimRow)}
    for row in hosts:
        mine = (row["agent_id"], row["rollout_id"]) in claimed
        if row["state"] in FINAL or row["generation"] is None or had_succeeded(row):
            assert not mine, row["name"]
        elif row["state"] != AttemptState.PENDING.value:
            assert mine, row["name"]


def _view(row: dict[str, Any]) -> HostView:
    """Return a host as its wave counts it."""
    state = AttemptState(row["state"])
    waiting = row["waiting"] in OUT_OF_COUNT and state in BEFORE_GO
    why = row["waiting"]
    facts = {"had_succeeded": had_succeeded(row), "expected": why == CHECK_IN, "shut": why == "WINDOW"}
    return HostView(state, waiting, row["attempted"], **facts)
