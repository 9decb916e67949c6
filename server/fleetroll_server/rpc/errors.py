"""Errors on the wire: one table from codes to gRPC's statuses, google.rpc details, one interceptor for every call."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import structlog
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, StoreError
from fleetroll_server.rpc.handlers import wrapped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from google.protobuf.message import Message

    from fleetroll_common.values.ids import IdSource

DOMAIN = "fleetroll"
LOCALE = "en"
_MAX_DETAIL_CHARS = 1000
"""Details travel in HTTP headers, which have 8 KiB together in most peers."""
_log = structlog.get_logger(__name__)

_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: (
        Code.INVALID_ARGUMENT,
        Code.REVISION,
        Code.THRESHOLD_MISSING,
        Code.BAD_SIGNATURE,
        Code.WRONG_HASH,
        Code.WRONG_PRODUCT,
        Code.ENTRY_MISSING,
        Code.HOSTILE_ARCHIVE,
        Code.VERSION_MISMATCH,
        Code.REPORT_INVALID,
    ),
    grpc.StatusCode.UNAUTHENTICATED: (Code.UNAUTHENTICATED, Code.RECONNECT),
    grpc.StatusCode.PERMISSION_DENIED: (Code.PERMISSION_DENIED,),
    grpc.StatusCode.NOT_FOUND: (Code.NOT_FOUND, Code.HOST_NOT_FOUND, Code.TOKEN_UNKNOWN, Code.IDENTITY_UNKNOWN),
    grpc.StatusCode.ALREADY_EXISTS: (Code.ALREADY_EXISTS,),
    grpc.StatusCode.ABORTED: (Code.CONFLICT, Code.STALE_DECISION),
    grpc.StatusCode.UNIMPLEMENTED: (Code.UNIMPLEMENTED, Code.PROTOCOL_UNSUPPORTED),
    grpc.StatusCode.INTERNAL: (Code.INTERNAL,),
    grpc.StatusCode.UNAVAILABLE: (
        Code.UNAVAILABLE,
        Code.STORE_FAILED,
        Code.DRAINING,
        Code.RECOVERY,
    ),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (Code.TOO_MANY_HANDSHAKES, Code.DISK_FULL),
}
_BY_CODE = {code: status for status, codes in _STATUS.items() for code in codes}


def status_of(code: Code) -> grpc.StatusCode:
    """Return the status of ``code``; what is not in the table is refused for the state that things are in."""
    return _BY_CODE.get(code, grpc.StatusCode.FAILED_PRECONDITION)


def to_status(error: FleetrollError) -> status_pb2.Status:
    """Return ``error`` as it travels: code and facts, the field at fault, the remedy."""
    facts = {name: value[:_MAX_DETAIL_CHARS] for name, value in error.details.items()}
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=str(error.code), domain=DOMAIN, metadata=facts)]
    if "field" in error.details:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.details["field"], description=error.message[:_MAX_DETAIL_CHARS]
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if error.remedy:
        details.append(error_details_pb2.LocalizedMessage(locale=LOCALE, message=error.remedy))
    status = status_pb2.Status(code=_number(status_of(error.code)), message=error.message[:_MAX_DETAIL_CHARS])
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Turns what a servicer raises into a status. MUST be the outermost interceptor."""

    def __init__(self, ids: IdSource) -> None:
        """Name log entries by ``ids``."""
        self._ids = ids

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wrap the method's handler."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None:  # no such method; gRPC answers UNIMPLEMENTED by itself
            return None
        return wrapped(handler, lambda context: self._translating(method, context))

    @asynccontextmanager
    async def _translating(self, method: str, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[None]:
        """End the call with the status of whatever is raised inside."""
        try:
            yield
        except (grpc.aio.AbortError, grpc.aio.UsageError):
            raise
        except FleetrollError as error:
            if isinstance(error, StoreError):
                _log.warning("rpc.store_failed", method=method, code=str(error.code), reason=error.message)
            await context.abort_with_status(rpc_status.to_status(to_status(error)))
        except Exception as error:  # noqa: BLE001 (a defect: logged with its trace, shown with the entry's id)
            log_id = self._ids.new("log")
            _log.exception("rpc.failed", method=method, log_id=log_id, kind=type(error).__name__)
            shown = FleetrollError(
                f"the server failed; its log says why under {log_id}",
                code=Code.INTERNAL,
                remedy="report this with the log entry",
                log_id=log_id,
            )
            await context.abort_with_status(rpc_status.to_status(to_status(shown)))


def _number(status: grpc.StatusCode) -> int:
    """Return the number of a status."""
    return int(code_pb2.Code.Value(status.name))
