"""A rollout is taken back by another one, which brings each of its hosts to the version that it had before.

In one transaction the rollout is ROLLING_BACK, from which on nothing of it is offered and no Go is given, and its
revert stands with all its hosts. Those before Go leave; those past Go that the revert means are recalled, and the
revert waits for each until what it had begun has ended: so no host is told two things at once. Results stay where they
are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.release import AGENT as AGENT_PRODUCT
from fleetroll_server.catalogue.policies import product_policy
from fleetroll_server.catalogue.reads import release
from fleetroll_server.domain.eligible import HostFacts
from fleetroll_server.domain.limits import RolloutLimits
from fleetroll_server.domain.plan import Exclusion, Plan, PlannedWave, Selection
from fleetroll_server.domain.reverting import Mode, Returning, is_meant, objection
from fleetroll_server.domain.states import (
    BAD,
    PAST_GO,
    ROLLOUT_TRANSITIONS,
    AttemptState,
    RolloutKind,
    RolloutState,
    RolloutTrigger,
    transition,
)
from fleetroll_server.domain.summary import cohorts_of
from fleetroll_server.engine.advance import go_on
from fleetroll_server.engine.book import open_book
from fleetroll_server.engine.people import refuse_while_suspended, require_book, require_seen
from fleetroll_server.engine.planned_rows import Way, write_plan
from fleetroll_server.engine.starting import AGENT, HOST, PRODUCT, Draft, Order, claims_of, left_out_of
from fleetroll_server.engine.targets import facts_of
from fleetroll_server.engine.winding import wind_up

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fleetroll_server.engine.actor import Actor
    from fleetroll_server.engine.book import Book
    from fleetroll_server.engine.repeated import LeftOut
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

OWN_DEFAULTS = ("bake_seconds", "min_sample", "not_after_seconds", "offline_policy", "max_out")
"""Limits that a revert does not take over: what it goes back to has run before, and who sleeps is waited for."""


@dataclass(frozen=True, slots=True)
class BackOrder:
    """What was asked for.

    Attributes:
        rollout_id: what is taken back.
        fleet_id: its fleet.
        mode: which of its hosts.
        wave: number of the wave that ``mode`` means; 0 for the newest that was opened.
        reason: why.
        said: limits that were said, by stored name.
    """

    rollout_id: str
    fleet_id: str
    mode: Mode
    wave: int
    reason: str
    said: Mapping[str, Any]


async def roll_back(
    tx: Tx, services: Services, order: BackOrder, actor: Actor, revision: int
) -> tuple[str, tuple[LeftOut, ...]]:
    """Take a rollout back; return its revert's id, and who is left out, at most :data:`MAX_EXCLUSIONS`.

    Raises:
        RequestError: NOT_FOUND, STALE_DECISION, ROLLOUT_STATE, SUSPENDED; NO_HOSTS: nobody can go back (caller's
            fault).
    """
    book = await require_book(tx, order.rollout_id, order.fleet_id)
    require_seen(book, revision)
    return await take_back(tx, services, book, order, actor)


async def take_back(
    tx: Tx, services: Services, book: Book, order: BackOrder, actor: Actor
) -> tuple[str, tuple[LeftOut, ...]]:
    """Take an open book's rollout back; as :func:`roll_back`."""
    if book.row["goes_back"]:
        message = f"rollout_id: {book.id} takes hosts back itself"
        raise RequestError(message, code=Code.ROLLOUT_STATE, remedy="start a rollout of the version that you want")
    state = transition(ROLLOUT_TRANSITIONS, book.state, RolloutTrigger.ROLL_BACK)
    await refuse_while_suspended(tx, book.fleet_id)
    limits = limits_for(book, order.said)
    planned, targets = await _plan(tx, book, order)
    revert_id = services.ids.new("rollout")
    way = Way(RolloutKind.REVERT, book.id, goes_back=True, targets=targets)
    version = Counter(version for version, _ in targets.values()).most_common(1)[0][0]
    chosen = await release(tx.connection, book.row["product"], version)
    drafted = Draft(chosen, limits, planned)
    await write_plan(tx, _order(book, order, version), actor, drafted, revert_id, way=way)
    book.set_state(tx, state, actor, order.reason)
    await wind_up(tx, services, book)
    await go_on(tx, services, book)
    revert = await open_book(tx, revert_id, book.fleet_id)
    if revert is not None:
        tx.emit(revert.event("rollout.state", actor, order.reason, message=RolloutState.RUNNING.value))
        await go_on(tx, services, revert)
    return revert_id, left_out_of(planned)


def limits_for(book: Book, said: Mapping[str, Any]) -> RolloutLimits:
    """Return the limits of a revert: what was said, else those of the rollout that it takes back.

    Raises:
        RequestError: THRESHOLD_MISSING or INVALID_ARGUMENT (caller's fault).
    """
    stored = book.stored_limits
    known = stored.to_json() if isinstance(stored, RolloutLimits) else {}
    return RolloutLimits.from_request({n: v for n, v in known.items() if n not in OWN_DEFAULTS} | dict(said))


