"""A rollout begins: plan and limits are checked whole before the first row is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.release import AGENT as AGENT_PRODUCT
from fleetroll_server.catalogue.policies import require_above_floor
from fleetroll_server.catalogue.reads import STABLE, newest_first, newest_release, release
from fleetroll_server.domain import approval
from fleetroll_server.domain.behind import Newest
from fleetroll_server.domain.eligible import HostFacts, ReleaseFacts
from fleetroll_server.domain.openings import require_openings
from fleetroll_server.domain.plan import (
    Plan,
    Selection,
    Shape,
    WaveSpec,
    plan,
)
from fleetroll_server.domain.policy import limits_of
from fleetroll_server.domain.states import (
    BEFORE_GO,
    ENDED_ROLLOUT,
    FINAL,
    RolloutState,
)
from fleetroll_server.domain.summary import cohorts_of
from fleetroll_server.engine import repeated
from fleetroll_server.engine.advance import go_on
from fleetroll_server.engine.book import open_book
from fleetroll_server.engine.late import tell_older
from fleetroll_server.engine.listed import require_listed
from fleetroll_server.engine.planned_rows import write_plan
from fleetroll_server.engine.repeated import LeftOut
from fleetroll_server.engine.superseding import replaceable, supersede
from fleetroll_server.engine.suspended import is_suspended
from fleetroll_server.policies.reading import read_policies
from fleetroll_server.recovery.state import refuse_while_recovering
from fleetroll_server.store.tables import (
    AgentRow,
    BudgetRow,
    HostProductRow,
    RolloutHostRow,
    RolloutRow,
    WaveRow,
    table_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_server.catalogue.values import Release
    from fleetroll_server.domain.checkspec import CheckSpec
    from fleetroll_server.domain.hostrules import HostRules
    from fleetroll_server.domain.limits import RolloutLimits
    from fleetroll_server.engine.actor import Actor
    from fleetroll_server.policies.reading import Policies
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

AGENT = table_of(AgentRow)
BUDGET = table_of(BudgetRow)
HOST = table_of(RolloutHostRow)
PRODUCT = table_of(HostProductRow)
ROLLOUT = table_of(RolloutRow)
WAVE = table_of(WaveRow)
MAX_EXCLUSIONS = 1000
"""As many hosts that are left out are named in an answer, by the contract."""


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for, checked field by field.

    Attributes:
        fleet_id: the fleet.
        product: the product.
        version: empty for the newest that is published.
        selection: which hosts.
        waves: in order.
        limits: what was said of them, by name; the start fills in the rest.
        manual_advance: every wave but the first waits for a person.
        reason: why.
        acknowledge_breaking_changes: they are accepted.
        idempotency_key: the same key answers with the same rollout; empty for none.
        request_sha256: of the request's bytes: the same key with another request is refused.
        retry_bad: also where this digest was rolled back as bad.
        checks: of its gate.
        shape: batch size and order of the waves.
        wave_approval: the person who opens a wave must be another one than who starts it; ``manual_advance`` then, too.
        require_approval: nothing begins before a second person has approved it.
        start_at: when it begins; None for at once.
        supersede: hosts are taken over from rollouts that are paused or halted, which end.
    """

    fleet_id: str
    product: str
    version: str
    selection: Selection
    waves: tuple[WaveSpec, ...]
    limits: Mapping[str, object]
    manual_advance: bool
    reason: str
    acknowledge_breaking_changes: bool
    idempotency_key: str
    request_sha256: str
    retry_bad: bool
    checks: tuple[CheckSpec, ...] = ()
    shape: Shape = Shape()  # noqa: RUF009 (it can't change)
    wave_approval: bool = False
    require_approval: bool = False
    start_at: datetime | None = None
    supersede: bool = False


