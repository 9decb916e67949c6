"""EventsService: designed, and not served by this version. Answering so is all that it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll.v1 import events_pb2 as pb
from fleetroll.v1 import events_pb2_grpc
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc


class EventsServicer(events_pb2_grpc.EventsServiceServicer):
    """Refuses, with the code that clients fall back on."""

    async def WatchEvents(
        self,
        request: pb.WatchEventsRequest,  # noqa: ARG002
        context: grpc.aio.ServicerContext[Any, Any],  # noqa: ARG002
    ) -> AsyncIterator[pb.WatchEventsResponse]:
        """Say that there are no events here."""
        raise RequestError(
            "this server does not serve events", code=Code.UNIMPLEMENTED, remedy="ask for the rollout every second"
        )
        yield pb.WatchEventsResponse()  # type: ignore[unreachable]  # makes this a generator, as the contract's method is
