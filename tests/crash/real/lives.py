"""One host that is killed again and again while it updates, and judged after each kill.

The server holds its Welcome back until the judge has seen what came up, and only then may the next kill come: so no
kill hides what the one before it did. An attempt is followed by another one, with a person's consent to a digest that
was put back, until the host has nothing more to do.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tests.crash.real.host import SUCCEEDED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.agent.fake_server.server import Session
    from tests.crash.real.host import RealHost

QUIET_SECONDS = 1.0
"""After the result, for what follows it: hints, tidying, the last acknowledgements."""


class Life:
    """The life of one host."""

    def __init__(
        self, host: RealHost, most: int, end: float = float("inf"), is_hunted: Callable[[], bool] = lambda: False
    ) -> None:
        """Take a host that is not started yet.

        Args:
            host: that lives.
            most: kills at most.
            end: no kill is permitted after this instant.
            is_hunted: tells whether there is anything left to hunt.
        """
        self._host = host
        self._most = most
        self._end = end
        self._is_hunted = is_hunted
        self._judged = 0
        self._permitted = False
        """A kill may come, or has come and is not judged: the permit is taken before the kill is written down."""
        self._fault: AssertionError | None = None
        host.server.script.before_welcome = self._come_up

    async def run(self) -> list[str]:
        """Live until an attempt has succeeded and nothing follows it any more; return the results of all attempts.

        Raises:
            AssertionError: something was not as it must be.
        """
        host = self._host
        results = [await self._result()]
        while host.next_attempt(results, more=self._may_be_killed() and self._is_hunted()):
            results.append(await self._result())
        assert results[-1] == SUCCEEDED
        await self._quiet()
        host.check_attempts()
        await host.check_end()
        return results

    async def _result(self) -> str:
        """Return the result of the newest attempt, once the server knows it."""
        self._permit()
        await self._until(lambda: self._host.ended(self._host.assigned), "the result")
        self._host.check_attempts()
        return self._host.ended(self._host.assigned)

    async def _quiet(self) -> None:
        """Wait until nothing has happened for a while, a last kill included."""
        since, kills = time.monotonic(), self._judged
        while time.monotonic() < since + QUIET_SECONDS:
            await asyncio.sleep(0.05)
            if len(self._host.kills()) != kills:
                await self._until(lambda: self._judged == len(self._host.kills()), "the agent")
                since, kills = time.monotonic(), self._judged
        self._host.plan.disarm()
        await self._until(lambda: self._judged == len(self._host.kills()), "the agent")

    async def _until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for ``condition``; each kill that was judged gives it the time anew."""
        while not await self._waited(condition, what, self._judged):
            pass

    async def _waited(self, condition: Callable[[], object], what: str, judged: int) -> bool:
        """Wait for ``condition`` or for another kill to be judged; tell whether it was the former."""
        await self._host.until(lambda: self._fault or condition() or self._judged > judged, what)
        if self._fault is not None:
            raise self._fault
        return bool(condition())

    async def _come_up(self, session: Session) -> None:
        """Judge what says hello; then the next kill may come. A hello that a dead process sent is passed over."""
        kills = len(self._host.kills())
        try:
            if kills > self._judged:
                if not self._host.greeted_since_kill():
                    return
                await self._host.check_come_up(session.hello)
                self._judged, self._permitted = kills, False
            self._permit()
        except AssertionError as error:
            self._fault = error

    def _permit(self) -> None:
        """Let the next kill come, once the last one was judged."""
        if not self._permitted and self._may_be_killed() and self._host.bears_another():
            self._permitted = True
            self._host.plan.arm()

    def _may_be_killed(self) -> bool:
        return self._judged < self._most and time.monotonic() < self._end
