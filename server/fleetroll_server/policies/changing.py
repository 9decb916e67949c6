"""A person changes a policy: compared and set by its serial, kept with its history, told as an event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.policy import Document, Entry, Level, check_names, limits_of, merge, read_change
from fleetroll_server.domain.policy import require_serial as require
from fleetroll_server.domain.states import FINAL, RolloutState
from fleetroll_server.policies.reading import POLICY, entry_to_json, level_of, read_document, scope_of
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import PolicyChangeRow, RolloutHostRow, RolloutRow, table_of
from fleetroll_server.store.tx import EventFact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import RowMapping

    from fleetroll_server.engine.actor import Actor
    from fleetroll_server.store.tx import Tx

CHANGE = table_of(PolicyChangeRow)
ROLLOUT = table_of(RolloutRow)
HOST = table_of(RolloutHostRow)
_CONCERNED = sorted(
    state.value for state in (RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.HALTED, RolloutState.COMPLETED)
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A change as it was asked for.

    Attributes:
        fleet_id: whose; empty for all fleets.
        agent_id: the host's, in that fleet; empty for the fleet.
        product: empty for all products.
        serial: that the caller saw; 0 = nothing was said yet.
        set: values by field, as people write them.
        unset: fields that are not said any more.
        reason: why.
    """

    fleet_id: str
    agent_id: str
    product: str
    serial: int
    set: Mapping[str, object] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    reason: str = ""

    @property
    def scope(self) -> str:
        """Return the scope of its level."""
        return scope_of(self.fleet_id, self.agent_id)


async def change(tx: Tx, wanted: Wanted, actor: Actor) -> list[tuple[str, str]]:
    """Write the change; return id and fleet of the rollouts that it concerns: whoever asked looks at them again.

    Their rows are locked first, in the order in which every decision locks them: an offer or a Go that read the policy
    before is committed before, and every later one reads this.

    Raises:
        RequestError: a field or value can't be used, or STALE_DECISION (caller's fault); nothing is written.
    """
    said, unset = _checked(wanted)
    concerned = await _concerned(tx, wanted)
    row = await _locked(tx, wanted)
    require(wanted.serial, row["serial"] if row is not None else 0, _who(row))
    serial = wanted.serial + 1
    before = {} if row is None else dict(row["entries"])
    entries = {name: value for name, value in before.items() if name not in unset}
    for name, value in said.items():
        if name not in before or before[name]["value"] != value:
            entries[name] = entry_to_json(Entry(value, actor.kind, actor.id, tx.now, serial))
    changed = sorted(name for name in {*before, *entries} if before.get(name) != entries.get(name))
    if not changed:
        raise _nothing(wanted)
    await _check_together(tx, wanted, entries)
    await _write(tx, wanted, actor, serial, row, entries)
    await _remember(tx, wanted, actor, serial, _values(before, changed), _values(entries, changed))
    _tell(tx, wanted, actor, serial, changed, concerned)
    await _move_revisions(tx, concerned)
    return concerned


def _checked(wanted: Wanted) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what is set and what is unset; a field can't be both."""
    level = level_of(wanted.scope)
    said, unset = read_change(level, wanted.set), check_names(level, wanted.unset)
    both = sorted(set(said) & set(unset))
    if both or len(set(unset)) != len(unset):
        name = both[0] if both else unset[0]
        message = f"policy.{name}: it is set and unset, or unset twice"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="say one of them, once", field=f"policy.{name}")
    if not said and not unset:
        message = "policy: nothing is set or unset"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="name a field", field="policy")
    return said, unset


def _nothing(wanted: Wanted) -> RequestError:
    """Return the refusal of a change that changes nothing: it would only make older serials stale."""
    message = f"policy: {wanted.scope} says this already, or does not say what is unset"
    return RequestError(message, code=Code.INVALID_ARGUMENT, remedy="read the policy; nothing needs to be done")


async def _concerned(tx: Tx, wanted: Wanted) -> list[tuple[str, str]]:
    """Lock the rollouts that may offer or let hosts past Go under this policy; return their ids and fleets."""
    query = sa.select(ROLLOUT.c.id, ROLLOUT.c.fleet_id).where(
        ROLLOUT.c.state.in_(_CONCERNED), sa.or_(ROLLOUT.c.state != RolloutState.COMPLETED.value, _has_hosts())
    )
    if wanted.product:
        query = query.where(ROLLOUT.c.product == wanted.product)
    if wanted.agent_id:
        query = query.where(_has_hosts(wanted.agent_id))
    query = query.order_by(ROLLOUT.c.id).with_for_update()
    if wanted.fleet_id:
        query = query.where(ROLLOUT.c.fleet_id == wanted.fleet_id)
    else:
        query = every_fleet(query, "the policy of all fleets")
    return [(row.id, row.fleet_id) for row in (await tx.execute(query)).all()]


