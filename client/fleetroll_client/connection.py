"""The services behind an endpoint as typed stubs, for programs with and without asyncio.

Calls that only read, and calls that carry an idempotency key, are repeated when the connection was refused or broke
before an answer; nothing else is (:mod:`fleetroll_client.repeating`). A call without a ``timeout`` may wait for ever:
give one.

``renew()`` leaves a connection for a new one; a follower does it when it has heard nothing on a line that looked open.
Stubs are replaced then: take them from the client for each call. One that was kept makes its calls over the new
connection all the same, but for streams.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import grpc

from fleetroll.v1 import (
    agents_pb2_grpc,
    anchors_pb2_grpc,
    events_pb2_grpc,
    keys_pb2_grpc,
    policy_pb2_grpc,
    recovery_pb2_grpc,
    releases_pb2_grpc,
    rollouts_pb2_grpc,
    server_info_pb2_grpc,
    tokens_pb2_grpc,
)
from fleetroll_client.dialling import dial, dial_async
from fleetroll_client.repeating import AsyncRepeating, Lines, repeating

if TYPE_CHECKING:
    from types import TracebackType

    import grpc.aio

    from fleetroll_client.endpoint import Endpoint

LEFT_SECONDS = 60.0
"""How long calls may go on over a connection that was left: longer than any that a person waits for."""


class AdminClient:
    """A connection with one stub per admin service. A context manager; may be used from several threads.

    Errors of calls are gRPC's; inside ``with translate():`` they are typed. What is repeated: see the module.
    """

    def __init__(self, endpoint: Endpoint, channel: grpc.Channel | None = None) -> None:
        """Prepare the channel; nothing is sent before the first call.

        Args:
            endpoint: the server.
            channel: speak over this one instead, such as a double of ``grpc_testing``; it is closed with the client.
        """
        self.endpoint = endpoint
        self._given = channel
        self._lines = Lines()
        self._left: dict[grpc.Channel, threading.Timer] = {}
        self._renewing = threading.Lock()
        self._open()

    def _open(self) -> None:
        """Let calls go over a new channel from now on."""
        self._channel = self._given or dial(self.endpoint)
        agents = agents_pb2_grpc.AgentsServiceStub(self._channel)
        anchors = anchors_pb2_grpc.AnchorsServiceStub(self._channel)
        events = events_pb2_grpc.EventsServiceStub(self._channel)
        keys = keys_pb2_grpc.KeysServiceStub(self._channel)
        policy = policy_pb2_grpc.PolicyServiceStub(self._channel)
        recovery = recovery_pb2_grpc.RecoveryServiceStub(self._channel)
        releases = releases_pb2_grpc.ReleasesServiceStub(self._channel)
        rollouts = rollouts_pb2_grpc.RolloutsServiceStub(self._channel)
        server_info = server_info_pb2_grpc.ServerInfoServiceStub(self._channel)
        tokens = tokens_pb2_grpc.TokensServiceStub(self._channel)
        self._lines.go_over(agents, anchors, events, keys, policy, recovery, releases, rollouts, server_info, tokens)
        self.agents = repeating(agents, self._lines)
        self.anchors = repeating(anchors, self._lines)
        self.events = repeating(events, self._lines)
        self.keys = repeating(keys, self._lines)
        self.policy = repeating(policy, self._lines)
        self.recovery = repeating(recovery, self._lines)
        self.releases = repeating(releases, self._lines)
        self.rollouts = repeating(rollouts, self._lines)
        self.server_info = repeating(server_info, self._lines)
        self.tokens = repeating(tokens, self._lines)

    def renew(self) -> None:
        """Let calls go over a new connection from now on; those under way have :data:`LEFT_SECONDS` on the old one.

        One that fails there meanwhile, and may be repeated, is made again over the new one. A channel that the caller
        gave is kept.
        """
        if self._given is not None:
            return
        with self._renewing:
            left = self._channel
            self._open()
            closing = threading.Timer(LEFT_SECONDS, self._close, [left])
            closing.daemon = True
            self._left[left] = closing
        closing.start()

    def _close(self, left: grpc.Channel) -> None:
        """Close a channel that was left, once."""
        closing = self._left.pop(left, None)
        if closing is not None:
            closing.cancel()
            left.close()

    def dial(self) -> grpc.Channel:
        """Return a channel for one long stream, a new one each time, to be given back to :meth:`hang_up`."""
        return self._given or dial(self.endpoint, watching=True)

    def hang_up(self, channel: grpc.Channel) -> None:
        """Close a channel of :meth:`dial`; one that the caller of the client gave stays open until the client's end."""
        if channel is not self._given:
            channel.close()

    def __enter__(self) -> AdminClient:  # noqa: PYI034 (Self came with 3.11)
        """Return the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connections; calls under way are cancelled."""
        for left in list(self._left):
            self._close(left)
        self._channel.close()


class AsyncAdminClient:
    """The same for asyncio: one stub per admin service, over ``grpc.aio``. An async context manager of one loop.

    Errors of calls are gRPC's; inside ``with translate():`` they are typed. What is repeated: see the module.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        """Prepare the channel, in the running loop; nothing is sent before the first call."""
        self.endpoint = endpoint
        self._lines = Lines()
        self._left: dict[asyncio.Task[None], grpc.aio.Channel] = {}
        self._open()

    def _open(self) -> None:
        """Let calls go over a new channel from now on."""
        self._repeating = AsyncRepeating(self._lines)
        self._channel = dial_async(self.endpoint, [self._repeating])
        self.agents = agents_pb2_grpc.AgentsServiceStub(self._channel)
        self.anchors = anchors_pb2_grpc.AnchorsServiceStub(self._channel)
        self.events = events_pb2_grpc.EventsServiceStub(self._channel)
        self.keys = keys_pb2_grpc.KeysServiceStub(self._channel)
        self.policy = policy_pb2_grpc.PolicyServiceStub(self._channel)
        self.recovery = recovery_pb2_grpc.RecoveryServiceStub(self._channel)
        self.releases = releases_pb2_grpc.ReleasesServiceStub(self._channel)
        self.rollouts = rollouts_pb2_grpc.RolloutsServiceStub(self._channel)
        self.server_info = server_info_pb2_grpc.ServerInfoServiceStub(self._channel)
        self.tokens = tokens_pb2_grpc.TokensServiceStub(self._channel)
        stubs = (
            *(self.agents, self.anchors, self.events, self.keys, self.policy, self.recovery),
            *(self.releases, self.rollouts, self.server_info, self.tokens),
        )
        self._lines.go_over(*stubs)

    def dial(self) -> grpc.aio.Channel:
        """Return a channel for one long stream, a new one each time; whoever asked for it closes it."""
        return dial_async(self.endpoint, watching=True)

    def renew(self) -> None:
        """Let calls go over a new connection from now on; those under way have :data:`LEFT_SECONDS` on the old one.

        Those that may be repeated are made again over the new one at once: nobody is to wait for a line that may be
        dead.
        """
        left, repeating_there = self._channel, self._repeating
        self._open()
        repeating_there.leave()
        task = asyncio.get_running_loop().create_task(left.close(LEFT_SECONDS))
        self._left[task] = left
        task.add_done_callback(self._left.pop)

    async def close(self) -> None:
        """Close the connections; calls under way are cancelled."""
        left = dict(self._left)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for channel in (*left.values(), self._channel):
            await channel.close()

    async def __aenter__(self) -> AsyncAdminClient:  # noqa: PYI034 (Self came with 3.11)
        """Return the client itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the channel."""
        await self.close()
