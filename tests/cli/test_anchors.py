"""What a server lists as its CAs is looked at before it stands in a file that one's own connections rest on."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from fleetroll.v1 import anchors_pb2 as pb
from fleetroll_cli.anchors import authorities_of
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.certificates import make_ca

CA = make_ca("Fleetroll CA", datetime(2026, 1, 1, tzinfo=UTC)).certificate.decode("ascii")


def listing(*certificates: str, role: pb.AuthorityRole.ValueType = pb.AUTHORITY_ROLE_CURRENT) -> Any:
    """A server that lists these."""
    state = pb.AnchorsState(authorities=[pb.Authority(certificate=one, role=role) for one in certificates])
    answer = pb.GetAnchorsResponse(state=state)
    return SimpleNamespace(anchors=SimpleNamespace(GetAnchors=lambda _request, timeout: answer if timeout else None))


def test_what_the_server_lists_is_returned() -> None:
    assert authorities_of(listing(CA)) == (CA,)


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(listing(), id="none"),
        pytest.param(listing(CA, role=pb.AUTHORITY_ROLE_OLD), id="none that counts"),
        pytest.param(
            listing(CA, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), id="no certificate"
        ),
        pytest.param(listing(CA + CA), id="two in one"),
        pytest.param(listing("\x1b[2J"), id="letters that steer"),
    ],
)
def test_a_server_that_lists_anything_else_changes_no_file(server: Any) -> None:
    with pytest.raises(RequestError) as caught:
        authorities_of(server)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert "the file stays as it is" in caught.value.remedy
