"""A zero character in any text of any call is the caller's mistake, on every database: no servicer sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import enrolment_pb2, types_pb2
from fleetroll_common.values.errors import RequestError
from fleetroll_server.access.declared import AgentOnly, declared_rules
from fleetroll_server.rpc.contract import SERVICES
from fleetroll_server.rpc.texts import check_texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor import Descriptor, MethodDescriptor
    from google.protobuf.message import Message

BAD = "a\0b"
RULES = declared_rules(SERVICES)


def path_of(method: MethodDescriptor) -> str:
    """Return the path of a method, as it is called."""
    return f"/{method.containing_service.full_name}/{method.name}"


METHODS = {
    path_of(method): method
    for service in SERVICES
    for method in service.methods
    if not isinstance(RULES[path_of(method)], AgentOnly) and not (method.client_streaming and method.server_streaming)
}
"""All that a person or a newcomer may call; the agents' stream has a test of its own below."""


def fill(message: Message, field: FieldDescriptor) -> Iterator[str]:
    """Put the bad text into one field; yield the path below it, once for each place that it can have there."""
    kind = field.message_type
    if field.type == FieldDescriptor.TYPE_STRING:
        if field.is_repeated:
            getattr(message, field.name).append(BAD)
        else:
            setattr(message, field.name, BAD)
        yield field.name
    elif kind is not None and kind.GetOptions().map_entry:
        if kind.fields_by_name["value"].type == FieldDescriptor.TYPE_STRING:
            getattr(message, field.name)["key"] = BAD
            yield f"{field.name}.key"
            message.ClearField(field.name)
            getattr(message, field.name)[BAD] = "value"
            yield field.name
    elif kind is not None:
        for inner in kind.fields:
            below = getattr(message, field.name)
            below = below.add() if field.is_repeated else below
            for path in fill(below, inner):
                yield f"{field.name}.{path}"
            message.ClearField(field.name)


def bad_requests(kind: Descriptor) -> Iterator[tuple[Message, str]]:
    """Yield requests with one bad text each, and where it stands."""
    for field in kind.fields:
        message = message_factory.GetMessageClass(kind)()
        for path in fill(message, field):
            yield message, path


async def called(server: Any, method: MethodDescriptor, request: Message) -> None:
    """Call a method of whatever kind, to its first answer."""
    answer = message_factory.GetMessageClass(method.output_type).FromString
    kinds = (server.channel.unary_unary, server.channel.unary_stream, server.channel.stream_unary)
    kind = kinds[method.server_streaming + 2 * method.client_streaming]
    made = kind(path_of(method), lambda message: message.SerializeToString(), answer)
    call = made(iter([request]) if method.client_streaming else request, metadata=server.client().metadata, timeout=20)
    if not method.server_streaming:
        await call
        return
    async for _ in call:
        return


@pytest.mark.parametrize("path", METHODS)
async def test_no_call_takes_a_zero_character(server: Any, refusal: Any, path: str) -> None:
    for request, field in bad_requests(METHODS[path].input_type):
        why = await refusal(called(server, METHODS[path], request))
        assert (why.code, why.facts.get("field")) == ("INVALID_ARGUMENT", field)
        assert "zero character" in why.message
        assert "zero character" in why.remedy


@pytest.mark.parametrize("key", ["k" * 100_000, "\u20ac" * 1000])
async def test_a_long_key_does_not_hide_what_is_wrong(server: Any, refusal: Any, key: str) -> None:
    """An error that names all of it is larger than what peers take."""
    path = "/fleetroll.v1.EnrolmentService/Enroll"
    request = enrolment_pb2.EnrollRequest(labels={key: BAD})
    why = await refusal(called(server, METHODS[path], request))
    assert (why.code, why.facts.get("field")) == ("INVALID_ARGUMENT", f"labels.{key[:63]}")


def test_the_requests_above_are_not_empty() -> None:
    found = {field for method in METHODS.values() for _request, field in bad_requests(method.input_type)}
    assert found >= {"reason", "labels.key", "labels", "platform.abi"}


async def test_who_may_not_call_is_told_that_first(server: Any, refusal: Any) -> None:
    path = "/fleetroll.v1.AgentsService/GetAgent"
    call = server.channel.unary_unary(path, lambda message: message.SerializeToString(), bytes)
    request = next(message for message, _field in bad_requests(METHODS[path].input_type))
    assert (await refusal(call(request, timeout=20))).code == "UNAUTHENTICATED"


@pytest.mark.parametrize("said", ["reports", "request_go", "log_lines", "goodbye"])
def test_what_a_host_says_in_its_session_is_never_refused_for_a_text(said: str) -> None:
    kind = stream_pb2.ConnectRequest.DESCRIPTOR
    requests = list(_bad(kind.fields_by_name[said]))
    assert requests
    for request in requests:
        check_texts(request)


@pytest.mark.parametrize("said", ["identify"])
def test_what_a_host_says_before_its_session_is_refused(said: str) -> None:
    for request in _bad(stream_pb2.ConnectRequest.DESCRIPTOR.fields_by_name[said]):
        with pytest.raises(RequestError) as caught:
            check_texts(request)
        assert caught.value.details["field"] == f"{said}.agent_id"


def test_every_message_of_the_stream_is_mended_or_refused() -> None:
    """Whoever adds a message with a text decides which."""
    decided = {"identify", "reports", "request_go", "log_lines", "goodbye"}
    fields = stream_pb2.ConnectRequest.DESCRIPTOR.fields
    assert {field.name for field in fields if any(True for _ in _bad(field))} == decided


def test_bytes_may_hold_what_they_like() -> None:
    check_texts(types_pb2.Page(cursor=b"\0"))
    check_texts(stream_pb2.ConnectRequest(hello=stream_pb2.Hello(payload=b"\0", key=bytes(32))))


def _bad(field: FieldDescriptor) -> Iterator[Message]:
    """Yield messages of the stream with one bad text each."""
    message = stream_pb2.ConnectRequest()
    for _path in fill(message, field):
        yield message
