"""The limits of a rollout from options; what is not given stays unset, so that the server's default holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll.v1 import rollouts_pb2
from fleetroll_cli.parse import duration
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

OFFLINE = {
    "": rollouts_pb2.OFFLINE_POLICY_UNSPECIFIED,
    "wait": rollouts_pb2.OFFLINE_POLICY_WAIT,
    "skip": rollouts_pb2.OFFLINE_POLICY_SKIP,
    "fail": rollouts_pb2.OFFLINE_POLICY_FAIL,
}
"""What happens to hosts that are offline, as it is typed; empty for the default."""


def limits_of(
    numbers: Mapping[str, float | None], durations: Mapping[str, str], offline: str
) -> rollouts_pb2.RolloutLimits:
    """Build the limits.

    Args:
        numbers: fields of the message by name; nothing for the default.
        durations: fields of the message by name, as typed; empty for the default.
        offline: wait, skip, fail, or empty for the default.

    Raises:
        RequestError: a duration or the policy can't be read (caller's fault).
    """
    if offline not in OFFLINE:
        message = f"offline: {offline!r} is no policy"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="wait, skip or fail", field="offline")
    limits = rollouts_pb2.RolloutLimits(offline_policy=OFFLINE[offline])
    for name, number in numbers.items():
        if number is not None:
            setattr(limits, name, number)
    for name, text in durations.items():
        if text:
            getattr(limits, name).FromTimedelta(duration(text, name))
    return limits
