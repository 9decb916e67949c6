"""A fleet whose server is killed again and again while a rollout runs: one round of the proof."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_client import ServerRefusedError, translate
from tests.faults.plans import Act, Plan, Point

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.fleet.fleet import Fleet
    from tests.e2e.fleet.processes import Child

PROGRAM = Path(__file__).with_name("mortal_server.py")
ROUND_SECONDS = 90.0
KILL_SECONDS = 10.0
"""More for each kill: the next server starts, hosts come back; on a machine that others use."""
WATCH_SECONDS = 60.0
"""gRPC waits longer and longer between its tries to reach a server that is away."""
KILLED = -9


class Mortal:
    """A fleet and the succession of its servers."""

    def __init__(self, fleet: Fleet, version: str) -> None:
        """Bring ``version`` to every host of ``fleet``."""
        self._fleet = fleet
        self._version = version
        self._plans: list[Plan] = []
        self._next: Child | None = None
        self._rollout = ""
        self._watch: Child | None = None
        self.acked: dict[str, int] = {}

    def run(self, wanted: list[Act]) -> list[Act]:
        """Run one rollout to its end, killing the server at the points of ``wanted`` in turn; return those reached.

        ``fleetroll rollout watch`` looks on all the time, and has to end with the rollout's good end.

        Raises:
            AssertionError: the rollout did not go on, or an acknowledged report was missing after a kill.
        """
        left = list(wanted)
        self._succeed(left)
        for host in self._fleet.hosts.values():
            host.start()
        deadline = time.monotonic() + ROUND_SECONDS + KILL_SECONDS * len(wanted)
        while not self._over():
            if self._fleet.server.ended is not None:
                self._killed(left)
            assert time.monotonic() < deadline, self._fleet.server.said()[-3000:]
            time.sleep(0.03)
        self._check_acks()
        assert self._watch is not None
        assert self._watch.wait(WATCH_SECONDS) == 0, self._watch.said()
        return wanted[: len(wanted) - len(left)]

    def points(self) -> list[Point]:
        """Return the points of all servers, in their order."""
        return [point for plan in self._plans for point in plan.points()]

    def _killed(self, left: list[Act]) -> None:
        """The server is gone: it must have been the plan; the next one takes over."""
        assert self._fleet.server.ended == KILLED, self._fleet.server.said()[-3000:]
        assert self._plans[-1].happened()
        left.pop(0)
        self._check_acks()
        self._succeed(left)

    def _succeed(self, left: list[Act]) -> None:
        """Let the next server begin, with the next point, and get its successor ready."""
        number = len(self._plans)
        plan = Plan(self._folder(number), roots=(), roles=(("run", "server"),), act=left[0] if left else None)
        ready = self._next or self._prepare(number)
        plan.write()
        self._plans.append(plan)
        self._fleet.adopt_server(ready)
        self._next = self._prepare(number + 1) if left else None

    def _prepare(self, number: int) -> Child:
        """Start a server that waits for its plan."""
        words = ("run", "--data", str(self._fleet.data.path), "--listen", self._fleet.address)
        program = (sys.executable, str(PROGRAM), str(self._folder(number) / "plan.json"))
        return self._fleet.processes.start(*program, *words, log=self._fleet.folder / f"server-{number}.log")

    def _folder(self, number: int) -> Path:
        return self._fleet.folder / f"plan-{number}"

    def _over(self) -> bool:
        """Tell whether the rollout is completed and everything was acknowledged; start it when all are there."""
        try:
            with translate():
                if self._rollout:
                    return self._fleet.is_completed(self._rollout) and self._all_acked()
                if sum(agent.online for agent in self._fleet.agents().values()) == len(self._fleet.hosts):
                    hosts = tuple(self._fleet.hosts)
                    self._rollout = self._fleet.rollout(
                        self._version, *hosts, key="the same", max_concurrent=len(hosts)
                    )
                    self._watch = self._fleet.start_cli("rollout", "watch", self._rollout)
        except ServerRefusedError:
            time.sleep(0.05)
        return False

    def _all_acked(self) -> bool:
        """Tell whether each host knows that the server holds its outcome, and so every report before it."""
        products = [host.product() for host in self._fleet.hosts.values()]
        return all(product.outcomes and product.outcomes[-1].acked_at for product in products)

    def _check_acks(self) -> None:
        """See that every report which was ever acknowledged is stored."""
        for journal, sequence in self._acks():
            self.acked[journal] = max(sequence, self.acked.get(journal, 0))
        for journal, sequence in self.acked.items():
            rows = self._fleet.records.rows("SELECT sequence FROM report WHERE journal_id = ?", journal)
            assert {row[0] for row in rows} >= set(range(1, sequence + 1)), f"{journal}: {sequence} was acknowledged"

    def _acks(self) -> Iterator[tuple[str, int]]:
        path = self._folder(len(self._plans) - 1) / "acks.jsonl"
        for line in path.read_text().splitlines() if path.exists() else ():
            journal, sequence = json.loads(line)
            yield journal, sequence
