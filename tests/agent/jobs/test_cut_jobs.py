"""A job that the connection ended is tried again; one that was ended here says nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from fleetroll_agent.jobs import effects, events
from fleetroll_agent.jobs.hands import Hands
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from fleetroll_agent.jobs.agent_update import AgentUpdate
    from fleetroll_agent.jobs.lock import JobLock


class Outside:
    """Keeps what is posted."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.posted: list[events.Event] = []

    def post(self, event: events.Event) -> None:
        """Keep it."""
        self.posted.append(event)


class Update:
    """A search that ends as gRPC ends calls of a closed channel, or not at all."""

    def __init__(self, *, cut: bool) -> None:
        """``cut``: raise the cancellation from inside."""
        self._cut = cut

    async def find(self, _effect: effects.FindTarget, _line: object) -> events.Event:
        """Be cut, or wait."""
        if self._cut:
            raise asyncio.CancelledError
        await asyncio.Event().wait()
        raise AssertionError


def hands(outside: Outside, *, cut: bool) -> Hands:
    """Return hands that have nothing but an update and an outside."""
    update = cast("AgentUpdate", Update(cut=cut))
    return Hands(cast("Any", outside), cast("Any", None), update, cast("JobLock", Lock()), "slot")


class Lock:
    """A lock that is never taken."""

    def release(self) -> None:
        """Be free."""


FIND = effects.FindTarget(3, 2, 7, "1.1.0")


async def settled() -> None:
    """Let every task run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_search_that_the_connection_cut_is_transient() -> None:
    outside = Outside()
    hands(outside, cut=True).do((FIND,))
    await settled()
    (event,) = outside.posted
    assert isinstance(event, events.StagingFailed)
    assert (event.job, event.code, event.transient) == (3, Code.DOWNLOAD_FAILED, True)


async def test_a_search_that_was_ended_here_says_nothing() -> None:
    outside = Outside()
    mine = hands(outside, cut=False)
    mine.do((FIND,))
    await settled()
    mine.do((effects.CancelJob(3),))
    await settled()
    assert outside.posted == []


async def test_a_stop_says_nothing() -> None:
    outside = Outside()
    mine = hands(outside, cut=False)
    mine.do((FIND,))
    await settled()
    await mine.stop()
    assert outside.posted == []
