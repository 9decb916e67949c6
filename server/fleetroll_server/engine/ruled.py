"""Policies as Go asks about them, and what follows for a host that has staged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_server.domain.eligible import HostFacts, Objection, policy_objection
from fleetroll_server.domain.go import ASK_AGAIN
from fleetroll_server.domain.states import Trigger
from fleetroll_server.engine.actor import DISPATCH
from fleetroll_server.engine.desire import desire
from fleetroll_server.engine.moves import move
from fleetroll_server.engine.targets import facts_for, version_for
from fleetroll_server.policies.reading import read_policies

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_server.domain.go import Refuse
    from fleetroll_server.domain.hostrules import HostRules
    from fleetroll_server.engine.book import Book
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

OPENED = 2 * ASK_AGAIN
"""So long after its window opened a host has asked, if it can: from then on it counts as one that could move."""


async def policy_at_go(
    tx: Tx, book: Book, host: Mapping[str, Any], time_zone: str
) -> tuple[HostRules, Objection | None]:
    """Return what holds for a host that asks for Go, and what its policy has against the release.

    What a host had before is no new install: a policy says when it goes back, never whether.
    """
    agent_id = host["agent_id"]
    policies = await read_policies(tx.connection, book.fleet_id, book.row["product"], [agent_id])
    rules = policies.rules(agent_id, time_zone, tx.now)
    if book.row["goes_back"]:
        return rules, None
    release = (await facts_for(tx, book, [host]))[version_for(book, host)]
    return rules, policy_objection(staged_facts(host, rules), release)


def staged_facts(host: Mapping[str, Any], rules: HostRules) -> HostFacts:
    """Return what a policy asks about a staged host: it runs what it ran when it was offered the release."""
    return HostFacts(
        agent_id=host["agent_id"],
        name=host["name"],
        labels={},
        platform=None,
        version=host["from_version"],
        revoked=False,
        claimed_by="",
        rules=rules,
    )


async def end_by_policy(tx: Tx, services: Services, book: Book, host: dict[str, Any], refused: Refuse) -> None:
    """End the turn of a staged host that its policy keeps from the release: nothing is desired any more."""
    await move(tx, book, host, Trigger.SKIP, DISPATCH, code=refused.code.value, message=refused.message)
    await desire(
        tx, services.sessions, book, host["agent_id"], "", DISPATCH, reason=refused.message, code=refused.code.value
    )


def until_opening(opens_at: datetime | None) -> dict[str, Any]:
    """Return what is written of a staged host that waits until ``opens_at``; None: for something else."""
    return {"retry_at": opens_at, "deadline": None if opens_at is None else opens_at + OPENED}
