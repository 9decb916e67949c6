"""What goes wrong beside a host, at one point of its agent: its disk, its server, its clock.

A disk refuses by itself, as the shim was told. For the others the agent stands at the point until the test has cut the
line, stopped the server, or set the clock.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.values import Stage
from fleetroll_agent.reading import agent_log
from fleetroll_agent.session.hello import MAX_SKEW_SECONDS
from fleetroll_common.values.codes import Code
from tests.faults.shim_points import CALL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import Any

    from fleetroll_agent.jobs.journal import Entry
    from fleetroll_agent.jobs.values import Attempt
    from tests.crash.real.lined import LinedHost
    from tests.crash.real.points import Distinct
    from tests.faults.plans import Act

TEN_YEARS_SECONDS = 3653 * 86400.0
GONE_SECONDS, SILENT_SECONDS, WRONG_SECONDS = 2.0, 6.0, 5.0
NOTED_SECONDS = 10.0
"""Until a staged attempt has said that it waits for the clocks."""
ON_DISK = {"ENOSPC": "enospc", "ENOSPC once": "enospc", "EIO": "eio", "read-only": "erofs"}
_LASTING = frozenset({"ENOSPC", "read-only"})


async def gone(host: LinedHost) -> None:
    """Let the server be away for a while."""
    host.line.refusing = True
    host.line.cut()
    host.answer()
    await asyncio.sleep(GONE_SECONDS)
    host.line.refusing = False


async def black_hole(host: LinedHost) -> None:
    """Let everything that is sent be lost, both ways, and no connection end."""
    host.line.black_hole()
    host.answer()
    await asyncio.sleep(SILENT_SECONDS)
    host.line.heal()


async def restarted(host: LinedHost) -> None:
    """Start the server anew: every session ends, and what is wanted is said again in the next one."""
    await host.restart_server()
    host.answer()


async def future(host: LinedHost) -> None:
    """Set the clock ten years ahead."""
    await _wrong(host, TEN_YEARS_SECONDS)


async def past(host: LinedHost) -> None:
    """Set the clock ten years back."""
    await _wrong(host, -TEN_YEARS_SECONDS)


BESIDE: dict[str, Callable[[LinedHost], Awaitable[None]]] = {
    "clock +10 years": future,
    "clock -10 years": past,
    "server gone": gone,
    "server silent": black_hole,
    "server restarted": restarted,
}


@dataclass(frozen=True)
class Case:
    """One fault at one point."""

    at: Distinct
    fault: str

    @property
    def act(self) -> Act:
        """Return what the shim does."""
        return self.at.point.act(ON_DISK.get(self.fault, CALL), sticky=self.fault in _LASTING)

    def __str__(self) -> str:
        """Return a name for people."""
        return f"{self.fault} at {self.at.point} in state {self.at.state!r}"


async def _wrong(host: LinedHost, seconds: float) -> None:
    """Set the clock wrong for a while: a session begins under it, in which nothing starts, and what runs goes on."""
    (host.plan.folder / "clock").write_text(str(seconds))
    host.line.cut()
    before = len(host.server.sessions)
    host.answer()
    await host.until(lambda: noted(_log(host), seconds), "a session under the wrong clock")
    await asyncio.sleep(WRONG_SECONDS)
    heard = [message for session in host.server.sessions[before:] for message in session.heard]
    assert len(host.server.sessions) > before, "no session began under the wrong clock"
    assert not any(message.HasField("request_go") for message in heard), "it asks for Go under a wrong clock"
    await host.until(lambda: says_why(host.product_record().attempt, host.journal()), "CLOCK_SKEW", NOTED_SECONDS)
    await host.check_serving()
    (host.plan.folder / "clock").unlink()
    host.line.cut()


def noted(lines: Sequence[Mapping[str, Any]], seconds: float) -> bool:
    """Tell whether the agent noted a session in which its clock is so wrong, by its own log."""
    found = [line.get("clock_ahead_seconds", 0) for line in lines if line.get("event") == "session_open"]
    return any(abs(ahead) > MAX_SKEW_SECONDS and (ahead > 0) == (seconds > 0) for ahead in found)


def says_why(attempt: Attempt | None, journal: Sequence[Entry]) -> bool:
    """Tell whether an attempt that is staged has reported why it waits; of any other one nothing is asked."""
    if attempt is None or attempt.stage is not Stage.STAGED:
        return True
    mine = [entry.report for entry in journal if entry.report.generation == attempt.generation]
    return any(report.code is Code.CLOCK_SKEW for report in mine)


def _log(host: LinedHost) -> Sequence[Mapping[str, Any]]:
    return agent_log.events(agent_log.lines(host.state))
