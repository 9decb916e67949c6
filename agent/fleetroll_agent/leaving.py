"""The wait of a process that leaves: for a step that a later process could not begin again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from fleetroll_agent.launcher import pipe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from fleetroll_agent.jobs.state import State
    from fleetroll_agent.jobs.values import Moment

log = structlog.get_logger(__name__)

STEP_LOOK_SECONDS = 0.05
AGAIN_SECONDS = 2.0
"""Between two wishes for time. A launcher that was not asked to end passes one over, and may be asked after its agent:
Ctrl-C reaches both at once, some supervisors end the agent first. Well below the launcher's grace of 10 s."""


async def steps_end(
    states: Callable[[], Iterable[State]],
    moment: Callable[[], Moment],
    send: Callable[[pipe.Message], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Return when no step runs that must come to its end; the launcher is asked for what is left of its time.

    A step's own limit ends it. The launcher gives that time, and no more than its bound; then what runs is ended with
    this process, and the next one goes by the record.

    Args:
        states: of every product, as they are now.
        moment: now.
        send: to the launcher.
        sleep: seconds.
    """
    until: float | None = None
    asked_at = 0.0
    while held := [state for state in states() if state.course.must_end(state)]:
        now = moment()
        if until is None:
            seconds = max(state.course.time_left(state, now) or 0.0 for state in held)
            until, asked_at = now.boot_seconds + seconds, now.boot_seconds - AGAIN_SECONDS
            log.info("leaving_waits_for_a_step", products=[state.record.product for state in held], seconds=seconds)
        if now.boot_seconds - asked_at >= AGAIN_SECONDS:
            asked_at = now.boot_seconds
            send(pipe.extend(max(0.0, until - now.boot_seconds)))
        await sleep(STEP_LOOK_SECONDS)
