"""A hello reconciles both sides, in the transaction that accepts it: the host's word of now is the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_server.anchoring.reported import write_serial
from fleetroll_server.domain.assignments import Step, judge_hello, judge_unheard
from fleetroll_server.domain.deadlines import deadline
from fleetroll_server.domain.states import BEFORE_GO, FINAL, AttemptState, RolloutState, Trigger
from fleetroll_server.engine import late, local, presence, silence
from fleetroll_server.engine.actor import HOST as HOST_ACTOR
from fleetroll_server.engine.advance import go_on
from fleetroll_server.engine.book import Book, open_book
from fleetroll_server.engine.counting import begin_anew
from fleetroll_server.engine.desire import ASSIGNMENT, desire
from fleetroll_server.engine.effects import is_over, take_step
from fleetroll_server.engine.excusing import delivered
from fleetroll_server.engine.holdings import release_broken
from fleetroll_server.engine.inventory import write_inventory, write_visit
from fleetroll_server.engine.keeping import end_if_dropped
from fleetroll_server.engine.moves import CHECK_IN, HOST, WINDOW, host_of, move, note
from fleetroll_server.engine.promotion import promotion
from fleetroll_server.engine.ruled import OPENED
from fleetroll_server.engine.suspended import is_suspended
from fleetroll_server.gateway.convert_out import Message, assignment
from fleetroll_server.recovery import orphans
from fleetroll_server.recovery.taking_over import take_over

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from fleetroll_server.domain.heard import HostSaid, Said
    from fleetroll_server.gateway.rules import Greeted
    from fleetroll_server.gateway.session import SessionKey
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

OFFLINE = Code.HOST_OFFLINE.value
QUARANTINED = Code.QUARANTINED.value
HELD = Code.HELD_LOCALLY.value
FORGOTTEN = "had Go, and came back without any memory of it: what became of it is not known"


async def greet(tx: Tx, services: Services, hello: Greeted) -> list[Message]:
    """Take in what the host says of itself; return what follows the welcome."""
    key, said_by_host = hello.key, hello.host
    if said_by_host.is_visit:
        await write_visit(tx, key)
        await left(tx, services, key)  # whoever could take an offer has gone, or was never there
        return []
    news = await write_inventory(tx, services, key, said_by_host, hello.held)
    await write_serial(tx, services, key.agent_id, said_by_host.anchors_serial)
    changed = news.changed
    await silence.heard(tx, key.agent_id, key.fleet_id)
    answers: list[Message] = []
    highest = {product.product: product.highest_generation for product in said_by_host.products}
    anew = frozenset() if hello.quarantined else await begin_anew(tx, key.agent_id, key.fleet_id, highest)
    if hello.shown is not None and hello.shown.counts:
        answers.extend(await take_over(tx, services, hello, hello.shown, highest))
    for host in await _open_hosts(tx, key):
        book = await open_book(tx, host["rollout_id"], key.fleet_id)
        if book is None:
            continue
        here = (host["product"], host["generation"])
        mine = [said for said in said_by_host.attempts if (said.product, said.generation) == here]
        taken = highest.get(host["product"], 0)
        if await end_if_dropped(tx, services, book, host, highest, mine):
            await go_on(tx, services, book)
            continue
        await _reconcile(tx, services, book, host, mine, taken, quarantined=hello.quarantined)
        if hello.quarantined or host["product"] in anew or not await _offers(tx, book):
            await _take_back(tx, services, book, host, taken)
        changed = await _is_here(tx, book, host, mine, quarantined=hello.quarantined) or changed
        await late.meet(tx, services, book, host)
        promote = await promotion(tx, book, host)
        answers.extend([promote] if promote is not None else [])
        await go_on(tx, services, book)
    changed = await local.shown(tx, key, said_by_host) or changed
    well = {product.product for product in said_by_host.products if product.healthy and not product.on_trial}
    if changed and not news.came:
        presence.note_change(tx, key)
    answers.extend(await _beside_rollouts(tx, key, said_by_host, well))
    answers.extend(await _desired(tx, key, highest, quarantined=hello.quarantined))
    return answers


async def _beside_rollouts(tx: Tx, key: SessionKey, host: HostSaid, well: Collection[str]) -> list[Message]:
    """Free what is well again; return permits for trials that no rollout steers."""
    answers = await orphans.shown(tx, key, host.attempts, well)
    for product in sorted(well):
        await release_broken(tx, key.agent_id, key.fleet_id, product)
    for said in host.attempts:
        kept = await local.promotion(tx, key, said)
        answers.extend([kept] if kept is not None else [])
    return answers


async def left(tx: Tx, services: Services, key: SessionKey) -> None:
    """The session is over: what waited for it waits for the host now, or for its next check-in."""
    why = CHECK_IN if await presence.is_expected(tx, key) and await presence.checks_in(tx, key) else OFFLINE
    await _stand_by(tx, services, key, why, may_return=why == OFFLINE)


async def missed(tx: Tx, services: Services, key: SessionKey) -> None:
    """The host did not check in when it should have: it is offline."""
    await _stand_by(tx, services, key, OFFLINE, may_return=False)


async def _stand_by(tx: Tx, services: Services, key: SessionKey, why: str, *, may_return: bool) -> None:
    """Let a host's attempts wait for it.

    Args:
        tx: the transaction.
        services: of this server.
        key: the host.
        why: HOST_OFFLINE, or CHECK_IN for one that is online: then a reason of its own stands.
        may_return: no wave passes without it for a while.
    """
    for host in await _open_hosts(tx, key):
        book = await open_book(tx, host["rollout_id"], key.fleet_id)
        if book is None:
            continue
        state = AttemptState(host["state"])
        judged = not may_return and why == OFFLINE and book.judges_absent and host["generation"] is None
        waiting = "" if judged else _reason(host["waiting"], why)
        if state in BEFORE_GO and may_return:
            book.wave(host["wave"]).left(tx.now)
        if book.state is RolloutState.COMPLETED and state in BEFORE_GO - {AttemptState.PENDING}:
            await late.let_go(tx, services, book, host, QUARANTINED if host["waiting"] == QUARANTINED else why)
        elif state is AttemptState.OFFERED:
            await move(tx, book, host, Trigger.WITHDRAW, HOST_ACTOR, waiting=why)
        elif state in BEFORE_GO and host["waiting"] != QUARANTINED:
            await note(tx, book, host, waiting=waiting, deadline=None)
        elif state is AttemptState.GRANTED:
            await note(tx, book, host, deadline=deadline(state, tx.now, online=False))
        await go_on(tx, services, book)


def _reason(before: str, why: str) -> str:
    """Return what a host waits for that left: being offline comes before anything else, a check-in after it."""
    return before if why == CHECK_IN and before not in {"", OFFLINE} else why


async def _open_hosts(tx: Tx, key: SessionKey) -> list[dict[str, Any]]:
    """Return the host's places in rollouts that have not ended for it, and its newest kept one."""
    query = (
        sa.select(HOST)
        .where(
            HOST.c.agent_id == key.agent_id,
            HOST.c.fleet_id == key.fleet_id,
            HOST.c.state.not_in([state.value for state in FINAL]),
        )
        .order_by(HOST.c.rollout_id)
    )
    return [dict(row) for row in (await tx.execute(query)).mappings()]


