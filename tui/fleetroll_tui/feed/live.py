"""A server over gRPC, through ``fleetroll_client``."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar

from fleetroll.v1 import agents_pb2, events_pb2, rollouts_pb2, types_pb2
from fleetroll_client import (
    AsyncAdminClient,
    Connection,
    Link,
    Resynced,
    ServerRefusedError,
    Snapshot,
    follow,
    translate,
)
from fleetroll_client import Changed as FollowedChange
from fleetroll_common.values.codes import Code
from fleetroll_tui import convert
from fleetroll_tui.feed.asked import CALL_SECONDS, Asked, decided
from fleetroll_tui.feed.base import any_turn
from fleetroll_tui.feed.journal import message_of
from fleetroll_tui.model.updates import PIECE, Alive, Changed, Lost, Older, Page, Resync, Stand

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from fleetroll_client import Endpoint
    from fleetroll_client import Update as Followed
    from fleetroll_tui.feed.base import Turn
    from fleetroll_tui.feed.journal import Journal
    from fleetroll_tui.model.updates import Update
    from fleetroll_tui.model.values import Attempt

OLDER_EVENTS = 500
"""Events that are asked for when a view opens."""
FLEET = (events_pb2.WATCH_SUBJECT_EVENTS, events_pb2.WATCH_SUBJECT_ROLLOUTS, events_pb2.WATCH_SUBJECT_AGENTS)
MEMBERS = (events_pb2.WATCH_SUBJECT_ROLLOUT_HOSTS,)
RESYNC = "RESYNC"
"""The code that says: the connection is there, but what is shown is old until a snapshot is whole."""
Said = TypeVar("Said")
Made = TypeVar("Made")


class LiveServer(Asked):
    """A real server."""

    recording = False

    @property
    def fault(self) -> str:
        """Return why nothing is recorded any more, although it was asked for; "" while all is well."""
        return self._journal.fault if self._journal is not None else ""

    def __init__(self, endpoint: Endpoint, journal: Journal | None = None) -> None:
        """Prepare, in the running loop; nothing is sent yet.

        Args:
            endpoint: where, and with which right.
            journal: writes down whatever comes in.
        """
        self._client = AsyncAdminClient(endpoint)
        self._journal = journal
        self.turn: Turn = any_turn
        self._writer = ThreadPoolExecutor(1, "fleetroll-record")

    async def watch(self, rollout_id: str = "") -> AsyncIterator[Update]:
        """Yield what stands and what happens, until the server refuses for good."""
        request = events_pb2.WatchEventsRequest(subjects=MEMBERS if rollout_id else FLEET, rollout_id=rollout_id)
        try:
            async with aclosing(follow(self._client, request)) as updates:
                async for followed in updates:
                    update = await self._taken(rollout_id, followed)
                    if update is not None:
                        yield update
        except ServerRefusedError as error:
            yield Lost(error.code, error.message, error.remedy, final=True)

    async def _taken(self, stream: str, followed: Followed) -> Update | None:
        """Return the update that the follower's means; None for "connecting", which says nothing yet."""
        if isinstance(followed, Connection):
            return _link(followed)
        if self._journal is None:
            return await self._meant(followed)
        written = asyncio.get_running_loop().run_in_executor(self._writer, _write, self._journal, stream, followed)
        update = await self._meant(followed)
        await written
        return update

    async def _meant(self, followed: Snapshot | FollowedChange | Resynced) -> Update:
        if isinstance(followed, Resynced):
            return Resync(0.0, followed.reason, followed.log_replaced)
        return await things(followed, self.turn)

    async def older(self, *, rollout_id: str = "", host_id: str = "") -> Older:
        """Return the newest events."""
        page = types_pb2.Page(size=OLDER_EVENTS)
        request = events_pb2.ListEventsRequest(rollout_id=rollout_id, agent_id=host_id, page=page)
        with translate():
            answer = await self._client.events.ListEvents(request, timeout=CALL_SECONDS)
        return Older(tuple(convert.happening(each) for each in answer.events))

    async def attempts(self, host_id: str) -> tuple[Attempt, ...]:
        """Return a host's attempts."""
        with translate():
            answer = await self._client.agents.GetAgent(agents_pb2.GetAgentRequest(agent=host_id), timeout=CALL_SECONDS)
        return tuple(convert.attempt(each) for each in answer.attempts)

    async def pause(self, rollout_id: str, reason: str) -> None:
        """Pause a rollout."""
        request = rollouts_pb2.PauseRolloutRequest(rollout_id=rollout_id, reason=reason)
        with decided():
            await self._client.rollouts.PauseRollout(request, timeout=CALL_SECONDS)

    async def resume(self, rollout_id: str, revision: int, reason: str) -> None:
        """Let a rollout go on."""
        request = rollouts_pb2.ResumeRolloutRequest(rollout_id=rollout_id, decision_revision=revision, reason=reason)
        with decided():
            await self._client.rollouts.ResumeRollout(request, timeout=CALL_SECONDS)

    async def advance(self, rollout_id: str, revision: int, reason: str) -> None:
        """Open the wave that waits."""
        request = rollouts_pb2.AdvanceRolloutRequest(rollout_id=rollout_id, decision_revision=revision, reason=reason)
        with decided():
            await self._client.rollouts.AdvanceRollout(request, timeout=CALL_SECONDS)

    async def cancel(self, rollout_id: str, reason: str) -> None:
        """Cancel a rollout."""
        request = rollouts_pb2.CancelRolloutRequest(rollout_id=rollout_id, reason=reason)
        with decided():
            await self._client.rollouts.CancelRollout(request, timeout=CALL_SECONDS)

    async def press(self, fleet_id: str, reason: str) -> None:
        """Press the kill switch."""
        request = rollouts_pb2.PressKillSwitchRequest(fleet_id=fleet_id, reason=reason)
        with decided():
            await self._client.rollouts.PressKillSwitch(request, timeout=CALL_SECONDS)

    async def lift(self, fleet_id: str, epoch: int, reason: str) -> None:
        """Lift the kill switch."""
        request = rollouts_pb2.LiftKillSwitchRequest(fleet_id=fleet_id, reason=reason, epoch=epoch)
        with decided():
            await self._client.rollouts.LiftKillSwitch(request, timeout=CALL_SECONDS)

    async def close(self) -> None:
        """Close the connection, and the journal."""
        await self._client.close()
        if self._journal is not None:
            await asyncio.get_running_loop().run_in_executor(self._writer, self._journal.close)
        self._writer.shutdown(wait=False)


