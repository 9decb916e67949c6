"""``why``: the engine's own rules asked about one host in a snapshot, without doing anything."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.budget import can_charge
from fleetroll_server.domain.decide import Moved, OfferHosts, decide
from fleetroll_server.domain.eligible import objections
from fleetroll_server.domain.go import GoFacts, no_budget, refusals
from fleetroll_server.domain.hostrules import UNRULED, shut
from fleetroll_server.domain.late import OfferLate
from fleetroll_server.domain.limits import RolloutLimits
from fleetroll_server.domain.states import AttemptState, RolloutState, Trigger, WaveState
from fleetroll_server.domain.why import Finding, Next, Standing, without_question
from fleetroll_server.engine import late, reads
from fleetroll_server.engine.book import ROLLOUT, WAVE, Book
from fleetroll_server.engine.crowd import AT_ONCE
from fleetroll_server.engine.holdings import BROKEN, BUDGET, budget_of, own_charges
from fleetroll_server.engine.listed import may_begin
from fleetroll_server.engine.moves import HOST
from fleetroll_server.engine.offers import PRODUCT, fates, host_facts, next_pending
from fleetroll_server.engine.probing.rows import states
from fleetroll_server.engine.ruled import policy_at_go
from fleetroll_server.engine.targets import facts_for, version_for
from fleetroll_server.policies.reading import read_policies
from fleetroll_server.recovery.state import is_recovering
from fleetroll_server.store.tx import Tx

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.domain.turn import Turn

MOST = 5
"""The newest rollouts that mean a host; older ones have ended for it."""


async def explain(connection: AsyncConnection, now: datetime, agent: Mapping[str, Any], product: str) -> list[Standing]:
    """Return how a host stands in its rollouts of a product, the newest first; one that means none, once it has ended.

    Args:
        connection: a snapshot.
        now: the time.
        agent: the host's row.
        product: the product.
    """
    tx = Tx(connection, now)
    mine = (HOST.c.agent_id == agent["id"], HOST.c.fleet_id == agent["fleet_id"], HOST.c.product == product)
    here = sa.and_(ROLLOUT.c.id == HOST.c.rollout_id, ROLLOUT.c.fleet_id == HOST.c.fleet_id)
    query = (
        sa.select(HOST)
        .select_from(HOST.join(ROLLOUT, here))
        .where(*mine)
        .order_by(ROLLOUT.c.created_at.desc(), ROLLOUT.c.id.desc())
        .limit(MOST)
    )
    rows = [dict(row) for row in (await connection.execute(query)).mappings()]
    found = [await _standing(tx, row, agent) for row in rows]
    open_ones = [one for one in found if one.next is not Next.ENDED]
    return open_ones or found[:1]


async def _standing(tx: Tx, host: dict[str, Any], agent: Mapping[str, Any]) -> Standing:
    """Return how the host stands in one rollout."""
    book = await _book(tx, host["rollout_id"], host["fleet_id"])
    state = AttemptState(host["state"])
    standing = Standing(book.id, version_for(book, host), state, host["wave"], Next.UNDER_WAY)
    fixed = without_question(state)
    if fixed is not None:
        said = Finding(Code(host["code"]), host["message"]) if host["code"] else None
        return replace(standing, next=fixed, findings=(said,) if said is not None else ())
    if state is AttemptState.STAGED:
        found = await _before_go(tx, book, host, agent)
        return replace(standing, next=_at_go(found), findings=tuple(finding for finding, _ in found))
    return await _before_offer(tx, book, host, agent, standing)


async def _book(tx: Tx, rollout_id: str, fleet_id: str) -> Book:
    """Return a rollout as the engine opens it, without a lock."""
    mine = (ROLLOUT.c.id == rollout_id, ROLLOUT.c.fleet_id == fleet_id)
    row = dict((await tx.execute(sa.select(ROLLOUT).where(*mine))).mappings().one())
    query = sa.select(WAVE).where(WAVE.c.rollout_id == rollout_id, WAVE.c.fleet_id == fleet_id).order_by(WAVE.c.number)
    waves = [dict(wave) for wave in (await tx.execute(query)).mappings()]
    checks = await states(tx.connection, rollout_id, fleet_id) if row["has_checks"] else ()
    return Book(row, waves, tx.now, checks)


async def _suspended(tx: Tx, fleet_id: str) -> Finding | None:
    """Return what keeps the whole fleet from beginning anything."""
    if await is_recovering(tx.connection):
        return Finding(Code.RECOVERY, "the server was restored: an admin ends its recovery first")
    if any(row["active"] for row in await reads.switches(tx.connection, [fleet_id])):
        return Finding(Code.SUSPENDED, "the kill switch is pressed")
    return None


async def _before_offer(
    tx: Tx, book: Book, host: dict[str, Any], agent: Mapping[str, Any], standing: Standing
) -> Standing:
    """Return how a pending host stands: whether its turn has come, and what it would bring."""
    found = [one for one in (await _suspended(tx, book.fleet_id), _not_its_turn(book, host, tx.now)) if one is not None]
    against = await _against(tx, book, host, agent)
    if found:
        return replace(standing, next=Next.WAIT, findings=(*found, *against))
    late_ones = book.state is RolloutState.COMPLETED
    rows = await next_pending(tx, book, None if late_ones else book.wave(host["wave"]), AT_ONCE)
    place = next((at for at, row in enumerate(rows) if row["agent_id"] == host["agent_id"]), None)
    if place is None:
        return replace(standing, next=Next.WAIT, findings=(_noted(host), *against))
    turns = [fate for _, fate, _ in await fates(tx, book, rows[: place + 1])]
    comes, before = turns[-1], sum(fate.trigger is Trigger.OFFER for fate in turns[:-1])
    own = _own_turn(comes, against)
    if before >= _free_places(book, host):
        first = Finding(Code.BUDGET, f"{before} hosts go first: as many download at the same time as may")
        return replace(standing, next=Next.WAIT, findings=(first, *own))
    if not own:
        return replace(standing, next=Next.OFFER)
    return replace(standing, next=Next.END if comes.trigger else Next.WAIT, findings=own)


def _own_turn(comes: Turn, against: list[Finding]) -> tuple[Finding, ...]:
    """Return what is in the host's own way; empty where its turn brings an offer."""
    if comes.code is None:
        return ()
    if comes.code in {finding.code for finding in against}:
        return tuple(against)
    word = late.NEWER if comes.code is Code.SUPERSEDED else _WAITS.get(comes.code, "it waits")
    return (Finding(comes.code, word), *against)


