"""A host that keeps a product no more: what it was offered of it and has not begun with ends, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_common.values.codes import Code
from fleetroll_common.values.release import AGENT
from fleetroll_server.domain.states import BEFORE_GO, AttemptState, Trigger
from fleetroll_server.engine.actor import HOST
from fleetroll_server.engine.desire import desire
from fleetroll_server.engine.moves import move

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from fleetroll_server.domain.heard import Said
    from fleetroll_server.engine.book import Book
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

GONE = "the host keeps the product no more (agent.toml names none)"


async def end_if_dropped(
    tx: Tx, services: Services, book: Book, host: dict[str, Any], kept: Collection[str], shown: Sequence[Said]
) -> bool:
    """End the host's turn when its hello names neither the product nor the attempt; tell whether it did.

    Nobody there would take the offer: waiting for that would count as the release's fault. Past Go the host has to say
    what became of it.
    """
    if host["product"] in {*kept, AGENT} or shown or AttemptState(host["state"]) not in BEFORE_GO:
        return False
    code = Code.NOT_OPTED_IN.value
    await move(tx, book, host, Trigger.SKIP, HOST, code=code, message=GONE)
    if host["generation"] is not None:
        await desire(tx, services.sessions, book, host["agent_id"], "", HOST, code=code)
    return True