async def _reconcile(
    tx: Tx,
    services: Services,
    book: Book,
    host: dict[str, Any],
    shown: list[Said],
    highest: int,
    *,
    quarantined: bool,
) -> None:
    """Bring the attempt to what the host shows."""
    moved = False
    for said in shown:
        judgement = judge_hello(AttemptState(host["state"]), said.state, code=said.code, is_open=book.has_queue)
        if isinstance(judgement, Step) and not is_over(book, host, said):
            await take_step(tx, services, book, host, said, judgement)
            moved = True
    if moved:
        return
    if host["generation"] is not None and highest < host["generation"]:
        await _forgotten(tx, services, book, host, quarantined=quarantined)
    elif silence.had_succeeded(host):
        await move(tx, book, host, Trigger.RETURN, HOST_ACTOR, code="", message="")


async def _forgotten(tx: Tx, services: Services, book: Book, host: dict[str, Any], *, quarantined: bool) -> None:
    """Offer an attempt again of which the host knows nothing; end it where it had Go, with nothing desired."""
    trigger = judge_unheard(AttemptState(host["state"]), quarantined=quarantined)
    if trigger is Trigger.OFFER:
        await move(tx, book, host, Trigger.OFFER, HOST_ACTOR, granted_at=None, attempted=False)
    elif trigger is Trigger.FAIL:
        code = Code.NEVER_CAME_BACK.value
        await move(tx, book, host, Trigger.FAIL, HOST_ACTOR, code=code, message=FORGOTTEN)
        await desire(tx, services.sessions, book, host["agent_id"], "", HOST_ACTOR, code=code)


