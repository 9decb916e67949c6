"""A person leaves one host of a rollout out: before Go it ends at once, past it only the host's own word ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.states import BEFORE_GO, PAST_GO, AttemptState, Trigger
from fleetroll_server.engine.advance import go_on
from fleetroll_server.engine.desire import desire
from fleetroll_server.engine.moves import HOST, move
from fleetroll_server.engine.people import require_book

if TYPE_CHECKING:
    from fleetroll_server.engine.actor import Actor
    from fleetroll_server.engine.book import Book
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx


async def skip(
    tx: Tx, services: Services, rollout_id: str, fleet_id: str, name: str, actor: Actor, reason: str
) -> None:
    """End a host's turn; skipping it twice is no error.

    Raises:
        RequestError: NOT_FOUND; HOST_NOT_FOUND: the rollout means no such host; ROLLOUT_STATE: it is past Go, or has
            ended in another way (caller's fault).
    """
    book = await require_book(tx, rollout_id, fleet_id)
    host = await _host(tx, book, name)
    state = AttemptState(host["state"])
    if state is AttemptState.SKIPPED:
        return
    if state not in BEFORE_GO:
        raise _refusal(host, state)
    code = Code.CANCELLED_BY.value
    await move(tx, book, host, Trigger.SKIP, actor, code=code, message=reason)
    if host["generation"] is not None:
        await desire(tx, services.sessions, book, host["agent_id"], "", actor, reason=reason, code=code)
    await go_on(tx, services, book)


async def _host(tx: Tx, book: Book, name: str) -> dict[str, Any]:
    """Return the host's row.

    Raises:
        RequestError: HOST_NOT_FOUND, or several of the rollout's hosts have the name (caller's fault).
    """
    mine = (HOST.c.rollout_id == book.id, HOST.c.fleet_id == book.fleet_id)
    called = sa.or_(HOST.c.agent_id == name, HOST.c.name == name)
    query = sa.select(HOST).where(*mine, called).order_by(HOST.c.agent_id).limit(2)
    rows = [dict(row) for row in (await tx.execute(query)).mappings()]
    exact = [row for row in rows if row["agent_id"] == name] or rows
    if len(exact) == 1:
        return exact[0]
    if not exact:
        message = f"agent: {book.id} means no host {name[:80]!r}"
        raise RequestError(message, code=Code.HOST_NOT_FOUND, remedy="list the rollout's hosts", field="agent")
    message = f"agent: several hosts of {book.id} are called {name[:80]!r}"
    remedy = f"name it by its id, such as {exact[0]['agent_id']}"
    raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="agent")


def _refusal(host: dict[str, Any], state: AttemptState) -> RequestError:
    """Return why it is too late."""
    if state in PAST_GO:
        message = f"agent: {host['name']} is past Go ({state}): only the host's own word ends its attempt"
        remedy = "wait for its result, or roll the rollout back"
    else:
        message, remedy = f"agent: {host['name']} has ended: {state}", "nothing is left to skip"
    return RequestError(message, code=Code.ROLLOUT_STATE, remedy=remedy, field="agent", state=str(state))
