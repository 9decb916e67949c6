"""RequestGo: the one place where a host may be let past the point of no return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.charges import Holding
from fleetroll_server.domain.deadlines import deadline
from fleetroll_server.domain.go import ASKABLE, GoFacts, Refuse, judge_go, no_budget
from fleetroll_server.domain.hostrules import shut
from fleetroll_server.domain.limits import RolloutLimits
from fleetroll_server.domain.states import AttemptState, RolloutState, Trigger
from fleetroll_server.engine import late
from fleetroll_server.engine.actor import DISPATCH, HOST
from fleetroll_server.engine.advance import go_on
from fleetroll_server.engine.book import Book, open_book
from fleetroll_server.engine.holdings import hold
from fleetroll_server.engine.listed import may_begin
from fleetroll_server.engine.moves import host_of, move, note
from fleetroll_server.engine.ruled import end_by_policy, policy_at_go, until_opening
from fleetroll_server.engine.speaker import speaker_of
from fleetroll_server.engine.suspended import is_suspended
from fleetroll_server.gateway.convert_out import Message, go, no_go, reconnect
from fleetroll_server.recovery.state import is_recovering

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

    from fleetroll_server.domain.heard import Ask
    from fleetroll_server.gateway.session import SessionKey
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

RECOVERING = Refuse(Code.RECOVERY, "the server was restored: an admin ends its recovery first")
UNKNOWN = Refuse(Code.NOT_FOUND, "no such attempt is open")


async def answer(tx: Tx, services: Services, key: SessionKey, ask: Ask) -> Message:
    """Decide about one ask and write the decision; what is returned leaves after the commit."""
    speaker = await speaker_of(tx, key)
    if speaker is None:
        return reconnect()
    host = await host_of(tx, key.agent_id, key.fleet_id, ask.product, ask.generation)
    book = await open_book(tx, host["rollout_id"], key.fleet_id) if host is not None else None
    if host is None or book is None:
        return no_go(ask, UNKNOWN)
    host = await host_of(tx, key.agent_id, key.fleet_id, ask.product, ask.generation)
    if host is None:
        return no_go(ask, UNKNOWN)
    refused = await _decide(tx, book, key, host, ask, speaker)
    if refused is not None and refused.ends:
        await end_by_policy(tx, services, book, host, refused)
        await go_on(tx, services, book)
        return no_go(ask, refused)
    if refused is not None:
        if refused.code is not Code.CONFLICT and AttemptState(host["state"]) is AttemptState.STAGED:
            asked = {"session_epoch": key.epoch, "last_ask": ask.ask}
            await note(tx, book, host, waiting=refused.code.value, **asked, **until_opening(refused.until))
            await late.meet(tx, services, book, host)
        await go_on(tx, services, book)
        return no_go(ask, refused)
    await move(
        tx,
        book,
        host,
        Trigger.GRANT,
        DISPATCH,
        granted_at=tx.now,
        session_epoch=key.epoch,
        last_ask=ask.ask,
        deadline=deadline(AttemptState.GRANTED, tx.now, online=True),
    )
    await go_on(tx, services, book)
    return go(ask)


async def _decide(
    tx: Tx, book: Book, key: SessionKey, host: dict[str, Any], ask: Ask, speaker: RowMapping
) -> Refuse | None:
    """Take the ask as the proof that it is, then look at everything that must hold, the budgets last."""
    state = AttemptState(host["state"])
    if host["session_epoch"] == key.epoch and ask.ask <= host["last_ask"]:
        return Refuse(Code.CONFLICT, "an older ask of this session")
    if state in ASKABLE and state is not AttemptState.STAGED:
        await move(tx, book, host, Trigger.STAGE, HOST, granted_at=None, attempted=False)
    if await is_recovering(tx.connection):
        return RECOVERING
    rules, objection = await policy_at_go(tx, book, host, speaker["time_zone"])
    facts = GoFacts(
        state=AttemptState(host["state"]),
        rollout=book.state,
        suspended=await is_suspended(tx, key.fleet_id),
        quarantined=speaker["quarantined"],
        revoked=speaker["revoked"],
        listed=await may_begin(tx, book, host),
        digest_matches=ask.sha256 == host["sha256"],
        not_after=book.row["not_after"],
        limits_readable=isinstance(book.stored_limits, RolloutLimits),
        offers_late=book.state is RolloutState.COMPLETED and book.late.stopped is None,
        superseded=bool(await late.superseded(tx, book, [key.agent_id])),
        objection=objection,
        shut=shut(rules, tx.now),
    )
    refused = judge_go(facts, tx.now)
    if refused is not None:
        return refused
    full = await hold(tx, host, book.scopes, Holding.IN_USE, enforce=True)
    return no_budget(full) if full is not None else None
