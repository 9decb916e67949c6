"""What a host begins with, on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll.v1 import enrolment_pb2 as pb
from fleetroll_common.values.version import MAX_VERSION_CHARS, Version
from fleetroll_server.catalogue.first import Wanted
from fleetroll_server.domain.first_version import Standing
from fleetroll_server.rpc import requests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_server.domain.first_version import FirstVersion

MAX_NAME_CHARS = 63
"""Of a product and a channel."""
MAX_PASSED_OVER = 100
_GROUNDS = {
    Standing.PROVED: pb.FIRST_VERSION_GROUND_COMPLETED,
    Standing.UNTRIED: pb.FIRST_VERSION_GROUND_UNTRIED,
}


def wanted_of(request: pb.NameFirstVersionRequest) -> Wanted:
    """Return what a host asks for.

    Raises:
        RequestError: INVALID_ARGUMENT (caller's fault).
    """
    return Wanted(
        product=requests.text("product", request.product, at_least=1, at_most=MAX_NAME_CHARS),
        channel=requests.text("channel", request.channel, at_least=1, at_most=MAX_NAME_CHARS),
        platform=requests.platform(request.platform),
        passed_over=_versions(request.passed_over),
    )


def first_version_to_wire(found: FirstVersion) -> pb.NameFirstVersionResponse:
    """Return what is named."""
    return pb.NameFirstVersionResponse(version=str(found.version), ground=_GROUNDS[found.standing])


def _versions(said: Sequence[str]) -> frozenset[Version]:
    """Return the versions that a host passes over.

    Raises:
        RequestError: INVALID_ARGUMENT: too many, or one is none (caller's fault).
    """
    if len(said) > MAX_PASSED_OVER:
        raise requests.invalid("passed_over", f"{len(said)} versions, at most {MAX_PASSED_OVER} are allowed")
    texts = [requests.text("passed_over", one, at_most=MAX_VERSION_CHARS) for one in said]
    return frozenset(Version.parse(one, field="passed_over") for one in texts)
