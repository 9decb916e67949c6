"""The door: enforces the rule of every method before its request is read, and says who calls during the call."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import grpc

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError
from fleetroll_server.access.caller import Anyone, set_caller
from fleetroll_server.rpc.handlers import refusing, wrapped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from fleetroll_server.access.authorise import Authoriser
    from fleetroll_server.access.declared import Rule


class AccessInterceptor(grpc.aio.ServerInterceptor):
    """Asks the authoriser. Stands behind the interceptor that turns errors into statuses."""

    def __init__(self, authoriser: Authoriser, rules: Mapping[str, Rule]) -> None:
        """Enforce ``rules``, by method path; a method without one is not served."""
        self._authoriser = authoriser
        self._rules = rules

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the method's handler for a caller who may, one that refuses for all others."""
        handler = await continuation(handler_call_details)
        if handler is None:  # no such method; gRPC answers UNIMPLEMENTED by itself
            return None
        method = handler_call_details.method
        metadata = cast("Sequence[tuple[str, str | bytes]]", handler_call_details.invocation_metadata)
        rule = self._rules.get(method)
        if rule is None:
            return refusing(handler, FleetrollError(f"{method} declares no role", code=Code.PERMISSION_DENIED))
        try:
            caller = await self._authoriser.authorise(rule, metadata)
        except Exception as error:  # noqa: BLE001 (raised again inside of the call, where it becomes a status)
            return refusing(handler, error)
        return wrapped(handler, lambda _context: _calling(caller))


@asynccontextmanager
async def _calling(caller: Anyone) -> AsyncIterator[None]:
    """Say who calls. The variable is the call's own: each runs in a task of its own."""
    set_caller(caller)
    yield
