"""What an attempt that was started on a host holds of the budgets: it is charged, never refused.

Root on the host is the authority, so the charge goes above the limits too: it is true. While it stands, the server lets
fewer of its own hosts past Go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.budget import scopes_of_host
from fleetroll_server.domain.charges import holding_of_local
from fleetroll_server.domain.deadlines import expiry
from fleetroll_server.domain.states import BEFORE_GO, AttemptState, Trigger
from fleetroll_server.engine.holdings import hold, release_broken
from fleetroll_server.engine.kept_locals import LOCAL
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from fleetroll_server.domain.heard import HostSaid
    from fleetroll_server.gateway.session import SessionKey
    from fleetroll_server.store.tx import Tx

AGENT = table_of(AgentRow)
FOR_ALL = "time goes by for all"
AT_ONCE = 40
"""Deadlines per transaction: each costs some ten statements."""
FORGOTTEN = "was under way, and the host came back without any memory of it"


async def settle(tx: Tx, row: Mapping[str, Any]) -> None:
    """Hold what the attempt's state holds; of what the product held before, no more stays than is still so."""
    state = AttemptState(row["state"])
    if state in BEFORE_GO:
        return
    which = {name: row[name] for name in ("agent_id", "product", "fleet_id")}
    # Its number is counted by the host, generations by the server: below zero the two never meet.
    charged = {**which, "generation": -row["number"]}
    await hold(tx, charged, scopes_of_host(row["fleet_id"]), holding_of_local(state))
    if state is AttemptState.SUCCEEDED:
        await release_broken(tx, row["agent_id"], row["fleet_id"], row["product"])


async def reconcile(tx: Tx, key: SessionKey, host: HostSaid) -> bool:
    """End what a hello shows no more; tell whether there was any.

    What has ended and is not acknowledged is shown; so what is not shown is forgotten. Whether the host is well is said
    by its health: until that holds it stays broken.
    """
    shown = {(said.product, said.local) for said in host.attempts if said.local}
    healthy = {product.product for product in host.products if product.healthy and not product.on_trial}
    mine = (LOCAL.c.agent_id == key.agent_id, LOCAL.c.fleet_id == key.fleet_id)
    open_now = sa.or_(LOCAL.c.deadline.is_not(None), LOCAL.c.state == AttemptState.LOST.value)
    rows = (await tx.execute(sa.select(LOCAL).where(*mine, open_now))).mappings().all()
    forgotten = [row for row in rows if (row["product"], row["number"]) not in shown and row["product"] in healthy]
    for row in forgotten:
        end = {"state": AttemptState.FAILED.value, "code": Code.NEVER_CAME_BACK.value, "message": FORGOTTEN}
        await _write(tx, row, {**end, "ended_at": tx.now})
    return bool(forgotten)


async def let_speak(tx: Tx, tell: Callable[[Tx, Mapping[str, Any]], None]) -> int:
    """Call attempts lost whose host has said nothing in time; return how many they were. ``tell`` tells watchers."""
    query = sa.select(LOCAL).where(LOCAL.c.deadline <= tx.now).order_by(LOCAL.c.deadline).limit(AT_ONCE)
    due = (await tx.execute(every_fleet(query, FOR_ALL))).mappings().all()
    for row in due:
        rule = expiry(AttemptState(row["state"]))
        if rule is None or rule.trigger is not Trigger.LOSE:
            await _write(tx, row, {})
            continue
        lost = {"state": AttemptState.LOST.value, "code": rule.code.value, "message": rule.message}
        tell(tx, await _write(tx, row, lost))
        if await _is_revoked(tx, row):
            await release_broken(tx, row["agent_id"], row["fleet_id"], row["product"])
    return len(due)


async def move_deadlines(tx: Tx, later: Callable[[datetime, datetime], datetime]) -> None:
    """Move every deadline on by what ``later`` makes of it and of the time of the last word."""
    names = ("agent_id", "product", "number", "fleet_id")
    query = sa.select(*(LOCAL.c[name] for name in (*names, "deadline", "changed_at")))
    rows = (await tx.execute(every_fleet(query.where(LOCAL.c.deadline.is_not(None)), FOR_ALL))).mappings().all()
    moved = [
        {**{f"of_{name}": row[name] for name in names}, "due": later(row["deadline"], row["changed_at"])}
        for row in rows
    ]
    same = [LOCAL.c[name] == sa.bindparam(f"of_{name}") for name in names]
    if moved:
        await tx.execute(sa.update(LOCAL).where(*same).values(deadline=sa.bindparam("due")), moved)


async def _write(tx: Tx, row: Mapping[Any, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Write what time or a hello has made of an attempt; return its row."""
    after = {**row, **values, "deadline": None, **({"changed_at": tx.now} if values else {})}
    names: Sequence[str] = ("agent_id", "product", "number", "fleet_id")
    which = [LOCAL.c[name] == row[name] for name in names]
    await tx.execute(sa.update(LOCAL).where(*which).values(**{n: v for n, v in after.items() if n not in names}))
    await settle(tx, after)
    return after


async def _is_revoked(tx: Tx, row: Mapping[Any, Any]) -> bool:
    """Tell whether the host can't come back: a revoked one is out of every budget."""
    mine = (AGENT.c.id == row["agent_id"], AGENT.c.fleet_id == row["fleet_id"])
    return bool((await tx.execute(sa.select(AGENT.c.revoked).where(*mine))).scalar_one_or_none())