async def _take_back(tx: Tx, services: Services, book: Book, host: dict[str, Any], highest: int) -> None:
    """Queue an offer again that the host never heard and that may not be made so, or now: it can't go unanswered."""
    if host["state"] != AttemptState.OFFERED.value or host["generation"] <= highest:
        return
    if book.state is RolloutState.COMPLETED:
        await late.let_go(tx, services, book, host)
    else:
        await move(tx, book, host, Trigger.WITHDRAW, HOST_ACTOR)


async def _is_here(tx: Tx, book: Book, host: dict[str, Any], shown: list[Said], *, quarantined: bool) -> bool:
    """The host is there: it waits for it no longer, and deadlines run again. It says itself whether it is held.

    Returns:
        Whether it waits for another reason now, or for none any more.
    """
    state = AttemptState(host["state"])
    if state not in BEFORE_GO:
        if state is AttemptState.GRANTED and host["deadline"] is not None:
            await note(tx, book, host, deadline=None)
        return False
    before = host["waiting"]
    over = {OFFLINE, CHECK_IN, QUARANTINED} | ({HELD} if state is AttemptState.PENDING or shown else set())
    waiting = QUARANTINED if quarantined else "" if host["waiting"] in over else host["waiting"]
    if not quarantined and state is not AttemptState.PENDING and any(said.code is Code.HELD_LOCALLY for said in shown):
        waiting = HELD
    due = host["deadline"] if state is not AttemptState.PENDING else None
    if not waiting and state is AttemptState.STAGED and _before_its_window(tx, host, shown):
        waiting, due = WINDOW, host["retry_at"] + OPENED
    if due is None and state in {AttemptState.OFFERED, AttemptState.DOWNLOADING}:
        due = deadline(state, tx.now, online=True)
    if (waiting, due) != (host["waiting"], host["deadline"]):
        await note(tx, book, host, waiting=waiting, deadline=due)
    return bool(before != waiting)


def _before_its_window(tx: Tx, host: dict[str, Any], shown: list[Said]) -> bool:
    """Tell whether the host still waits for the opening that it named: it tells of it once."""
    opens_at = host["retry_at"]
    return opens_at is not None and opens_at > tx.now and any(said.code is Code.WINDOW for said in shown)


async def _desired(tx: Tx, key: SessionKey, highest: dict[str, int], *, quarantined: bool) -> list[Message]:
    """Return the assignments that the host has not taken. Sending one again is an offer: no offer while stopped."""
    query = sa.select(ASSIGNMENT).where(ASSIGNMENT.c.agent_id == key.agent_id, ASSIGNMENT.c.fleet_id == key.fleet_id)
    rows = (await tx.execute(query)).mappings().all()
    stopped = quarantined or await is_suspended(tx, key.fleet_id)
    answers = []
    for row in rows:
        if row["generation"] <= highest.get(row["product"], 0):
            await delivered(tx, row)
            continue
        if not row["version"]:
            answers.append(assignment(row))
            continue
        book = None if stopped else await open_book(tx, row["rollout_id"], key.fleet_id)
        if book is not None and book.offers and not await _has_ended(tx, row):
            answers.append(assignment({**row, "not_after": book.row["not_after"]}))
    return answers


async def _has_ended(tx: Tx, row: Mapping[Any, Any]) -> bool:
    """Tell whether what is desired has its result already: whoever forgot it would stage it, and never get Go."""
    host = await host_of(tx, row["agent_id"], row["fleet_id"], row["product"], row["generation"])
    return host is not None and AttemptState(host["state"]) in FINAL


async def _offers(tx: Tx, book: Book) -> bool:
    """Tell whether this rollout offers to this fleet now."""
    return book.offers and not await is_suspended(tx, book.fleet_id)