async def start(tx: Tx, services: Services, order: Order, actor: Actor) -> tuple[str, tuple[LeftOut, ...]]:
    """Plan and start; return the rollout's id and who is left out, at most :data:`MAX_EXCLUSIONS`.

    The same idempotency key answers with the same again, whatever became of those hosts meanwhile.

    Raises:
        RequestError: the plan can't be made, there is no such release, or the kill switch is pressed (caller's fault).
    """
    known = await repeated.known(tx, order)
    if known is not None:
        return known, await repeated.known_exclusions(tx, order, known)
    await refuse_while_recovering(tx.connection, "no rollout is started")
    if await is_suspended(tx, order.fleet_id):
        message = "the kill switch is pressed for this fleet"
        raise RequestError(message, code=Code.SUSPENDED, remedy="lift it, then start the rollout")
    approval.require_start_time(order.start_at, tx.now)
    drafted = await draft(tx, order, lock=True)
    _require_acknowledged(order, drafted.release)
    state = approval.first_state(require_approval=order.require_approval, start_at=order.start_at)
    _refuse_late_replacement(order, state)
    rollout_id = services.ids.new("rollout")
    await write_plan(tx, order, actor, drafted, rollout_id, state=state)
    await supersede(tx, services, order.fleet_id, drafted.replaced, rollout_id, actor)
    left_out = left_out_of(drafted.plan)
    await repeated.keep_exclusions(tx, order, rollout_id, left_out)
    book = await open_book(tx, rollout_id, order.fleet_id)
    if book is not None:
        tx.emit(book.event("rollout.state", actor, order.reason, message=state.value))
        if state is RolloutState.RUNNING:
            await go_on(tx, services, book)
            await tell_older(tx, services, book)
    return rollout_id, left_out


def _refuse_late_replacement(order: Order, state: RolloutState) -> None:
    """Refuse to end other rollouts for one that waits itself: nobody may ever approve it."""
    if order.supersede and state is not RolloutState.RUNNING:
        message = "supersede: a rollout that waits for a person or a time replaces none"
        remedy = "cancel the other rollout first, or start this one at once"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="supersede")


@dataclass(frozen=True, slots=True)
class Draft:
    """What a start does, and a preview shows.

    Attributes:
        release: what is rolled out.
        limits: in force: what was asked for, else what the fleet's policy says, else the defaults.
        plan: the waves, and who is left out.
        replaced: rollouts that it takes hosts over from, and that end with it.
    """

    release: Release
    limits: RolloutLimits
    plan: Plan
    replaced: frozenset[str] = frozenset()


async def draft(tx: Tx, order: Order, *, lock: bool) -> Draft:
    """Plan, for a preview as for a start: reads alone. ``lock``: nobody takes the release back before the commit.

    Raises:
        RequestError: there is no such release, or the plan can't be made (caller's fault).
    """
    policies = await read_policies(tx.connection, order.fleet_id, order.product, None)
    limits, rules = limits_of(policies.held(), order.limits), policies.rules("", "", tx.now)
    chosen = await _choose(tx, order, rules, lock=lock)
    newest = None
    if order.selection.behind:
        found = await newest_first(tx.connection, order.product, rules.channel or STABLE)
        newest = Newest([release_facts(one) for one in found])
    claims = await claims_of(tx, order.fleet_id, order.product)
    holders = set(claims.values())
    replaced = await replaceable(tx, order.fleet_id, holders, lock=lock) if order.supersede else frozenset()
    standing = {agent: holder for agent, holder in claims.items() if holder not in replaced}
    facts = await _fleet(tx, order, policies, standing)
    planned = plan(order.selection, order.waves, facts, release_facts(chosen), shape=order.shape, newest=newest)
    members = [host for wave in planned.waves for host in wave.hosts]
    require_openings(members, order.start_at or tx.now, limits.not_after_seconds)
    meant = {claims.get(host.agent_id, "") for host in members}
    return Draft(chosen, limits, planned, replaced & meant)


def left_out_of(planned: Plan) -> tuple[LeftOut, ...]:
    """Return what is said of excluded hosts, of at most :data:`MAX_EXCLUSIONS`."""
    return tuple(
        LeftOut(found.host.agent_id, found.host.name, found.code.value, found.message)
        for found in planned.exclusions[:MAX_EXCLUSIONS]
    )


