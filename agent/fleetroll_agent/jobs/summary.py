"""What a hello says about the attempts of a product. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.behind import limit_seconds
from fleetroll_agent.jobs.state import running_attempt, time_left_seconds
from fleetroll_agent.jobs.values import SAID_OF_STAGE, Said

if TYPE_CHECKING:
    from fleetroll_agent.jobs.state import State
    from fleetroll_agent.jobs.values import Moment
    from fleetroll_common.values.codes import Code


@dataclass(frozen=True, slots=True)
class AttemptFact:
    """One attempt as a hello lists it. Attributes as in :class:`~fleetroll_agent.jobs.values.Report`."""

    generation: int
    said: Said
    version: str
    sha256: str = ""
    code: Code | None = None
    message: str = ""
    time_left_seconds: float | None = None
    unproven: bool = False
    local: int = 0


def attempt_facts(state: State, moment: Moment) -> tuple[AttemptFact, ...]:
    """Return every unfinished attempt, then every finished one that the server has not acknowledged.

    A server reads so many and no more: what goes on must be among them.
    """
    record = state.record
    facts = [
        AttemptFact(
            known.generation,
            known.said,
            known.version,
            known.sha256,
            known.code,
            known.message,
            unproven=known.unproven,
            local=known.local,
        )
        for known in record.outcomes
        if known.acked_at is None
    ]
    if record.attempt is not None:
        attempt = running_attempt(state)
        left = time_left_seconds(state, moment) if attempt.past_go else None
        said = SAID_OF_STAGE[attempt.stage]
        facts.append(
            AttemptFact(
                attempt.generation,
                said,
                attempt.version,
                attempt.sha256,
                state.note,
                time_left_seconds=left,
                local=attempt.local,
            )
        )
    if record.waiting is not None:
        left = limit_seconds(state, moment)
        waiting = record.waiting
        facts.append(AttemptFact(waiting.generation, Said.OFFERED, waiting.version, time_left_seconds=left))
    return tuple(sorted(facts, key=lambda fact: fact.said not in SAID_OF_STAGE.values()))
