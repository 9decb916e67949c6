"""A rollout begins: plan and limits are checked whole before the first row is written."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.release import AGENT as AGENT_PRODUCT
from fleetroll_server.catalogue.policies import require_above_floor
from fleetroll_server.catalogue.reads import newest_release, release
from fleetroll_server.domain.eligible import HostFacts, ReleaseFacts
from fleetroll_server.domain.plan import (
    Exclusion,
    Plan,
    PlannedWave,
    Selection,
    WaveSpec,
    plan,
)
from fleetroll_server.domain.states import (
    BEFORE_GO,
    ENDED_ROLLOUT,
    FINAL,
    AttemptState,
    RolloutKind,
    RolloutState,
    WaveState,
)
from fleetroll_server.domain.summary import HostView, WaveCounters, cohorts_of, count, shared_cohorts
from fleetroll_server.engine.advance import go_on
from fleetroll_server.engine.book import open_book
from fleetroll_server.engine.late import tell_older
from fleetroll_server.engine.listed import require_listed
from fleetroll_server.engine.superseding import replaceable, supersede
from fleetroll_server.engine.suspended import is_suspended
from fleetroll_server.recovery.state import refuse_while_recovering
from fleetroll_server.store.tables import (
    AgentRow,
    BudgetRow,
    ExclusionsRow,
    HostProductRow,
    RolloutHostRow,
    RolloutRow,
    WaveRow,
    table_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_server.catalogue.values import Release
    from fleetroll_server.domain.limits import RolloutLimits
    from fleetroll_server.engine.actor import Actor
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

AGENT = table_of(AgentRow)
BUDGET = table_of(BudgetRow)
EXCLUSIONS = table_of(ExclusionsRow)
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
        limits: defaults filled in.
        manual_advance: every wave but the first waits for a person.
        reason: why.
        acknowledge_breaking_changes: they are accepted.
        idempotency_key: the same key answers with the same rollout; empty for none.
        request_sha256: of the request's bytes: the same key with another request is refused.
        retry_bad: also where this digest was rolled back as bad.
        supersede: hosts are taken over from rollouts that are paused or halted, which end.
    """

    fleet_id: str
    product: str
    version: str
    selection: Selection
    waves: tuple[WaveSpec, ...]
    limits: RolloutLimits
    manual_advance: bool
    reason: str
    acknowledge_breaking_changes: bool
    idempotency_key: str
    request_sha256: str
    retry_bad: bool
    supersede: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A selected host that the rollout does not mean, and why: as it is answered, and stored for a repetition."""

    agent_id: str
    name: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Way:
    """What a rollout is for, where it is no update of hosts to one release.

    Attributes:
        kind: as the rollout's row says it.
        parent_id: the rollout that it takes back; empty for none.
        goes_back: every host goes to a version that it had before.
        targets: version and artefact of a host, by its id, where they are the host's own.
    """

    kind: RolloutKind = RolloutKind.UPDATE
    parent_id: str = ""
    goes_back: bool = False
    targets: Mapping[str, tuple[str, str]] = field(default_factory=dict)


UPDATE = Way()


async def start(tx: Tx, services: Services, order: Order, actor: Actor) -> tuple[str, tuple[LeftOut, ...]]:
    """Plan and start; return the rollout's id and who is left out, at most :data:`MAX_EXCLUSIONS`.

    The same idempotency key answers with the same again, whatever became of those hosts meanwhile.

    Raises:
        RequestError: the plan can't be made, there is no such release, or the kill switch is pressed (caller's fault).
    """
    known = await _known(tx, order)
    if known is not None:
        return known, await _known_exclusions(tx, order, known)
    await refuse_while_recovering(tx.connection, "no rollout is started")
    if await is_suspended(tx, order.fleet_id):
        message = "the kill switch is pressed for this fleet"
        raise RequestError(message, code=Code.SUSPENDED, remedy="lift it, then start the rollout")
    chosen = await release_for(tx, order)
    claims = await claims_of(tx, order.fleet_id, order.product)
    replaced = await replaceable(tx, order.fleet_id, set(claims.values())) if order.supersede else frozenset()
    standing = {agent: holder for agent, holder in claims.items() if holder not in replaced}
    planned = plan(order.selection, order.waves, await _fleet(tx, order, standing), release_facts(chosen))
    rollout_id = services.ids.new("rollout")
    await write_plan(tx, order, actor, chosen, rollout_id, planned)
    meant = {claims.get(host.agent_id, "") for wave in planned.waves for host in wave.hosts}
    await supersede(tx, services, order.fleet_id, replaced & meant, rollout_id, actor)
    left_out = tuple(said_of(found) for found in planned.exclusions[:MAX_EXCLUSIONS])
    if order.idempotency_key and left_out:
        hosts = [asdict(found) for found in left_out]
        await tx.execute(sa.insert(EXCLUSIONS).values(rollout_id=rollout_id, fleet_id=order.fleet_id, hosts=hosts))
    book = await open_book(tx, rollout_id, order.fleet_id)
    if book is not None:
        tx.emit(book.event("rollout.state", actor, order.reason, message=RolloutState.RUNNING.value))
        await go_on(tx, services, book)
        await tell_older(tx, services, book)
    return rollout_id, left_out


def said_of(found: Exclusion) -> LeftOut:
    """Return what is said of an excluded host."""
    return LeftOut(found.host.agent_id, found.host.name, found.code.value, found.message)


async def _known_exclusions(tx: Tx, order: Order, rollout_id: str) -> tuple[LeftOut, ...]:
    """Return whom the start left out that this request repeats."""
    mine = (EXCLUSIONS.c.rollout_id == rollout_id, EXCLUSIONS.c.fleet_id == order.fleet_id)
    stored = (await tx.execute(sa.select(EXCLUSIONS.c.hosts).where(*mine))).scalar_one_or_none()
    return tuple(LeftOut(**host) for host in stored or ())


async def _known(tx: Tx, order: Order) -> str | None:
    """Return the rollout that an earlier request with the same key started."""
    if not order.idempotency_key:
        return None
    query = sa.select(ROLLOUT.c.id, ROLLOUT.c.request_sha256).where(
        ROLLOUT.c.fleet_id == order.fleet_id, ROLLOUT.c.idempotency_key == order.idempotency_key
    )
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return None
    if row.request_sha256 != order.request_sha256:
        message = "idempotency_key: it was used for another request"
        raise RequestError(message, code=Code.ALREADY_EXISTS, remedy="use a new key", rollout=row.id)
    found: str = row.id
    return found


async def release_for(tx: Tx, order: Order) -> Release:
    """Return the release to roll out.

    Raises:
        RequestError: NOT_FOUND, YANKED, BELOW_FLOOR; NOT_ALLOWED: breaking changes were not acknowledged (caller's
            fault).
    """
    if order.version:
        chosen = await release(tx.connection, order.product, order.version)
    else:
        chosen = await newest_release(tx.connection, order.product)
    await require_listed(tx, chosen.id)
    await require_above_floor(tx.connection, chosen.product, chosen.parsed_version)
    if chosen.breaking_changes and not order.acknowledge_breaking_changes:
        message = f"version: {chosen.version} has breaking changes: {chosen.breaking_changes[:300]}"
        remedy = "read them, then acknowledge them"
        raise RequestError(message, code=Code.NOT_ALLOWED, remedy=remedy, field="acknowledge_breaking_changes")
    return chosen


def release_facts(chosen: Release) -> ReleaseFacts:
    """Return what the plan must know of the release."""
    artifacts = {artifact.platform: artifact.sha256 for artifact in chosen.artifacts}
    return ReleaseFacts(chosen.product, chosen.version, artifacts, chosen.supported_from)


async def _fleet(tx: Tx, order: Order, claims: Mapping[str, str]) -> list[HostFacts]:
    """Return every host of the fleet, with the rollout that holds it; once per rollout."""
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


async def write_plan(
    tx: Tx, order: Order, actor: Actor, chosen: Release, rollout_id: str, planned: Plan, way: Way = UPDATE
) -> None:
    """Write the rollout, its budget, its waves and its hosts."""
    by = {"actor_kind": actor.kind, "actor_id": actor.id}
    await tx.execute(
        sa.insert(ROLLOUT).values(
            **by,
            id=rollout_id,
            fleet_id=order.fleet_id,
            product=order.product,
            version=chosen.version,
            release_id=chosen.id,
            state=RolloutState.RUNNING.value,
            revision=1,
            limits=order.limits.to_json(),
            selection=_stored(order.selection),
            manual_advance=order.manual_advance,
            retry_bad=order.retry_bad,
            reason=order.reason,
            idempotency_key=order.idempotency_key or None,
            request_sha256=order.request_sha256,
            state_actor_kind=actor.kind,
            state_actor_id=actor.id,
            state_reason=order.reason,
            state_code="",
            state_changed_at=tx.now,
            created_at=tx.now,
            not_after=tx.now + timedelta(seconds=order.limits.not_after_seconds),
            stopped_at=None,
            ended_at=None,
            let_finish=False,
            kind=way.kind.value,
            parent_id=way.parent_id,
            goes_back=way.goes_back,
        )
    )
    await tx.execute(
        sa.insert(BUDGET).values(
            scope=f"rollout/{rollout_id}",
            fleet_id=order.fleet_id,
            max_in_use=order.limits.max_concurrent,
            max_out=order.limits.max_out,
            in_use=0,
            broken=0,
        )
    )
    await tx.execute(sa.insert(WAVE), [_wave(order, rollout_id, wave) for wave in planned.waves])
    members = [(wave.number, place, host) for wave in planned.waves for place, host in enumerate(wave.hosts)]
    await tx.execute(sa.insert(HOST), [_host(tx, order, rollout_id, way, *member) for member in members])


def _wave(order: Order, rollout_id: str, wave: PlannedWave) -> dict[str, Any]:
    """Return the row of a wave whose hosts are all pending."""
    hosts = len(wave.hosts)
    counters: WaveCounters = count(HostView(AttemptState.PENDING) for _ in range(hosts))
    cohorts = shared_cohorts(host.cohorts for host in wave.hosts)
    counters = replace(counters, planned_cohorts=True, cohorts=cohorts)
    return {
        "rollout_id": rollout_id,
        "number": wave.number,
        "fleet_id": order.fleet_id,
        "state": WaveState.PENDING.value,
        "planned": hosts,
        "counters": counters.to_json(),
        "gate": "",
        "baked_seconds": 0.0,
        "bake_ticked_at": None,
        "opened_at": None,
        "moved_at": None,
        "ended_at": None,
    }


def _host(tx: Tx, order: Order, rollout_id: str, way: Way, wave: int, position: int, host: HostFacts) -> dict[str, Any]:
    """Return the row of a pending host."""
    target_version, target_sha256 = way.targets.get(host.agent_id, ("", ""))
    nothing = dict.fromkeys(("generation", "retry_at", "offered_at", "granted_at", "ended_at", "deadline"))
    empty = dict.fromkeys(("step", "code", "message", "output_tail", "waiting", "sha256"), "")
    return {
        **nothing,
        **empty,
        "rollout_id": rollout_id,
        "agent_id": host.agent_id,
        "fleet_id": order.fleet_id,
        "product": order.product,
        "name": host.name,
        "wave": wave,
        "position": position,
        "state": AttemptState.PENDING.value,
        "tries": 0,
        "from_version": host.version,
        "session_epoch": 0,
        "last_ask": 0,
        "attempted": False,
        "unproven": False,
        "late": False,
        "forgiven": False,
        "changed_at": tx.now,
        "target_version": target_version,
        "target_sha256": target_sha256,
        "retry_bad": False,
    }


def _stored(selection: Selection) -> dict[str, Any]:
    """Return the selection as it is stored and shown."""
    return {
        "hosts": list(selection.hosts),
        "labels": dict(selection.labels),
        "exclude": list(selection.exclude),
    }
