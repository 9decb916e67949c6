"""One host's step: the machine, its row, its budgets, its wave's counters, the event, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.ids import attempt_id
from fleetroll_server.domain.charges import Holding, holding, stays_forgiven
from fleetroll_server.domain.states import ATTEMPT_TRANSITIONS, FINAL, PAST_GO, AttemptState, Trigger, transition
from fleetroll_server.domain.summary import HostView, cohorts_of
from fleetroll_server.engine.holdings import hold
from fleetroll_server.store.tables import AgentRow, ClaimRow, RolloutHostRow, table_of

if TYPE_CHECKING:
    from fleetroll_server.engine.actor import Actor
    from fleetroll_server.engine.book import Book
    from fleetroll_server.store.tx import Tx

HOST = table_of(RolloutHostRow)
CLAIM = table_of(ClaimRow)
AGENT = table_of(AgentRow)

CHECK_IN = Code.CHECK_IN.value
WINDOW = Code.WINDOW.value
OUT_OF_COUNT = frozenset({Code.HOST_OFFLINE.value, Code.HELD_LOCALLY.value, Code.QUARANTINED.value, CHECK_IN})
"""Reasons to wait for something that no step of the rollout brings about. They take a host out of its wave's
denominator, but for the one that is online and between two check-ins."""


async def host_of(tx: Tx, agent_id: str, fleet_id: str, product: str, generation: int) -> dict[str, Any] | None:
    """Return the host's row whose newest attempt has this generation."""
    query = sa.select(HOST).where(
        HOST.c.agent_id == agent_id,
        HOST.c.fleet_id == fleet_id,
        HOST.c.product == product,
        HOST.c.generation == generation,
    )
    row = (await tx.execute(query)).mappings().one_or_none()
    return dict(row) if row is not None else None


async def move(
    tx: Tx,
    book: Book,
    host: dict[str, Any],
    trigger: Trigger,
    actor: Actor,
    **values: Any,  # noqa: ANN401 (columns)
) -> None:
    """Let one host take a step; ``host`` is changed in place.

    Args:
        tx: the transaction of the step.
        book: the host's rollout, locked.
        host: the row, as read in this transaction.
        trigger: what happens to it.
        actor: who did it.
        values: further columns to write, such as ``code``, ``message``, ``deadline``.

    Raises:
        IllegalTransitionError: the machine knows no such step; nothing was changed.
    """
    before_state = AttemptState(host["state"])
    state = transition(ATTEMPT_TRANSITIONS, before_state, trigger)
    counted = PAST_GO | FINAL
    cohorts = await cohorts_here(tx, host) if state in counted or before_state in counted else ()
    before = view(host, cohorts)
    host.update(values)
    host.update(state=state.value, changed_at=tx.now)
    if state in PAST_GO:
        host["attempted"] = True
    host["forgiven"] = host["forgiven"] and stays_forgiven(state)
    if state is not before_state:
        host.setdefault("step", "")
        host["waiting"] = values.get("waiting", "")
        host["deadline"] = values.get("deadline")
    if state in FINAL:
        ended_at = host["ended_at"] if trigger is Trigger.RETURN else tx.now
        host.update(ended_at=ended_at, waiting="", deadline=None)
    elif state is not AttemptState.LOST:
        host["ended_at"] = None
    await _settle_budgets(tx, book, host, before_state, state)
    if state in FINAL or trigger is Trigger.REQUEUE:
        await _release_claim(tx, host)
    await _write(tx, host)
    wave = book.wave(host["wave"])
    wave.counters = wave.counters.moved(before, view(host, cohorts))
    wave.set(moved_at=tx.now)
    if state is not before_state:
        tx.emit(step_event(book, host, actor))


async def note(tx: Tx, book: Book, host: dict[str, Any], **values: Any) -> None:  # noqa: ANN401 (columns)
    """Change columns of a host that stays where it is: why it waits, when its time is over.

    One that may go on again moves its wave: its time to stand still begins then. A late host that comes back moves
    nothing by that: else it would hide that the one under way stands still.
    """
    before = view(host, ())
    host.update(values)
    await _write(tx, host)
    wave = book.wave(host["wave"])
    after = view(host, ())
    wave.counters = wave.counters.moved(before, after)
    can, could = not (after.is_waiting or after.is_shut), not (before.is_waiting or before.is_shut)
    moves = can and not could and (book.is_open or before.state is not AttemptState.PENDING)
    wave.set(**({"moved_at": tx.now} if moves else {}))


async def _settle_budgets(tx: Tx, book: Book, host: dict[str, Any], before: AttemptState, after: AttemptState) -> None:
    """Hold what the new state holds; a Go was charged already by who granted it."""
    if host["generation"] is None:
        return
    wanted = holding(after, attempted=host["attempted"])
    if before not in PAST_GO and after not in PAST_GO and not host["attempted"]:
        return
    await hold(tx, host, book.scopes, wanted, let_off=not book.is_open or host["forgiven"])
    if wanted is not Holding.IN_USE:
        book.room_made = True


async def _release_claim(tx: Tx, host: dict[str, Any]) -> None:
    """Give the claim back: it runs from the first offer to the end, also while the host is away in between."""
    which = (
        CLAIM.c.agent_id == host["agent_id"],
        CLAIM.c.product == host["product"],
        CLAIM.c.fleet_id == host["fleet_id"],
        CLAIM.c.rollout_id == host["rollout_id"],
    )
    await tx.execute(sa.delete(CLAIM).where(*which))


async def _write(tx: Tx, host: dict[str, Any]) -> None:
    """Write the row."""
    keys = ("rollout_id", "agent_id", "fleet_id")
    which = [HOST.c[name] == host[name] for name in keys]
    await tx.execute(sa.update(HOST).where(*which).values(**{n: v for n, v in host.items() if n not in keys}))


async def cohorts_here(tx: Tx, host: dict[str, Any]) -> tuple[str, ...]:
    """Return the groups that the host belongs to."""
    query = sa.select(AGENT.c.os, AGENT.c.arch, AGENT.c.abi, AGENT.c.labels).where(
        AGENT.c.id == host["agent_id"], AGENT.c.fleet_id == host["fleet_id"]
    )
    row = (await tx.execute(query)).one()
    return cohorts_of(row.os, row.arch, row.abi, row.labels)


def view(host: dict[str, Any], cohorts: tuple[str, ...]) -> HostView:
    """Return the host as its wave counts it."""
    state, why = AttemptState(host["state"]), host["waiting"]
    had_succeeded = host["ended_at"] is not None
    facts = {"had_succeeded": had_succeeded, "expected": why == CHECK_IN, "shut": why == WINDOW}
    return HostView(state, why in OUT_OF_COUNT, host["attempted"], cohorts, **facts)


def step_event(book: Book, host: dict[str, Any], actor: Actor) -> Any:  # noqa: ANN401
    """Return the fact of the step."""
    generation = host["generation"]
    return book.event(
        "attempt.state",
        actor,
        code=host["code"],
        agent_id=host["agent_id"],
        attempt_id="" if generation is None else attempt_id(host["agent_id"], host["product"], generation),
        attempt_state=host["state"],
        message=host["message"],
    )
