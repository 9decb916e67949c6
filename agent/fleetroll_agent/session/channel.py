"""Connections to a server: TLS, the enrolled CA and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import grpc

from fleetroll_agent.waiting import within
from fleetroll_common.wire.channel import AGENT_OPTIONS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONNECT_SECONDS = 10.0
"""For TCP and TLS with one address: then the next one is tried."""


@contextlib.asynccontextmanager
async def connected(address: str, ca_pem: bytes) -> AsyncIterator[grpc.aio.Channel]:
    """Give a channel that is connected to ``address``.

    Raises:
        OSError: nobody answered in time, or not with a certificate of that CA.
    """
    credentials = grpc.ssl_channel_credentials(root_certificates=ca_pem)
    channel = grpc.aio.secure_channel(address, credentials, options=list(AGENT_OPTIONS))
    try:
        try:
            await within(CONNECT_SECONDS, _ready(channel, address))
        except asyncio.TimeoutError as error:
            message = f"{address} did not answer within {CONNECT_SECONDS:g} s"
            raise ConnectionError(message) from error
        yield channel
    finally:
        await channel.close(grace=None)


async def _ready(channel: grpc.aio.Channel, address: str) -> None:
    """Return when the channel is connected. Its first failure ends it: when to try again is decided by our own rule."""
    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        if state in (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN):
            message = f"{address} can't be reached, or has no certificate of our CA"
            raise ConnectionError(message)
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)
