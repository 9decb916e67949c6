"""Errors of a server come back as they were made there: code, message, remedy, facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from fleetroll.v1 import server_info_pb2
from fleetroll_client import AdminClient, Endpoint, ServerRefusedError, translate
from fleetroll_client.errors import from_rpc_error
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

GARBAGE = b"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
PEM = b"""-----BEGIN CERTIFICATE-----
MIIBcTCCARegAwIBAgIUMacIdgDQ4ZuKKWE40Es03+Xxo8QwCgYIKoZIzj0EAwIw
DTELMAkGA1UEAwwCY2EwIBcNMjYxMTI5MDYyMzU4WhgPMjEyNjExMDUwNjIzNTha
MA0xCzAJBgNVBAMMAmNhMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEp7D01hHv
dbiW8GH7Yt6HInVWgYfhQoiC5tIlHGgeqAyiH9h3m4MxYJ4O9yBEgI7nqX9u4+LZ
6m8nAbgMHDHl1KNTMFEwHQYDVR0OBBYEFMp4skQ7Jl5/g63BUTKwEpsPzliUMB8G
A1UdIwQYMBaAFMp4skQ7Jl5/g63BUTKwEpsPzliUMA8GA1UdEwEB/wQFMAMBAf8w
CgYIKoZIzj0EAwIDSAAwRQIgJg6inB1xtmQZ2yLXsYsXGojrbUBhd0bsRV6YqSRR
FI0CIQCMMJoji2DGjSRXYjX/gTB6xoeP9E1b1onsR/Kkr3kDlg==
-----END CERTIFICATE-----
"""


class Refused(grpc.RpcError):
    """An error as the synchronous client raises it."""

    def __init__(self, status: grpc.StatusCode, text: str, details: Sequence[any_pb2.Any] = ()) -> None:
        """Carry a status and google.rpc details."""
        self._status, self._text = status, text
        rich = status_pb2.Status(code=status.value[0], message=text, details=details)
        self._trailing = rpc_status.to_status(rich).trailing_metadata

    def code(self) -> grpc.StatusCode:
        """Return the status."""
        return self._status

    def details(self) -> str:
        """Return the text."""
        return self._text

    def trailing_metadata(self) -> Any:
        """Return what carries the details."""
        return self._trailing


def packed(message: error_details_pb2.ErrorInfo | error_details_pb2.LocalizedMessage) -> any_pb2.Any:
    """Return a detail as it travels."""
    box = any_pb2.Any()
    box.Pack(message)
    return box


def test_code_and_facts_of_the_server_are_kept() -> None:
    """They are what scripts act on."""
    info = error_details_pb2.ErrorInfo(reason="STALE_DECISION", domain="fleetroll", metadata={"current": "7"})
    error = from_rpc_error(Refused(grpc.StatusCode.FAILED_PRECONDITION, "too old", [packed(info)]))
    assert error.code is Code.STALE_DECISION
    assert error.details == {"current": "7"}
    assert error.message == "too old"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (grpc.StatusCode.UNAVAILABLE, Code.UNAVAILABLE),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Code.UNAVAILABLE),
        (grpc.StatusCode.UNAUTHENTICATED, Code.UNAUTHENTICATED),
        (grpc.StatusCode.PERMISSION_DENIED, Code.PERMISSION_DENIED),
        (grpc.StatusCode.UNKNOWN, Code.INTERNAL),
    ],
)
def test_an_error_without_details_goes_by_its_status(status: grpc.StatusCode, code: Code) -> None:
    """A proxy, or a server that is not there, sends none."""
    assert from_rpc_error(Refused(status, "")).code is code


def test_a_code_of_a_newer_server_does_not_break_the_client() -> None:
    """The status speaks for it."""
    info = error_details_pb2.ErrorInfo(reason="OF_TOMORROW", domain="fleetroll")
    assert from_rpc_error(Refused(grpc.StatusCode.UNAVAILABLE, "x", [packed(info)])).code is Code.UNAVAILABLE


def test_translate_raises_the_typed_error() -> None:
    """Callers never see gRPC's own."""
    with pytest.raises(ServerRefusedError), translate():
        raise Refused(grpc.StatusCode.NOT_FOUND, "gone")


@pytest.mark.parametrize("address", ["", "host", "host:", ":1", "host:port"])
def test_an_address_without_host_or_port_is_refused(address: str) -> None:
    """Before anything is sent."""
    with pytest.raises(RequestError, match="server"):
        Endpoint(address, PEM)


def test_there_is_no_connection_without_a_certificate() -> None:
    """Nothing turns verification off."""
    with pytest.raises(RequestError, match="ca"):
        Endpoint("host:1", b"")


@pytest.mark.parametrize("pem", [GARBAGE, GARBAGE[:-20], PEM + b"\xff", b"-----BEGIN CERTIFICATE-----"])
def test_a_certificate_that_can_not_be_read_is_refused_before_anything_is_sent(pem: bytes) -> None:
    """gRPC would log lines of its own, and say that nobody answers."""
    with pytest.raises(RequestError, match="ca: its certificates can't be read"):
        Endpoint("host:1", pem)


def test_the_token_is_never_shown() -> None:
    """Not by printing the endpoint."""
    assert "secret" not in repr(Endpoint("host:1", PEM, "secret"))


def test_a_server_that_is_not_there_is_said_in_words() -> None:
    """Not with a traceback, and within the call's own time."""
    with AdminClient(Endpoint("127.0.0.1:1", PEM)) as client, pytest.raises(ServerRefusedError) as refused, translate():
        client.server_info.GetServerInfo(server_info_pb2.GetServerInfoRequest(), timeout=5)
    assert refused.value.code is Code.UNAVAILABLE
    assert not refused.value.answered


class Unheard(Refused):
    """What gRPC makes by itself when a line breaks: without a word of a server."""

    def trailing_metadata(self) -> Any:
        """Return nothing."""
        return ()


def test_it_is_known_whether_the_server_answered() -> None:
    """Only then is it certain that what was asked for was not done."""
    info = error_details_pb2.ErrorInfo(reason="UNAVAILABLE", domain="fleetroll")
    assert from_rpc_error(Refused(grpc.StatusCode.UNAVAILABLE, "goes down", [packed(info)])).answered
    assert from_rpc_error(Unheard(grpc.StatusCode.PERMISSION_DENIED, "a proxy's")).answered
    for status in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNKNOWN):
        assert not from_rpc_error(Unheard(status, "")).answered


@pytest.mark.parametrize("words", [b"\xff", status_pb2.Status(code=5, message="x").SerializeToString()])
def test_words_that_can_not_be_read_or_contradict_the_status_are_no_words(words: bytes) -> None:
    """They come from something between; the status speaks."""
    refused = Refused(grpc.StatusCode.PERMISSION_DENIED, "x")
    refused._trailing = (("grpc-status-details-bin", words),)
    assert from_rpc_error(refused).code is Code.PERMISSION_DENIED