def _has_hosts(agent_id: str = "") -> sa.ColumnElement[bool]:
    """Return the condition that the rollout has a host, or this one, that has not ended."""
    return (
        sa.select(HOST.c.rollout_id)
        .where(
            HOST.c.rollout_id == ROLLOUT.c.id,
            HOST.c.fleet_id == ROLLOUT.c.fleet_id,
            HOST.c.state.not_in(sorted(state.value for state in FINAL)),
            *((HOST.c.agent_id == agent_id,) if agent_id else ()),
        )
        .exists()
    )


async def _locked(tx: Tx, wanted: Wanted) -> RowMapping | None:
    """Lock and return the document."""
    mine = (
        POLICY.c.scope == wanted.scope,
        POLICY.c.product == wanted.product,
        POLICY.c.fleet_id == wanted.fleet_id,
    )
    return (await tx.execute(sa.select(POLICY).where(*mine).with_for_update())).mappings().one_or_none()


def _who(row: RowMapping | None) -> str:
    """Say who made the newest change."""
    if row is None:
        return "nothing was said here yet"
    return f"changed by {row['actor_id']} at {row['decided_at']:%Y-%m-%d %H:%M:%SZ}"


async def _check_together(tx: Tx, wanted: Wanted, entries: Mapping[str, Any]) -> None:
    """Refuse limits that contradict each other, with those of the levels above; a host has none."""
    if level_of(wanted.scope) is Level.AGENT:
        return
    scopes = {scope_of(""), wanted.scope}
    query = sa.select(POLICY).where(
        POLICY.c.scope.in_(scopes),
        POLICY.c.product.in_(("", wanted.product)),
        POLICY.c.fleet_id.in_(("", wanted.fleet_id)),
    )
    rows = (await tx.execute(query)).mappings().all()
    others = [read_document(row) for row in rows if (row["scope"], row["product"]) != (wanted.scope, wanted.product)]
    mine = read_document({"scope": wanted.scope, "product": wanted.product, "entries": entries})
    documents: list[Document] = [*others, mine]
    try:
        limits_of(merge(documents), {})
    except RequestError as error:
        message = error.message.replace("limits.", "policy.", 1)
        raise RequestError(message, code=error.code, remedy=error.remedy, **error.details) from error


async def _write(
    tx: Tx, wanted: Wanted, actor: Actor, serial: int, row: RowMapping | None, entries: Mapping[str, Any]
) -> None:
    """Write the document."""
    values = {
        "serial": serial,
        "entries": entries,
        "actor_kind": actor.kind,
        "actor_id": actor.id,
        "reason": wanted.reason,
        "decided_at": tx.now,
    }
    keys = {"scope": wanted.scope, "product": wanted.product, "fleet_id": wanted.fleet_id}
    if row is None:
        await tx.execute(sa.insert(POLICY).values(**keys, **values))
    else:
        mine = [POLICY.c[name] == value for name, value in keys.items()]
        await tx.execute(sa.update(POLICY).where(*mine).values(**values))


async def _remember(
    tx: Tx, wanted: Wanted, actor: Actor, serial: int, before: Mapping[str, Any], after: Mapping[str, Any]
) -> None:
    """Write the change into the history."""
    await tx.execute(
        sa.insert(CHANGE).values(
            scope=wanted.scope,
            product=wanted.product,
            serial=serial,
            fleet_id=wanted.fleet_id,
            before=before,
            after=after,
            actor_kind=actor.kind,
            actor_id=actor.id,
            reason=wanted.reason,
            decided_at=tx.now,
        )
    )


def _values(entries: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    return {name: entries[name]["value"] for name in names if name in entries}


def _tell(
    tx: Tx, wanted: Wanted, actor: Actor, serial: int, changed: list[str], concerned: list[tuple[str, str]]
) -> None:
    """Emit the change, and that its rollouts may go on otherwise."""
    facts = {"scope": wanted.scope, "product": wanted.product, "serial": str(serial), "fields": ", ".join(changed)}
    of = f" for {wanted.product}" if wanted.product else ""
    message = f"{wanted.scope}{of}: {', '.join(changed)}"

    def fact(kind: str, fleet_id: str, **more: Any) -> EventFact:  # noqa: ANN401 (columns)
        return EventFact(fleet_id, kind, actor.kind, actor.id, wanted.reason, message=message, **more)

    tx.emit(fact("policy.changed", wanted.fleet_id, agent_id=wanted.agent_id, facts=facts))
    for rollout_id, fleet_id in concerned:
        tx.emit(fact("rollout.policy_changed", fleet_id, rollout_id=rollout_id))


async def _move_revisions(tx: Tx, concerned: list[tuple[str, str]]) -> None:
    """Let nobody spread further on what was shown before the change."""
    if concerned:
        those = ROLLOUT.c.id.in_([rollout_id for rollout_id, _ in concerned])
        change = sa.update(ROLLOUT).where(those).values(revision=ROLLOUT.c.revision + 1)
        await tx.execute(every_fleet(change, "those that were locked, each of its own fleet"))
