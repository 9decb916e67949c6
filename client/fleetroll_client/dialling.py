"""Opens channels to a server: with the token on every call, and never without a CA."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import grpc.aio

from fleetroll_common.wire.channel import ADMIN_OPTIONS, WATCH_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_client.endpoint import Endpoint


def dial(endpoint: Endpoint, *, watching: bool = False) -> grpc.Channel:
    """Return a channel; nothing is sent before its first call.

    Args:
        endpoint: the server.
        watching: for one long stream: a connection of its own, that notices sooner when it is half dead.
    """
    options = WATCH_OPTIONS if watching else ADMIN_OPTIONS
    return grpc.secure_channel(endpoint.address, _credentials(endpoint), options=options)


def dial_async(
    endpoint: Endpoint, interceptors: Sequence[grpc.aio.ClientInterceptor] = (), *, watching: bool = False
) -> grpc.aio.Channel:
    """Return a channel for the running loop; like :func:`dial`, but interceptors of asyncio come with the channel."""
    options = WATCH_OPTIONS if watching else ADMIN_OPTIONS
    return grpc.aio.secure_channel(
        endpoint.address, _credentials(endpoint), options=options, interceptors=list(interceptors)
    )


def _credentials(endpoint: Endpoint) -> grpc.ChannelCredentials:
    """Return what the channel trusts and shows."""
    trusted = grpc.ssl_channel_credentials(root_certificates=endpoint.ca_pem)
    if not endpoint.token:
        return trusted
    return grpc.composite_channel_credentials(trusted, grpc.access_token_call_credentials(endpoint.token))