async def _plan(tx: Tx, book: Book, order: BackOrder) -> tuple[Plan, dict[str, tuple[str, str]]]:
    """Return the plan, and each host's version and artefact.

    Raises:
        RequestError: NO_HOSTS (caller's fault).
    """
    rows = await _meant(tx, book, order)
    claims = await claims_of(tx, book.fleet_id, book.row["product"])
    known = await facts_of(tx, book.row["product"], {_before(row) for row in rows})
    policy = await product_policy(tx.connection, book.row["product"])
    floor = policy.floor if policy is not None else None
    exclusions, members, targets = [], [], {}
    for row in rows:
        host, before = _facts(row, book), known.get(_before(row))
        claimed = claims.get(host.agent_id, "")
        returning = _returning(row, host, claimed if claimed != book.id else "")
        found = objection(returning, book.row["version"], before, floor, tx.now)
        if found is not None:
            exclusions.append(Exclusion(host, found.code, f"{host.name}: {found.message}"))
        elif before is not None:
            members.append(host)
            targets[host.agent_id] = (before.version, before.sha256_for(host.platform))
    if not members:
        raise _nobody(book, exclusions)
    return Plan((PlannedWave(1, tuple(members)),), tuple(exclusions)), targets


async def _meant(tx: Tx, book: Book, order: BackOrder) -> Sequence[Mapping[str, Any]]:
    """Return the hosts that are meant, bad ones first, else in the stored order; once per revert."""
    agent = sa.and_(AGENT.c.id == HOST.c.agent_id, AGENT.c.fleet_id == HOST.c.fleet_id)
    product = sa.and_(
        PRODUCT.c.agent_id == HOST.c.agent_id,
        PRODUCT.c.product == HOST.c.product,
        PRODUCT.c.fleet_id == HOST.c.fleet_id,
    )
    names = ("os", "arch", "abi", "labels", "revoked")
    query = (
        sa.select(
            HOST,
            *(AGENT.c[name] for name in names),
            PRODUCT.c.version.label("running"),
            PRODUCT.c.previous_version.label("previous"),
        )
        .select_from(HOST.join(AGENT, agent).outerjoin(PRODUCT, product))
        .where(HOST.c.rollout_id == book.id, HOST.c.fleet_id == book.fleet_id)
        .order_by(HOST.c.wave, HOST.c.position)
    )
    if order.mode is Mode.WAVE:
        query = query.where(HOST.c.wave == _wave(book, order.wave))
    rows = [dict(row) for row in (await tx.execute(query)).mappings()]
    meant = [row for row in rows if is_meant(order.mode, AttemptState(row["state"]), attempted=row["attempted"])]
    return sorted(meant, key=lambda row: AttemptState(row["state"]) not in BAD)


def _wave(book: Book, number: int) -> int:
    """Return which wave is meant.

    Raises:
        RequestError: there is no such wave (caller's fault).
    """
    opened = [wave.number for wave in book.waves if wave.row["opened_at"] is not None]
    if number == 0:
        return max(opened, default=1)
    if number not in opened:
        message = f"wave: {number} is no wave of {book.id} that was opened"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="name one that the rollout shows", field="wave")
    return number


def _before(row: Mapping[str, Any]) -> str:
    """Return the version that a host had before: what it ran when it was offered this one, else what it says itself."""
    return str(row["from_version"] or row["previous"] or "")


def _facts(row: Mapping[str, Any], book: Book) -> HostFacts:
    """Return the host as a plan has it."""
    return HostFacts(
        agent_id=row["agent_id"],
        name=row["name"],
        labels=row["labels"],
        platform=Platform.said(row["os"], row["arch"], row["abi"]),
        version=row["running"] or "",
        revoked=row["revoked"],
        claimed_by="",
        cohorts=cohorts_of(row["os"], row["arch"], row["abi"], row["labels"]),
        keeps=row["running"] is not None or book.row["product"] == AGENT_PRODUCT,
    )


def _returning(row: Mapping[str, Any], host: HostFacts, claimed_by: str) -> Returning:
    """Return the host as the rules have it."""
    state = AttemptState(row["state"])
    return Returning(
        state=state,
        attempted=row["attempted"],
        running=host.version,
        before=_before(row),
        platform=host.platform,
        changed_at=None if state in PAST_GO else row["ended_at"],
        revoked=host.revoked,
        keeps=host.keeps,
        claimed_by=claimed_by,
    )


def _order(book: Book, order: BackOrder, version: str) -> Order:
    """Return the revert as a rollout is asked for."""
    return Order(
        fleet_id=book.fleet_id,
        product=book.row["product"],
        version=version,
        selection=Selection(),
        waves=(),
        limits={},
        manual_advance=False,
        reason=order.reason,
        acknowledge_breaking_changes=True,
        idempotency_key="",
        request_sha256="",
        retry_bad=False,
    )


def _nobody(book: Book, exclusions: Sequence[Exclusion]) -> RequestError:
    """Return the refusal of a revert that would touch no host; it names up to five with their reasons."""
    named = "; ".join(found.message for found in exclusions[:5])
    more = f" and {len(exclusions) - 5} more" if len(exclusions) > 5 else ""  # noqa: PLR2004 (as named)
    message = f"no host of {book.id} can go back: {named}{more}" if exclusions else f"no host of {book.id} was changed"
    return RequestError(message, code=Code.NO_HOSTS, remedy="cancel the rollout, or start one of another version")
