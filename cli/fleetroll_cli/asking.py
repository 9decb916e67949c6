"""What several commands ask about one rollout: it, its hosts, its revision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll.v1 import rollouts_pb2, types_pb2
from fleetroll_cli.context import CALL_SECONDS
from fleetroll_cli.output import note
from fleetroll_cli.watch import lines_of

if TYPE_CHECKING:
    from fleetroll_client import AdminClient


def get(client: AdminClient, rollout_id: str, timeout_seconds: float = CALL_SECONDS) -> rollouts_pb2.GetRolloutResponse:
    """Ask for one rollout."""
    return client.rollouts.GetRollout(rollouts_pb2.GetRolloutRequest(rollout_id=rollout_id), timeout=timeout_seconds)


def hosts_of(client: AdminClient, rollout_id: str) -> list[rollouts_pb2.RolloutHost]:
    """Ask for all hosts of a rollout, page by page."""
    found: list[rollouts_pb2.RolloutHost] = []
    cursor = b""
    while True:
        request = rollouts_pb2.ListRolloutHostsRequest(
            rollout_id=rollout_id, page=types_pb2.Page(size=1000, cursor=cursor)
        )
        page = client.rollouts.ListRolloutHosts(request, timeout=CALL_SECONDS)
        found.extend(page.hosts)
        cursor = page.next_cursor
        if not cursor:
            return found


def revision_of(client: AdminClient, rollout_id: str, given: int | None) -> int:
    """Return the revision to decide on; without one, show what the decision is drawn from, beside the output."""
    if given is not None:
        return given
    rollout = get(client, rollout_id).rollout
    for line in lines_of(rollout):
        note(line)
    return rollout.decision_revision
