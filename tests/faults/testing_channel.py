"""A double of a channel by ``grpc_testing``, typed: the test answers what a program asks in another thread."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, Any, cast

import grpc
import grpc_testing

from fleetroll.v1 import agents_pb2, events_pb2, policy_pb2, releases_pb2, rollouts_pb2, server_info_pb2, tokens_pb2
from fleetroll_client import AdminClient, Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGES = (agents_pb2, events_pb2, policy_pb2, releases_pb2, rollouts_pb2, server_info_pb2, tokens_pb2)
SERVICES = {service.name: service for package in PACKAGES for service in package.DESCRIPTOR.services_by_name.values()}
NOBODY = (grpc.StatusCode.UNAVAILABLE, "failed to connect to all addresses")


class Answering:
    """A client over the double, and the other end of its calls."""

    def __init__(self, ca_pem: bytes) -> None:
        self.double: Any = grpc_testing.channel(SERVICES.values(), grpc_testing.strict_real_time())
        self.client = AdminClient(Endpoint("nobody:1", ca_pem), cast("grpc.Channel", self.double))

    def begin(self, work: Callable[[AdminClient], Any]) -> Future[Any]:
        """Let a program work with the client."""
        return beside(lambda: work(self.client))

    def answer(self, service: str, method: str, response: Any = None, failing: Any = None) -> Any:
        """Answer the next call of a method; return its request."""
        descriptor = SERVICES[service].methods_by_name[method]
        _, request, call = self.double.take_unary_unary(descriptor)
        call.terminate(response, (), *(failing or (grpc.StatusCode.OK, "")))
        return request

    def stream(self, service: str, method: str) -> tuple[Any, Any]:
        """Take the next call of a streaming method; return its request and its other end."""
        _, request, call = self.double.take_unary_stream(SERVICES[service].methods_by_name[method])
        return request, call


def beside(work: Callable[[], Any]) -> Future[Any]:
    """Do work in a thread that nobody has to wait for: one that hangs fails its test alone."""
    done: Future[Any] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 (handed over to whoever asks for the result)
            done.set_exception(error)

    Thread(target=run, daemon=True).start()
    return done
