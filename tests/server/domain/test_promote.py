"""Promote is given to what runs and says so: each fact alone withholds it, and nothing else does."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from fleetroll_server.domain.promote import TrialFacts, may_promote
from fleetroll_server.domain.states import AttemptState

DUE = TrialFacts(
    state=AttemptState.TRIAL,
    recalled=False,
    wanted_version="1.1.0",
    wanted_sha256="ab" * 32,
    running_version="1.1.0",
    running_sha256="ab" * 32,
    on_trial=True,
)


def test_a_trial_of_the_right_version_is_promoted() -> None:
    assert may_promote(DUE)


@pytest.mark.parametrize(
    "fact",
    [
        {"recalled": True},
        {"on_trial": False},
        {"running_version": "1.0.0"},
        {"running_sha256": "cd" * 32},
        {"running_sha256": ""},
        {"wanted_version": "1.2.0"},
        {"wanted_sha256": "cd" * 32},
        {"wanted_sha256": "", "running_sha256": ""},
    ],
)
def test_each_fact_alone_withholds_it(fact: dict[str, Any]) -> None:
    assert not may_promote(replace(DUE, **fact))


@pytest.mark.parametrize("state", list(AttemptState))
def test_it_is_sent_again_to_a_promoted_host_and_never_outside_a_trial(state: AttemptState) -> None:
    expected = state in {AttemptState.TRIAL, AttemptState.PROMOTED}
    assert may_promote(replace(DUE, state=state)) is expected


def test_pause_halt_kill_and_quarantine_can_not_withhold_it() -> None:
    known = {field.name for field in fields(TrialFacts)}
    assert not known & {"rollout", "suspended", "quarantined", "paused"}
