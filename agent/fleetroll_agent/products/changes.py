"""The few changes of state that the rules of managed products are made of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs.state import State, running_attempt, with_attempt
from fleetroll_agent.jobs.work import About, Work

if TYPE_CHECKING:
    from fleetroll_agent.jobs.values import Attempt

NO_WORK = Work()
NO_ABOUT = About()


def work_of(attempt: Attempt) -> Work:
    """Return how far the attempt went; nothing before Go."""
    return attempt.work or NO_WORK


def about_of(attempt: Attempt) -> About:
    """Return what the signed metadata said of the attempt's release; nothing before it was read."""
    return attempt.about or NO_ABOUT


def number_of(attempt: Attempt) -> str:
    """Return the attempt's number on this host, as names of files and scopes have it."""
    return f"local-{attempt.local}" if attempt.local else str(attempt.generation)


def with_work(state: State, **changes: Any) -> State:  # noqa: ANN401 (fields of Work)
    """Return the state with the running attempt's work changed."""
    return with_attempt(state, work=replace(work_of(running_attempt(state)), **changes))