def _write(journal: Journal, stream: str, followed: Snapshot | FollowedChange | Resynced) -> None:
    """Write down what came; in a thread, since a large fleet takes seconds."""
    for part in _pages(followed) if isinstance(followed, Snapshot) else [followed]:
        message = message_of(part)
        if message is not None:
            if message.HasField("snapshot"):
                message.snapshot.last = bool(message.cursor)
            journal.write(stream, message)


def _pages(whole: Snapshot) -> Iterator[Snapshot]:
    """Yield a snapshot in parts, the last one with the cursor: one message of all hosts would hold the loop up."""
    things = max(len(whole.rollouts), len(whole.kill_switches), len(whole.agents), len(whole.rollout_hosts), 1)
    for start in range(0, things, PIECE):
        part = slice(start, start + PIECE)
        yield Snapshot(
            whole.cursor if start + PIECE >= things else b"",
            whole.sent_at,
            whole.rollouts[part],
            whole.kill_switches[part],
            whole.agents[part],
            whole.rollout_hosts[part],
            whole.token if start == 0 else None,
        )


def _link(connection: Connection) -> Alive | Lost | None:
    """Return what a connection means for what is shown."""
    if connection.link is Link.CONNECTING:
        return None
    if connection.live:
        return Alive(connection.sent_at.timestamp() if connection.sent_at is not None else 0.0)
    code = RESYNC if connection.link is Link.STALE else Code.UNAVAILABLE
    return Lost(code, connection.why, tries=connection.attempt)


async def things(followed: Snapshot | FollowedChange, turn: Turn) -> Page | Changed:
    """Return what stands, and what happened, as values; ``turn`` is awaited between pieces."""
    token = followed.token if isinstance(followed, Snapshot) else None
    sent_at = followed.sent_at.timestamp()
    stand = Stand(
        await _converted(turn, convert.rollout, followed.rollouts),
        await _converted(turn, convert.switch, followed.kill_switches),
        await _converted(turn, convert.host, followed.agents),
        await _converted(turn, convert.member, followed.rollout_hosts),
        convert.token(token) if token is not None else None,
    )
    if isinstance(followed, Snapshot):
        return Page(sent_at, stand, last=True)
    return Changed(sent_at, stand, await _converted(turn, convert.happening, followed.events))


async def _converted(turn: Turn, convert_one: Callable[[Said], Made], said: Sequence[Said]) -> tuple[Made, ...]:
    """Convert each thing; the loop has its turn after every :data:`PIECE`."""
    made: list[Made] = []
    for start in range(0, len(said), PIECE):
        if start:
            await turn()
        made += map(convert_one, said[start : start + PIECE])
    return tuple(made)
