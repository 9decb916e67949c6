"""Rules of a later beginning: who may approve, what it does, which times can be set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.approval import (
    FARTHEST,
    after_approval,
    first_state,
    require_approved,
    require_other,
    require_start_time,
)

NOW = datetime(2026, 5, 1, tzinfo=UTC)
SOON, BEFORE = NOW + timedelta(seconds=1), NOW - timedelta(seconds=1)


@pytest.mark.parametrize(
    ("required", "start_at", "state"),
    [
        (False, None, "running"),
        (False, SOON, "scheduled"),
        (True, None, "awaiting_approval"),
        (True, SOON, "awaiting_approval"),
    ],
)
def test_an_approval_goes_before_a_time(*, required: bool, start_at: datetime | None, state: str) -> None:
    assert first_state(require_approval=required, start_at=start_at) == state


@pytest.mark.parametrize(
    ("start_at", "trigger"), [(None, "start"), (SOON, "schedule"), (NOW, "start"), (BEFORE, "start")]
)
def test_an_approval_lets_it_begin_once_its_time_has_come(start_at: datetime | None, trigger: str) -> None:
    assert after_approval(start_at, NOW) == trigger


@pytest.mark.parametrize("start_at", [BEFORE, NOW, NOW + FARTHEST + timedelta(seconds=1)])
def test_a_time_that_is_past_or_too_far_is_refused(start_at: datetime) -> None:
    with pytest.raises(RequestError) as caught:
        require_start_time(start_at, NOW)
    assert (caught.value.code, caught.value.details, bool(caught.value.remedy)) == (
        "INVALID_ARGUMENT",
        {"field": "start_at"},
        True,
    )
    for fine in (None, SOON, NOW + FARTHEST):
        require_start_time(fine, NOW)


def test_nobody_approves_what_they_asked_for() -> None:
    with pytest.raises(RequestError) as caught:
        require_other(("token", "t1"), ("token", "t1"))
    assert (caught.value.code, bool(caught.value.remedy)) == ("NOT_ALLOWED", True)
    require_other(("token", "t1"), ("token", "t2"))


@pytest.mark.parametrize(("required", "approved"), [(False, False), (True, True), (True, False)])
def test_only_what_had_to_be_approved_and_was_not_is_held_back(*, required: bool, approved: bool) -> None:
    if required and not approved:
        with pytest.raises(RequestError) as caught:
            require_approved(required=required, approved=approved)
        assert caught.value.code == "NOT_ALLOWED"
        return
    require_approved(required=required, approved=approved)
