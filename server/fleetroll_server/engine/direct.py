"""One host now: a rollout of its own, with one wave and one host, through the same machine as any other.

A host that waits for its turn in a running rollout may be taken by it; that one finds it at the target then, and skips
it. A host that has its offer there is refused: one thing at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.ids import attempt_id, local_attempt_id
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.release import AGENT as AGENT_PRODUCT
from fleetroll_server.catalogue.policies import product_policy
from fleetroll_server.catalogue.reads import release
from fleetroll_server.domain import direct as rules
from fleetroll_server.domain.eligible import HostFacts, Objection, objection
from fleetroll_server.domain.hostrules import UNRULED
from fleetroll_server.domain.limits import RolloutLimits
from fleetroll_server.domain.plan import Plan, PlannedWave, Selection
from fleetroll_server.domain.policy import limits_of
from fleetroll_server.domain.reverting import Returning
from fleetroll_server.domain.reverting import objection as objection_to_return
from fleetroll_server.domain.states import FINAL, AttemptState, RolloutKind, RolloutState
from fleetroll_server.domain.summary import cohorts_of
from fleetroll_server.engine.advance import go_on
from fleetroll_server.engine.book import open_book
from fleetroll_server.engine.kept_locals import LOCAL
from fleetroll_server.engine.late import tell_older
from fleetroll_server.engine.moves import AGENT, CLAIM, HOST
from fleetroll_server.engine.offers import PRODUCT, presence_of
from fleetroll_server.engine.people import refuse_while_suspended
from fleetroll_server.engine.planned_rows import Way, write_plan
from fleetroll_server.engine.starting import Draft, Order, release_facts, release_for
from fleetroll_server.engine.targets import facts_of
from fleetroll_server.hosts.inventory import host_not_found
from fleetroll_server.policies.reading import read_policies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from fleetroll_server.catalogue.values import Release
    from fleetroll_server.domain.hostrules import HostRules
    from fleetroll_server.engine.actor import Actor
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

_ENDED = sorted(state.value for state in FINAL)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants of one host.

    Attributes:
        agent: id or name.
        fleets: of the caller.
        product: the product.
        reason: why.
        version: empty for the newest that is published.
        retry_bad: also where this digest was rolled back as bad.
        acknowledge_breaking_changes: they are accepted.
    """

    agent: str
    fleets: Sequence[str]
    product: str
    reason: str
    version: str = ""
    retry_bad: bool = False
    acknowledge_breaking_changes: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """What was begun: which attempt, steered by which rollout, from where to where."""

    agent_id: str
    product: str
    generation: int
    rollout_id: str
    from_version: str
    to_version: str

    @property
    def attempt_id(self) -> str:
        """Return the attempt's one id."""
        return attempt_id(self.agent_id, self.product, self.generation)


async def update(tx: Tx, services: Services, wish: Wish, actor: Actor) -> Begun:
    """Bring one host to a release now.

    Raises:
        RequestError: by the codes of :mod:`fleetroll_server.domain.direct`; HOST_NOT_FOUND; NOT_FOUND, YANKED,
            BELOW_FLOOR or NOT_ALLOWED: the release can't be begun with; SUSPENDED, RECOVERY (caller's fault).
    """
    row = await _host(tx, wish)
    await refuse_while_suspended(tx, row["fleet_id"])
    order = _order(wish, row)
    policies = await read_policies(tx.connection, row["fleet_id"], wish.product, [row["id"]])
    ruled = policies.rules(row["id"], row["time_zone"], tx.now)
    chosen = await release_for(tx, order, ruled)
    host, standing = _facts(row, wish.product, ruled), await _standing(tx, row, wish.product)
    found = objection(host, release_facts(chosen))
    if found is not None and found.code is Code.HOST_REVOKED:
        raise rules.refuse(standing, found)
    rules.require_free(standing)
    if found is not None:
        raise rules.refuse(standing, found)
    drafted = _draft(chosen, limits_of(policies.held(), order.limits), host)
    return await _begin(tx, services, order, actor, drafted, Way(RolloutKind.DIRECT))


