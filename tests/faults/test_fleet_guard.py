"""The watch over statements: what holds one to a fleet, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, ChargeRow, RolloutRow, WaveRow, table_of
from tests.faults.fleet_guard import FLEET_TABLES, offence

AGENT, CHARGE, ROLLOUT, WAVE = (table_of(row) for row in (AgentRow, ChargeRow, RolloutRow, WaveRow))
JOINED = sa.select(WAVE.c.number).join(ROLLOUT, ROLLOUT.c.id == WAVE.c.rollout_id)
OTHER = AGENT.alias("other")
SAME = WAVE.c.fleet_id == ROLLOUT.c.fleet_id

HELD: dict[str, Any] = {
    "a value": sa.select(AGENT.c.id).where(AGENT.c.fleet_id == "default"),
    "one of some values": sa.select(AGENT.c.id).where(AGENT.c.fleet_id.in_(["a", "b"])),
    "beside another condition": sa.delete(CHARGE).where(CHARGE.c.agent_id == "a", CHARGE.c.fleet_id == "default"),
    "through a join": JOINED.where(SAME, ROLLOUT.c.fleet_id == "default"),
    "in the join's own condition": sa.select(WAVE.c.number)
    .join(ROLLOUT, sa.and_(ROLLOUT.c.id == WAVE.c.rollout_id, ROLLOUT.c.fleet_id == WAVE.c.fleet_id))
    .where(WAVE.c.fleet_id == "default"),
    "within, through what is around": sa.select(ROLLOUT.c.id).where(
        ROLLOUT.c.fleet_id == "default", sa.exists().where(WAVE.c.rollout_id == ROLLOUT.c.id, SAME)
    ),
    "a table of no fleet": sa.select(SQLModel.metadata.tables["release"].c.id),
    "said to be for all": every_fleet(sa.select(AGENT.c.id), "time goes by for all"),
    "text about another table": sa.text("INSERT INTO counter (name, value) VALUES ('event', 0)"),
    "the optional side of an outer join": sa.select(WAVE.c.number)
    .join(ROLLOUT, sa.and_(ROLLOUT.c.id == WAVE.c.rollout_id, SAME), isouter=True)
    .where(WAVE.c.fleet_id == "default"),
    "an alias held by itself": sa.select(OTHER.c.id).where(OTHER.c.fleet_id == "default"),
    "within what is for all, to the row at hand": every_fleet(
        sa.select(ROLLOUT.c.id).where(sa.exists().where(WAVE.c.rollout_id == ROLLOUT.c.id, SAME)), "for all"
    ),
    "an insert": sa.insert(AGENT).values(id="a", fleet_id="default"),
}
LOOSE: dict[str, Any] = {
    "nothing": sa.select(AGENT.c.id),
    "only selected": sa.select(AGENT.c.fleet_id).where(AGENT.c.name == "n"),
    "not empty": sa.select(AGENT.c.id).where(AGENT.c.fleet_id != ""),
    "not null": sa.select(AGENT.c.id).where(AGENT.c.fleet_id.is_not(None)),
    "itself": sa.select(AGENT.c.id).where(AGENT.c.fleet_id == AGENT.c.fleet_id),
    "under or": sa.select(AGENT.c.id).where(sa.or_(AGENT.c.fleet_id == "default", AGENT.c.name == "n")),
    "under not": sa.select(AGENT.c.id).where(~sa.and_(AGENT.c.fleet_id == "default", AGENT.c.name == "n")),
    "an update": sa.update(AGENT).where(AGENT.c.id == "a").values(fleet_id="default"),
    "a delete": sa.delete(CHARGE).where(CHARGE.c.agent_id == "a"),
    "one of two tables": JOINED.where(WAVE.c.fleet_id == "default"),
    "two tables held to each other": JOINED.where(SAME),
    "within": sa.select(ROLLOUT.c.id).where(
        ROLLOUT.c.fleet_id == "default", sa.exists().where(WAVE.c.rollout_id == ROLLOUT.c.id)
    ),
    "one half of a union": sa.union_all(
        sa.select(AGENT.c.id).where(AGENT.c.fleet_id == "default"), sa.select(AGENT.c.id)
    ),
    "rows copied from all": sa.insert(CHARGE).from_select(["agent_id"], sa.select(AGENT.c.id)),
    "an alias of a table that is held": sa.select(AGENT.c.id)
    .join(OTHER, OTHER.c.id == AGENT.c.id)
    .where(AGENT.c.fleet_id == "default"),
    "the side that an outer join keeps": sa.select(WAVE.c.number).join(
        ROLLOUT, sa.and_(SAME, WAVE.c.fleet_id == "default"), isouter=True
    ),
    "the kept side through the optional one": sa.select(WAVE.c.number).join(
        ROLLOUT, sa.and_(SAME, ROLLOUT.c.fleet_id == "default"), isouter=True
    ),
    "within what is for all": every_fleet(
        sa.select(ROLLOUT.c.id).where(sa.exists().where(WAVE.c.rollout_id == ROLLOUT.c.id)), "for all"
    ),
    "text": sa.text("DELETE FROM charge"),
}


@pytest.mark.parametrize("name", HELD)
def test_a_statement_that_is_held_to_a_fleet_may_run(name: str) -> None:
    assert offence(HELD[name]) == ""


@pytest.mark.parametrize("name", LOOSE)
def test_a_statement_that_is_held_to_no_fleet_is_noticed(name: str) -> None:
    assert offence(LOOSE[name])


@pytest.mark.parametrize("name", LOOSE)
def test_a_verdict_on_a_statement_for_all_is_none_on_the_same_one_unmarked(name: str) -> None:
    offence(every_fleet(LOOSE[name], "for all"))
    assert offence(LOOSE[name])


def test_a_verdict_holds_for_any_value_and_for_no_other_comparison() -> None:
    select = sa.select(AGENT.c.id)
    for name in ("default", "default", "other"):
        assert offence(select.where(AGENT.c.fleet_id == name)) == ""
        assert offence(select.where(AGENT.c.name == name))
        assert offence(select.where(AGENT.c.fleet_id != name))
        assert offence(select.where(AGENT.c.fleet_id == AGENT.c.name))


def test_every_row_names_its_fleet() -> None:
    for name in FLEET_TABLES:
        column = SQLModel.metadata.tables[name].c.fleet_id
        assert not column.nullable, name
        assert (column.default, column.server_default) == (None, None), name
