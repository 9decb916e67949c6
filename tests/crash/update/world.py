"""One host that updates its own agent, from 1.0.0 to 1.1.0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_agent.launcher.limits import CRASH_LIMIT
from tests.crash.real.host import BOOT, FIRST, LAUNCHER, SUCCEEDED
from tests.crash.real.lined import LinedHost
from tests.crash.update import verdicts
from tests.faults.plans import Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll.v1 import agent_stream_pb2 as stream_pb2
    from tests.crash.real.kill import Kill

OLD, NEW = "1.0.0", "1.1.0"
STARTING, SELF_TEST, OLD_AGENT, NEW_AGENT = "starting", "self-test", "old-agent", "new-agent"
_AGENT = Source(
    "products/agent.json",
    [
        ["attempt.stage", "attempt.step", "attempt.sha256?", "attempt.promoted"],
        ["outcomes.-1.said", "outcomes.-1.acked_at?"],
    ],
)
SOAK_SECONDS = 0.3


class UpdatingHost(LinedHost):
    """One state folder at 1.0.0, its server, and whatever launcher runs on it."""

    product = "agent"
    roles = (
        ("child.py", STARTING),
        ("self-test", SELF_TEST),
        (f"agent/{NEW}-", NEW_AGENT),
        (f"agent/{OLD}-", OLD_AGENT),
        ("run_launcher.py", LAUNCHER),
    )
    # Of the record that a process writes, or that it was started for.
    records = {LAUNCHER: BOOT, STARTING: BOOT, OLD_AGENT: _AGENT, NEW_AGENT: _AGENT}  # noqa: RUF012 (never changed)
    agents_roles = frozenset({OLD_AGENT, NEW_AGENT})

    def begin(self) -> None:
        self.assign(FIRST)

    def next_attempt(self, results: Sequence[str], *, more: bool) -> bool:
        if results[-1] == SUCCEEDED:
            return False
        self.assign(self.assigned + 1, retry_bad=True)
        return True

    def assign(self, generation: int, *, retry_bad: bool = False) -> None:
        """Desire the new version; ``retry_bad`` is a person's consent to a digest that was put back."""
        self.assigned = generation
        self.server.assign(NEW, generation, soak=SOAK_SECONDS, retry_bad=retry_bad)

    def bears_another(self) -> bool:
        """Tell whether one more crash is still none too many: then a committed version rightly goes back."""
        return len(self.record().crashes) < CRASH_LIMIT

    async def check_come_up(self, hello: stream_pb2.HelloPayload) -> None:
        verdicts.check_come_up(self, hello)

    async def check_serving(self) -> None:
        await verdicts.check_serving(self)

    def check_attempts(self) -> None:
        verdicts.check_attempts(self)

    async def check_end(self) -> None:
        verdicts.check_end(self, NEW)

    def said(self, kill: Kill) -> set[str]:
        """Return the messages that the agent at the point, or among the victims, had sent to the launcher by then."""
        pids = {kill.pid, *kill.pids}
        written = [line for line in self.lines() if line["pid"] in pids and line["role"] != LAUNCHER]
        messages = [line for line in written if line["point"].startswith("write:pipe:") and line["do"] != "kill-before"]
        return {line["point"].removeprefix("write:pipe:") for line in messages}

    def after(self, kill: Kill) -> list[dict[str, Any]]:
        """Return what the process at the point still did when it was not killed itself: it outlives its launcher by a
        moment.
        """
        mine = [line for line in self.lines() if line["pid"] == kill.pid]
        since = next((number for number, line in enumerate(mine) if line["do"]), len(mine))
        return mine[since + 1 :]

    def last_word(self, kill: Kill) -> str:
        """Return the message that an agent was perhaps just writing when another process killed it; mostly none."""
        victims = set(kill.pids) - {kill.pid}
        points = [line["point"] for line in self.lines() if line["pid"] in victims and line["role"] != LAUNCHER]
        return points[-1].removeprefix("write:pipe:") if points and points[-1].startswith("write:pipe:") else ""