async def roll_back(tx: Tx, services: Services, wish: Wish, actor: Actor) -> Begun:
    """Bring one host back to the version that it had before.

    Raises:
        RequestError: as :func:`update`; NOT_ALLOWED: there is no version before, or it was changed too long ago;
            NO_ARTIFACT, DIGEST_REVOKED, BELOW_FLOOR (caller's fault).
    """
    row = await _host(tx, wish)
    await refuse_while_suspended(tx, row["fleet_id"])
    host, standing = _facts(row, wish.product, UNRULED), await _standing(tx, row, wish.product)
    before = str(row["previous"] or "")
    known = (await facts_of(tx, wish.product, {before})).get(before)
    policy = await product_policy(tx.connection, wish.product)
    floor = policy.floor if policy is not None else None
    changed_at = await _changed_at(tx, row, wish.product)
    returning = Returning(
        state=AttemptState.SUCCEEDED,
        attempted=True,
        running=host.version,
        before=before,
        platform=host.platform,
        changed_at=changed_at,
        revoked=host.revoked,
        keeps=host.keeps,
    )
    found = objection_to_return(returning, host.version, known, floor, tx.now)
    if found is not None and found.code is Code.HOST_REVOKED:
        raise rules.refuse(standing, found)
    rules.require_free(standing)
    if found is not None or known is None:
        found = found or Objection(Code.NO_ARTIFACT, "cannot go back")
        raise rules.refuse(standing, Objection(found.code, f"{host.name}: {found.message}"))
    chosen = await release(tx.connection, wish.product, before)
    targets = {host.agent_id: (before, known.sha256_for(host.platform))}
    way = Way(RolloutKind.DIRECT, goes_back=True, targets=targets)
    order = _order(wish, row)
    drafted = _draft(chosen, RolloutLimits.from_request(order.limits), host)
    return await _begin(tx, services, order, actor, drafted, way)


def _draft(chosen: Release, limits: RolloutLimits, host: HostFacts) -> Draft:
    """Return the plan of one wave with one host."""
    return Draft(chosen, limits, Plan((PlannedWave(1, (host,)),), ()))


async def _begin(tx: Tx, services: Services, order: Order, actor: Actor, drafted: Draft, way: Way) -> Begun:
    """Write the rollout and make its offer.

    Raises:
        RequestError: the offer could not be made: somebody else took the host at this moment (caller's fault).
    """
    rollout_id = services.ids.new("rollout")
    (host,) = drafted.plan.waves[0].hosts
    await write_plan(tx, order, actor, drafted, rollout_id, way=way)
    book = await open_book(tx, rollout_id, order.fleet_id)
    if book is not None:
        tx.emit(book.event("rollout.state", actor, order.reason, message=RolloutState.RUNNING.value))
        await go_on(tx, services, book)
        await tell_older(tx, services, book)
    mine = (HOST.c.rollout_id == rollout_id, HOST.c.fleet_id == order.fleet_id, HOST.c.agent_id == host.agent_id)
    row = (await tx.execute(sa.select(HOST).where(*mine))).mappings().one()
    if row["generation"] is None:
        code = Code(row["waiting"] or row["code"] or Code.SEND_FAILED.value)
        raise rules.refusal(code, f"{host.name}: the offer could not be made", "try again")
    return Begun(host.agent_id, order.product, row["generation"], rollout_id, host.version, drafted.release.version)


async def _host(tx: Tx, wish: Wish) -> Mapping[str, Any]:
    """Return the host's row with what it runs of the product; of several of a name the one that is not revoked.

    Raises:
        RequestError: HOST_NOT_FOUND; INVALID_ARGUMENT: several hosts share the name (caller's fault).
    """
    here = sa.and_(
        PRODUCT.c.agent_id == AGENT.c.id, PRODUCT.c.product == wish.product, PRODUCT.c.fleet_id == AGENT.c.fleet_id
    )
    query = (
        sa.select(
            AGENT,
            PRODUCT.c.version.label("running"),
            PRODUCT.c.previous_version.label("previous"),
            PRODUCT.c.last_success_at,
        )
        .select_from(AGENT.outerjoin(PRODUCT, here))
        .where(AGENT.c.fleet_id.in_(wish.fleets), sa.or_(AGENT.c.id == wish.agent, AGENT.c.name == wish.agent))
        .order_by(AGENT.c.revoked, AGENT.c.id)
        .limit(3)
    )
    rows = [dict(row) for row in (await tx.execute(query)).mappings()]
    exact = [row for row in rows if row["id"] == wish.agent]
    found = exact or [row for row in rows if not row["revoked"]] or rows[:1]
    if not found:
        raise host_not_found(wish.agent)
    if len(found) > 1:
        message = f"agent: several hosts are called {wish.agent[:80]!r}"
        remedy = f"name it by its id, such as {found[0]['id']}"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="agent")
    return found[0]