async def release_for(tx: Tx, order: Order, rules: HostRules) -> Release:
    """Return the release to roll out: the one that is named, else the newest that the policy allows; none is changed.

    Raises:
        RequestError: NOT_FOUND, YANKED, BELOW_FLOOR; NOT_ALLOWED: breaking changes were not acknowledged (caller's
            fault).
    """
    chosen = await _choose(tx, order, rules, lock=True)
    _require_acknowledged(order, chosen)
    return chosen


async def _choose(tx: Tx, order: Order, rules: HostRules, *, lock: bool) -> Release:
    """Return the release to roll out: the one that is named, else the newest that the fleet's policy allows.

    ``lock``: nobody takes it back before this transaction's end.

    Raises:
        RequestError: NOT_FOUND, YANKED, BELOW_FLOOR (caller's fault).
    """
    if order.version:
        chosen = await release(tx.connection, order.product, order.version)
    else:
        chosen = await newest_release(tx.connection, order.product, rules.channel or STABLE, rules.pin)
    await require_listed(tx, chosen.id, lock=lock)
    await require_above_floor(tx.connection, chosen.product, chosen.parsed_version)
    return chosen


def _require_acknowledged(order: Order, chosen: Release) -> None:
    """Refuse what breaks something, unless whoever starts it says that they know."""
    if chosen.breaking_changes and not order.acknowledge_breaking_changes:
        message = f"version: {chosen.version} has breaking changes: {chosen.breaking_changes[:300]}"
        remedy = "read them, then acknowledge them"
        raise RequestError(message, code=Code.NOT_ALLOWED, remedy=remedy, field="acknowledge_breaking_changes")


def release_facts(chosen: Release) -> ReleaseFacts:
    """Return what the plan must know of the release."""
    artifacts = {artifact.platform: artifact.sha256 for artifact in chosen.artifacts}
    return ReleaseFacts(chosen.product, chosen.version, artifacts, chosen.supported_from, chosen.channels)


async def _fleet(tx: Tx, order: Order, policies: Policies, claims: Mapping[str, str]) -> list[HostFacts]:
    """Return every host of the fleet, with its policy and the rollout that holds it; once per rollout."""
    here = sa.and_(
        PRODUCT.c.agent_id == AGENT.c.id, PRODUCT.c.product == order.product, PRODUCT.c.fleet_id == AGENT.c.fleet_id
    )
    query = (
        sa.select(AGENT, PRODUCT.c.version)
        .select_from(AGENT.outerjoin(PRODUCT, here))
        .where(AGENT.c.fleet_id == order.fleet_id)
    )
    return [
        HostFacts(
            agent_id=row["id"],
            name=row["name"],
            labels=row["labels"],
            platform=Platform.said(row["os"], row["arch"], row["abi"]),
            version=row["version"] or "",
            revoked=row["revoked"],
            claimed_by=claims.get(row["id"], ""),
            cohorts=cohorts_of(row["os"], row["arch"], row["abi"], row["labels"]),
            keeps=order.product == AGENT_PRODUCT or row["version"] is not None,
            rules=policies.rules(row["id"], row["time_zone"], tx.now),
        )
        for row in (await tx.execute(query)).mappings()
    ]


async def claims_of(tx: Tx, fleet_id: str, product: str) -> dict[str, str]:
    """Return which open rollout of the product means which host, by the host's id."""
    query = (
        sa.select(HOST.c.agent_id, HOST.c.rollout_id)
        .select_from(
            HOST.join(ROLLOUT, sa.and_(ROLLOUT.c.id == HOST.c.rollout_id, ROLLOUT.c.fleet_id == HOST.c.fleet_id))
        )
        .where(
            HOST.c.fleet_id == fleet_id,
            HOST.c.product == product,
            HOST.c.state.not_in([state.value for state in FINAL]),
            HOST.c.ended_at.is_(None),
            sa.or_(
                ROLLOUT.c.state.not_in([state.value for state in ENDED_ROLLOUT]),
                HOST.c.state.not_in([state.value for state in BEFORE_GO]),
            ),
        )
    )
    return {row.agent_id: row.rollout_id for row in (await tx.execute(query)).all()}