async def _against(tx: Tx, book: Book, host: dict[str, Any], agent: Mapping[str, Any]) -> list[Finding]:
    """Return why the host can't take the release at all."""
    policies = await read_policies(tx.connection, book.fleet_id, host["product"], [host["agent_id"]])
    rules = UNRULED if book.row["goes_back"] else policies.rules(host["agent_id"], agent["time_zone"], tx.now)
    row = {**dict(agent), **host, "running": await _running(tx, host)}
    release = (await facts_for(tx, book, [host]))[version_for(book, host)]
    return [Finding(one.code, one.message) for one in objections(host_facts(row, host["product"], rules), release)]


def _free_places(book: Book, host: Mapping[str, Any]) -> int:
    """Return how many hosts may get their offer now."""
    if book.state is RolloutState.COMPLETED:
        return 1
    return book.limits.max_downloading - book.wave(host["wave"]).counters.downloading


_WAITS = {
    Code.HOST_OFFLINE: "the host has no session",
    Code.HOST_OFFLINE_AT_DISPATCH: "offline when its turn comes",
    Code.CHECK_IN: "the host checks in from time to time, and is due",
    Code.QUARANTINED: "its identity is quarantined until it is readmitted",
    Code.UPDATE_IN_PROGRESS: "another rollout holds the product on this host",
}


def _not_its_turn(book: Book, host: Mapping[str, Any], now: datetime) -> Finding | None:
    """Return why the rollout offers nothing to the host's wave now; None where its turn has come."""
    decision = decide(book.summary(), Moved(), now)
    offers = any(
        isinstance(action, OfferLate) or (isinstance(action, OfferHosts) and action.wave == host["wave"])
        for action in decision.actions
    )
    if offers:
        return None
    if book.state not in {RolloutState.RUNNING, RolloutState.COMPLETED}:
        reason = f": {book.row['state_reason']}" if book.row["state_reason"] else ""
        return Finding(Code.PAUSED, f"the rollout is {book.state}{reason}")
    if now >= book.row["not_after"]:
        return Finding(Code.EXPIRED, "the time to start is over")
    wave = book.wave(host["wave"])
    if wave.state in {WaveState.PENDING, WaveState.AWAITING_APPROVAL}:
        waits = decision.waits_for or "the waves before it"
        return Finding(Code.WAVE_NOT_PASSED, f"its wave {wave.number} has not begun: it waits for {waits}")
    if host["waiting"]:
        return None  # what was noted of it says more
    return Finding(Code.BUDGET, f"others go first: it waits for {decision.waits_for or 'their downloads'}")


