"""One host that is killed again and again while it updates itself, and judged after each kill.

The server holds its Welcome back until the judge has seen what came up, and only then may the next kill come: so no
kill hides what the one before it did. An attempt that a kill has ended is followed by a new one, with a person's
consent to a digest that was put back, until one succeeds.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from fleetroll_agent.launcher.limits import CRASH_LIMIT
from tests.crash.update.verdicts import check_attempts, check_come_up, check_end
from tests.crash.update.world import NEW

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.agent.fake_server.server import Session
    from tests.crash.update.world import UpdatingHost

QUIET_SECONDS = 1.0
"""After the result, for what follows it: hints, tidying, the last acknowledgements."""


class Life:
    """The life of one host."""

    def __init__(self, host: UpdatingHost, most: int, end: float = float("inf")) -> None:
        """Take a host that is not started yet; at most ``most`` kills, none permitted after the instant ``end``."""
        self._host = host
        self._most = most
        self._end = end
        self._judged = 0
        self._fault: AssertionError | None = None
        host.server.script.before_welcome = self._come_up

    async def run(self) -> list[str]:
        """Live until an attempt has succeeded and nothing follows it any more; return the results of all attempts.

        Raises:
            AssertionError: something was not as it must be.
        """
        host = self._host
        results = [await self._result()]
        while results[-1] != "SUCCEEDED":
            host.assign(host.assigned + 1, retry_bad=True)
            results.append(await self._result())
        await self._quiet()
        check_attempts(host)
        check_end(host, NEW)
        return results

    async def _result(self) -> str:
        """Return the result of the newest attempt, once the server knows it."""
        await self._until(lambda: self._host.ended(self._host.assigned), "the result")
        check_attempts(self._host)
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
                check_come_up(self._host, session.hello)
                self._judged = kills
            if kills < self._most and time.monotonic() < self._end and self._bears_another():
                self._host.plan.arm()
        except AssertionError as error:
            self._fault = error

    def _bears_another(self) -> bool:
        """Tell whether one more crash is still none too many: then a committed version rightly goes back."""
        return len(self._host.record().crashes) < CRASH_LIMIT
