"""What a host shows to a server that was restored or lost what it knew: outcomes, signed metadata, its journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from fleetroll_agent.jobs.summary import AttemptFact
from fleetroll_agent.jobs.threads import in_thread
from fleetroll_agent.session.facts import Evidence, KeptOutcome
from fleetroll_common.values.errors import FleetrollError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_agent.jobs.journal import Journal
    from fleetroll_agent.jobs.state import State
    from fleetroll_agent.jobs.values import Outcome
    from fleetroll_common.trust.client import TrustClient

log = structlog.get_logger(__name__)

SHOWN_OUTCOMES = 200
"""The contract's bound: the newest ones. The journal, which is sent again, has all of a month."""


async def gather(states: Sequence[State], trust: TrustClient, journal: Journal) -> Evidence:
    """Return all that is kept. What the disk refuses is left out: a hello without it is better than none."""
    kept = [
        KeptOutcome(state.record.product, _fact(outcome), outcome.ended_at)
        for state in states
        for outcome in state.record.outcomes
        if not outcome.local
    ]
    kept.sort(key=lambda one: one.ended_at, reverse=True)
    try:
        files = await in_thread(trust.host_files)
    except FleetrollError as error:
        log.warning("metadata_not_shown", reason=str(error))
        files = {}
    return Evidence(
        outcomes=tuple(kept[:SHOWN_OUTCOMES]),
        outcomes_left_out=max(0, len(kept) - SHOWN_OUTCOMES),
        files=files,
        journal_first=journal.first_sequence,
    )


def _fact(outcome: Outcome) -> AttemptFact:
    return AttemptFact(
        outcome.generation,
        outcome.said,
        outcome.version,
        outcome.sha256,
        outcome.code,
        outcome.message,
        unproven=outcome.unproven,
    )
