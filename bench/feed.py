"""A server whose fleet changes without end, for the measure of the console.

Ten seconds of changes are made beforehand as messages of the contract, and told again and again. Each time around they
are other events, of other instants: ids and times are set where a message is read.
"""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fleetroll.v1 import agents_pb2, events_pb2, rollouts_pb2, types_pb2
from fleetroll_client import Changed, Snapshot
from fleetroll_tui.feed.base import any_turn
from fleetroll_tui.feed.live import things
from fleetroll_tui.model.updates import Older

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fleetroll_tui.feed.base import Turn
    from fleetroll_tui.model.updates import Update
    from fleetroll_tui.model.values import Attempt

EVERY_SECONDS = 0.05
"""Between two batches of changes: a server sends what gathered."""
CYCLE_SECONDS = 10
"""Of changes that are made beforehand, and told again and again."""
STATES = ("OFFERED", "DOWNLOADING", "STAGED", "APPLYING", "TRIAL", "SUCCEEDED", "ROLLED_BACK")
FLEETS = 5
"""Each has a rollout that goes on."""


class Feed:
    """A server whose fleet changes without end."""

    recording = False
    fault = ""

    def __init__(self, hosts: int, rate: int) -> None:
        """Make the fleet, and a cycle of changes."""
        draw = random.Random(1)
        self.taken = 0
        self.turn: Turn = any_turn
        self._now = time.time()
        batches = int(CYCLE_SECONDS / EVERY_SECONDS)
        self._each = max(1, int(rate * EVERY_SECONDS))
        self._stand = events_pb2.WatchEventsResponse(
            snapshot=events_pb2.Snapshot(
                last=True,
                agents=[self._host(number, 0) for number in range(hosts)],
                rollouts=[self._rollout(number, hosts // FLEETS) for number in range(FLEETS)],
            )
        ).SerializeToString()
        self._batches = [self._batch(draw, hosts, number) for number in range(batches)]

    def _rollout(self, number: int, hosts: int) -> rollouts_pb2.Rollout:
        made = rollouts_pb2.Rollout(
            id=f"ro-{number}",
            fleet_id=f"fleet-{number}",
            product="web",
            version="1.5.0",
            state=rollouts_pb2.ROLLOUT_STATE_RUNNING,
            decision_revision=1,
            waves=[rollouts_pb2.Wave(number=1, state=rollouts_pb2.WAVE_STATE_OPEN, hosts=hosts)],
            limits=rollouts_pb2.RolloutLimits(max_concurrent=hosts, max_failed=hosts, failure_limit=1.0, max_out=hosts),
        )
        made.started.decided_at.FromSeconds(int(self._now))
        return made

    def _host(self, number: int, turn: int) -> agents_pb2.Agent:
        state = STATES[turn % len(STATES)]
        value = types_pb2.AttemptState.Value(f"ATTEMPT_STATE_{state}")
        made = agents_pb2.Agent(
            id=f"ag-{number:06}",
            fleet_id=f"fleet-{number % FLEETS}",
            name=f"edge-{number:06}.ams",
            platform=types_pb2.Platform(os="linux", arch="x86_64", abi="cp311"),
            labels={"site": "ams", "tier": "edge"},
            online=(number + turn) % 40 != 0,
        )
        made.last_seen_at.FromSeconds(int(self._now))
        product = made.products.add(
            product="web", current_version="1.4.2" if turn % 2 else "1.5.0", target_version="1.5.0", update_state=value
        )
        product.last_attempt.id, product.last_attempt.state = f"{made.id}/web/{turn}", value
        product.last_attempt.rollout_id = f"ro-{number % FLEETS}"
        if state == "ROLLED_BACK":
            product.last_attempt.message = f"GET :8080/healthz: no answer in {turn % 60} s"
        return made

    def _batch(self, draw: random.Random, hosts: int, turn: int) -> bytes:
        picked = [draw.randrange(hosts) for _ in range(self._each)]
        agents = [self._host(number, turn + place) for place, number in enumerate(picked)]
        told: list[events_pb2.Event] = []
        for agent in agents:
            attempt = agent.products[0].last_attempt
            event = events_pb2.Event(
                id=f"e{turn}-{len(told)}", kind="attempt.state", agent_id=agent.id, fleet_id=agent.fleet_id,
                rollout_id=attempt.rollout_id, attempt_state=attempt.state, message=attempt.message,
            )  # fmt: skip
            told.append(event)
        changes = events_pb2.Changes(agents=agents, events=told)
        return events_pb2.WatchEventsResponse(changes=changes).SerializeToString()

    async def watch(self, rollout_id: str = "") -> AsyncIterator[Update]:
        """Tell the fleet, then a batch every so often; one that was late is told at once."""
        if rollout_id:
            await asyncio.Event().wait()
        yield await self._read(self._stand, 0)
        began, number = time.monotonic(), 0
        while True:
            due = began + number * EVERY_SECONDS
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            yield await self._read(self._batches[number % len(self._batches)], number // len(self._batches))
            self.taken += self._each
            number += 1

    async def _read(self, said: bytes, lap: int) -> Update:
        """Take a message in as the live feed does, in pieces."""
        message, now = events_pb2.WatchEventsResponse.FromString(said), datetime.now(UTC)
        if message.HasField("snapshot"):
            stands = message.snapshot
            whole = Snapshot(b"", now, tuple(stands.rollouts), (), tuple(stands.agents), ())
            return await things(whole, self.turn)
        changes = message.changes
        message.sent_at.FromDatetime(now)
        for event in changes.events:
            event.id = f"{event.id}-{lap}"
            event.occurred_at.CopyFrom(message.sent_at)
        return await things(Changed(b"", now, tuple(changes.events), agents=tuple(changes.agents)), self.turn)

    async def older(self, *, rollout_id: str = "", host_id: str = "") -> Older:  # noqa: ARG002 (the protocol's)
        """Know of nothing before."""
        return Older(())

    async def attempts(self, host_id: str) -> tuple[Attempt, ...]:  # noqa: ARG002 (the protocol's)
        """Know of none."""
        return ()

    async def close(self) -> None:
        """Have nothing to let go of."""
