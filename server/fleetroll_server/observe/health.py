"""Readiness by the standard health service: green only while what is said to clients can be made durable."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

if TYPE_CHECKING:
    import grpc

    from fleetroll_server.store import Writer

OVERALL = ""
"""The name that clients ask for when they mean the server as a whole."""
_log = structlog.get_logger(__name__)


class Readiness:
    """Shows the writer's health, and the drain, in the health service."""

    def __init__(self, server: grpc.aio.Server, writer: Writer) -> None:
        """Serve health on ``server``; follow ``writer``."""
        self._servicer = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)
        self._writer = writer
        self._draining = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Show the first state, and follow every change."""
        self._writer.on_health_change(self._changed)
        await self._show()

    async def drain(self) -> None:
        """Show that nobody should come here any more."""
        self._draining = True
        await self._show()

    async def stop(self) -> None:
        """Wait until nothing is under way."""
        await asyncio.gather(*self._tasks)

    def _changed(self, healthy: bool) -> None:  # noqa: FBT001 (the writer's call)
        """Follow the writer."""
        _log.log(20 if healthy else 40, "readiness.changed", healthy=healthy)
        task = asyncio.get_running_loop().create_task(self._show())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _show(self) -> None:
        """Set the status that holds now."""
        ready = self._writer.healthy and not self._draining
        status = health_pb2.HealthCheckResponse
        await self._servicer.set(OVERALL, status.SERVING if ready else status.NOT_SERVING)