async def _standing(tx: Tx, row: Mapping[str, Any], product: str) -> rules.Standing:
    """Return whether anything keeps the host from being meant now."""
    which = (HOST.c.agent_id == row["id"], HOST.c.fleet_id == row["fleet_id"], HOST.c.product == product)
    held = sa.select(HOST.c.agent_id).where(
        *which, HOST.c.state.not_in(_ENDED), HOST.c.waiting == Code.HELD_LOCALLY.value
    )
    going_on, rollout_id = await _going_on(tx, row, product)
    return rules.Standing(
        name=row["name"],
        running=row["running"] or "",
        presence=presence_of(row, tx.now),
        quarantined=row["quarantined"],
        held=(await tx.execute(held.limit(1))).first() is not None,
        attempt_id=going_on,
        rollout_id=rollout_id,
    )


async def _going_on(tx: Tx, row: Mapping[str, Any], product: str) -> tuple[str, str]:
    """Return the attempt of the product that goes on there, and the rollout that steers it; empty for none."""
    theirs = sa.and_(
        HOST.c.rollout_id == CLAIM.c.rollout_id,
        HOST.c.agent_id == CLAIM.c.agent_id,
        HOST.c.fleet_id == CLAIM.c.fleet_id,
    )
    mine = (CLAIM.c.agent_id == row["id"], CLAIM.c.fleet_id == row["fleet_id"], CLAIM.c.product == product)
    query = sa.select(CLAIM.c.rollout_id, HOST.c.generation).select_from(CLAIM.join(HOST, theirs)).where(*mine)
    claim = (await tx.execute(query)).one_or_none()
    if claim is not None:
        return attempt_id(row["id"], product, claim.generation or 0), claim.rollout_id
    own = (LOCAL.c.agent_id == row["id"], LOCAL.c.fleet_id == row["fleet_id"], LOCAL.c.product == product)
    begun = sa.select(LOCAL.c.number).where(*own, LOCAL.c.ended_at.is_(None)).order_by(LOCAL.c.number.desc())
    number = (await tx.execute(begun.limit(1))).scalar_one_or_none()
    return ("", "") if number is None else (local_attempt_id(row["id"], product, number), "")


async def _changed_at(tx: Tx, row: Mapping[str, Any], product: str) -> datetime | None:
    """Return when the product was last changed on the host, by whomever; None where nobody was told."""
    own = (LOCAL.c.agent_id == row["id"], LOCAL.c.fleet_id == row["fleet_id"], LOCAL.c.product == product)
    newest = sa.select(sa.func.max(LOCAL.c.ended_at)).where(*own, LOCAL.c.state == AttemptState.SUCCEEDED.value)
    there = (await tx.execute(newest)).scalar_one_or_none()
    return max((at for at in (row["last_success_at"], there) if at is not None), default=None)


def _facts(row: Mapping[str, Any], product: str, ruled: HostRules) -> HostFacts:
    """Return the host as a plan has it."""
    return HostFacts(
        agent_id=row["id"],
        name=row["name"],
        labels=row["labels"],
        platform=Platform.said(row["os"], row["arch"], row["abi"]),
        version=row["running"] or "",
        revoked=row["revoked"],
        claimed_by="",
        cohorts=cohorts_of(row["os"], row["arch"], row["abi"], row["labels"]),
        keeps=row["running"] is not None or product == AGENT_PRODUCT,
        rules=ruled,
    )


def _order(wish: Wish, row: Mapping[str, Any]) -> Order:
    """Return the wish as a rollout is asked for."""
    return Order(
        fleet_id=row["fleet_id"],
        product=wish.product,
        version=wish.version,
        selection=Selection(hosts=(row["id"],)),
        waves=(),
        limits={"not_after_seconds": rules.NOT_AFTER_SECONDS},
        manual_advance=False,
        reason=wish.reason,
        acknowledge_breaking_changes=wish.acknowledge_breaking_changes,
        idempotency_key="",
        request_sha256="",
        retry_bad=wish.retry_bad,
    )
