"""A server over gRPC, through ``fleetroll_client``."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from fleetroll.v1 import agents_pb2, events_pb2, rollouts_pb2, types_pb2
from fleetroll_client import AsyncAdminClient, Connection, ServerRefusedError, follow, translate
from fleetroll_client.updates import Link
from fleetroll_tui import convert
from fleetroll_tui.feed.journal import message_of
from fleetroll_tui.model.updates import Alive, Lost, Older, Resync

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fleetroll_client import Endpoint
    from fleetroll_client import Update as Followed
    from fleetroll_tui.feed.journal import Journal
    from fleetroll_tui.model.updates import Update
    from fleetroll_tui.model.values import Attempt

CALL_SECONDS = 10.0
"""How long a call waits for its answer."""
OLDER_EVENTS = 500
"""Events that are asked for when a view opens."""
FLEET = (events_pb2.WATCH_SUBJECT_EVENTS, events_pb2.WATCH_SUBJECT_ROLLOUTS, events_pb2.WATCH_SUBJECT_AGENTS)
MEMBERS = (events_pb2.WATCH_SUBJECT_ROLLOUT_HOSTS,)


class LiveServer:
    """A real server."""

    recording = False

    def __init__(self, endpoint: Endpoint, journal: Journal | None = None) -> None:
        """Prepare, in the running loop; nothing is sent yet.

        Args:
            endpoint: where, and with which right.
            journal: writes down whatever comes in.
        """
        self._client = AsyncAdminClient(endpoint)
        self._journal = journal

    async def watch(self, rollout_id: str = "") -> AsyncIterator[Update]:
        """Yield what stands and what happens, until the server refuses for good."""
        request = events_pb2.WatchEventsRequest(subjects=MEMBERS if rollout_id else FLEET, rollout_id=rollout_id)
        try:
            async with aclosing(follow(self._client, request)) as updates:
                async for followed in updates:
                    update = self._taken(rollout_id, followed)
                    if update is not None:
                        yield update
        except ServerRefusedError as error:
            yield Lost(error.code, error.message, error.remedy, final=True)

    def _taken(self, stream: str, followed: Followed) -> Update | None:
        """Return the update that the follower's means; None for "connecting", which says nothing yet."""
        if isinstance(followed, Connection):
            if followed.link is Link.CONNECTING:
                return None
            return Alive(0.0) if followed.live else Lost("UNAVAILABLE", followed.why, tries=followed.attempt)
        message = message_of(followed)
        if message is None:
            return Resync(0.0, getattr(followed, "reason", ""), getattr(followed, "log_replaced", False))
        if self._journal is not None:
            self._journal.write(stream, message)
        return convert.update(message)

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
        with translate():
            await self._client.rollouts.PauseRollout(request, timeout=CALL_SECONDS)

    async def resume(self, rollout_id: str, revision: int, reason: str) -> None:
        """Let a rollout go on."""
        request = rollouts_pb2.ResumeRolloutRequest(rollout_id=rollout_id, decision_revision=revision, reason=reason)
        with translate():
            await self._client.rollouts.ResumeRollout(request, timeout=CALL_SECONDS)

    async def advance(self, rollout_id: str, revision: int, reason: str) -> None:
        """Open the wave that waits."""
        request = rollouts_pb2.AdvanceRolloutRequest(rollout_id=rollout_id, decision_revision=revision, reason=reason)
        with translate():
            await self._client.rollouts.AdvanceRollout(request, timeout=CALL_SECONDS)

    async def cancel(self, rollout_id: str, reason: str) -> None:
        """Cancel a rollout."""
        request = rollouts_pb2.CancelRolloutRequest(rollout_id=rollout_id, reason=reason)
        with translate():
            await self._client.rollouts.CancelRollout(request, timeout=CALL_SECONDS)

    async def press(self, fleet_id: str, reason: str) -> None:
        """Press the kill switch."""
        request = rollouts_pb2.PressKillSwitchRequest(fleet_id=fleet_id, reason=reason)
        with translate():
            await self._client.rollouts.PressKillSwitch(request, timeout=CALL_SECONDS)

    async def close(self) -> None:
        """Close the connection, and the journal."""
        await self._client.close()
        if self._journal is not None:
            self._journal.close()
