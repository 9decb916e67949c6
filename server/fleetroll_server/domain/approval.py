"""How a rollout begins that does not begin at once: a second person approves it, or its time comes.

Rules:

1. Nobody approves what they asked for. The server knows tokens, not people, and says so.
2. Nothing begins, and nothing goes on, of a rollout that had to be approved and was not, whatever state it stands in.
3. What nobody approves in time is cancelled.
4. Its time comes once: under the kill switch or in a recovery it stands paused from then on, for a person to resume.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.states import RolloutState, RolloutTrigger

if TYPE_CHECKING:
    from datetime import datetime

APPROVAL = timedelta(days=7)
"""A plan that nobody looked at for so long was made for another fleet."""
FARTHEST = timedelta(days=90)
"""No start is set farther ahead: as long as hosts may wait for Go at most."""
TWO_TOKENS = (
    "started by token {requester}, approved by token {approver}: the server knows tokens, not people; "
    "both may be one person's"
)
Who = tuple[str, str]
"""Kind and id of an actor."""


def first_state(*, require_approval: bool, start_at: datetime | None) -> RolloutState:
    """Return the state in which a rollout is stored."""
    if require_approval:
        return RolloutState.AWAITING_APPROVAL
    return RolloutState.RUNNING if start_at is None else RolloutState.SCHEDULED


def after_approval(start_at: datetime | None, now: datetime) -> RolloutTrigger:
    """Return what an approval does: the rollout begins, or waits for its time."""
    return RolloutTrigger.SCHEDULE if start_at is not None and start_at > now else RolloutTrigger.START


def require_start_time(start_at: datetime | None, now: datetime) -> None:
    """Refuse a start that is not ahead.

    Raises:
        RequestError: INVALID_ARGUMENT (caller's fault).
    """
    if start_at is None or now < start_at <= now + FARTHEST:
        return
    what = "is not ahead" if start_at <= now else f"is more than {FARTHEST.days} days ahead"
    raise RequestError(
        f"start_at: {start_at.isoformat(timespec='seconds')} {what}",
        code=Code.INVALID_ARGUMENT,
        remedy="leave it out to begin at once, or say a time within that span",
        field="start_at",
    )


def require_other(requester: Who, approver: Who) -> None:
    """Refuse an approval by who asked for it.

    Raises:
        RequestError: NOT_ALLOWED (caller's fault).
    """
    if requester == approver:
        raise RequestError(
            f"this token ({approver[1]}) started the rollout: it can't approve it",
            code=Code.NOT_ALLOWED,
            remedy="let a second admin approve it with a token of their own, or cancel it",
            token=approver[1],
        )


def require_approved(*, required: bool, approved: bool) -> None:
    """Refuse to let a rollout go on that nobody has approved.

    Raises:
        RequestError: NOT_ALLOWED (caller's fault).
    """
    if required and not approved:
        message = "nobody has approved this rollout yet"
        raise RequestError(message, code=Code.NOT_ALLOWED, remedy="let a second admin approve it first, or cancel it")
