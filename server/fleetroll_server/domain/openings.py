"""A rollout that ends before the windows of its hosts open is refused: those could only wait, and expire. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.hostrules import start_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleetroll_server.domain.eligible import HostFacts
    from fleetroll_server.domain.hostrules import HostRules


def require_openings(hosts: Iterable[HostFacts], now: datetime, not_after_seconds: float) -> None:
    """Return when every host has an opening before the rollout's not_after, by the policy of the server.

    Each kind of rules is calculated once, however many hosts go by it. A host whose zone is not known refuses nothing:
    it may tell one.

    Args:
        hosts: of the rollout.
        now: the server's clock.
        not_after_seconds: how long hosts may wait for Go.

    Raises:
        RequestError: WINDOW: some hosts have none; the first one is named (caller's fault).
    """
    ends = now + timedelta(seconds=not_after_seconds)
    openings: dict[int, datetime | None] = {}
    shut: list[tuple[HostFacts, datetime | None]] = []
    for host in hosts:
        rules = host.rules
        if rules.is_always_open or rules.fault:
            continue
        if id(rules) not in openings:  # hosts of one policy and zone share the object
            openings[id(rules)] = _opening(rules, now)
        opens_at = openings[id(rules)]
        if opens_at is None or opens_at >= ends:
            shut.append((host, opens_at))
    if shut:
        raise _refusal(shut, ends)


def _opening(rules: HostRules, now: datetime) -> datetime | None:
    """Return when work may begin; ``now`` where that is not known."""
    try:
        return start_of(rules, now)
    except RequestError:
        return now


def _refusal(shut: list[tuple[HostFacts, datetime | None]], ends: datetime) -> RequestError:
    """Name the first host, when it opens, and how many others there are."""
    host, opens_at = shut[0]
    when = "not within 400 days" if opens_at is None else f"at {opens_at:%Y-%m-%d %H:%M}Z"
    others = f" and {len(shut) - 1} more" if len(shut) > 1 else ""
    message = (
        f"limits.not_after: {ends:%Y-%m-%d %H:%M}Z is before {host.name}{others} may begin: {when}, by its windows"
    )
    remedy = "say a longer not_after, leave these hosts out, or change the policy"
    return RequestError(message, code=Code.WINDOW, remedy=remedy, field="limits.not_after", host=host.name)