def _noted(host: Mapping[str, Any]) -> Finding:
    """Return what the host, or the engine, said last about its waiting."""
    code = Code(host["waiting"])
    return Finding(code, host["message"] or _WAITS.get(code, f"it said {code} last"), host["retry_at"])


async def _before_go(tx: Tx, book: Book, host: dict[str, Any], agent: Mapping[str, Any]) -> list[tuple[Finding, bool]]:
    """Return what keeps a staged host from Go, each with whether it ends its turn; what it said itself comes last."""
    rules, objection = await policy_at_go(tx, book, host, agent["time_zone"])
    halted = await _suspended(tx, book.fleet_id)
    facts = GoFacts(
        state=AttemptState(host["state"]),
        rollout=book.state,
        suspended=halted is not None and halted.code is Code.SUSPENDED,
        quarantined=agent["quarantined"],
        revoked=agent["revoked"],
        listed=await may_begin(tx, book, host, lock=False),
        digest_matches=True,
        not_after=book.row["not_after"],
        limits_readable=isinstance(book.stored_limits, RolloutLimits),
        offers_late=book.state is RolloutState.COMPLETED and book.late.stopped is None,
        superseded=bool(await late.superseded(tx, book, [host["agent_id"]])),
        objection=objection,
        shut=shut(rules, tx.now),
    )
    found = [(Finding(one.code, one.message, one.until), one.ends) for one in refusals(facts, tx.now)]
    if halted is not None and halted.code is Code.RECOVERY:
        found.insert(0, (halted, False))
    found += [(one, False) for one in await _full(tx, book, host)]
    own = host["waiting"] and Code(host["waiting"]) not in {finding.code for finding, _ in found}
    asked_by_host = own and Code(host["waiting"]) in _OWN_WORDS
    return [*found, (_noted(host), False)] if asked_by_host else found


_OWN_WORDS = frozenset(
    {Code.HELD_LOCALLY, Code.LOCKED, Code.CLOCK_SKEW, Code.TOO_SOON, Code.DISK_FULL, Code.HOST_OFFLINE, Code.CHECK_IN}
)
"""What a host says of itself, or its absence: nothing that the server would judge anew."""


def _at_go(found: list[tuple[Finding, bool]]) -> Next:
    """Return what the next ask of a staged host brings."""
    if not found:
        return Next.GO
    return Next.END if found[0][1] else Next.WAIT


async def _full(tx: Tx, book: Book, host: Mapping[str, Any]) -> list[Finding]:
    """Return the budgets that have no room for one more host."""
    mine = (BUDGET.c.scope.in_(book.scopes), BUDGET.c.fleet_id.in_(("", book.fleet_id)))
    rows = {row["scope"]: row for row in (await tx.execute(sa.select(BUDGET).where(*mine))).mappings()}
    own = await own_charges(tx, host, book.scopes)
    found = []
    for scope in book.scopes:
        charges = own.get(scope, {})
        if scope not in rows or host["generation"] in charges:
            continue
        budget = budget_of(dict(rows[scope]))
        if not can_charge(budget, BROKEN in charges.values()):
            out = budget.in_use + budget.broken
            numbers = f"{budget.in_use} of {budget.max_in_use} past Go, {out} of {budget.max_out} past Go or broken"
            found.append(Finding(Code.BUDGET, f"{no_budget(scope).message}: {numbers}"))
    return found


async def _running(tx: Tx, host: Mapping[str, Any]) -> str | None:
    """Return what the host runs of the product; None where it keeps none."""
    which = (
        PRODUCT.c.agent_id == host["agent_id"],
        PRODUCT.c.product == host["product"],
        PRODUCT.c.fleet_id == host["fleet_id"],
    )
    running: str | None = (await tx.execute(sa.select(PRODUCT.c.version).where(*which))).scalar_one_or_none()
    return running
