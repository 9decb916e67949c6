"""Promote is given to what runs and says so: each fact alone withholds it, and nothing else does."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from fleetroll_server.domain.promote import TrialFacts, is_another, may_promote
from fleetroll_server.domain.states import AttemptState

DUE = TrialFacts(
    state=AttemptState.TRIAL,
    recalled=False,
    wanted_version="1.1.0",
    wanted_sha256="ab" * 32,
    running_version="1.1.0",
    calls_itself="1.1.0",
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
        {"calls_itself": "1.0.0"},
        {"running_version": "1.0.0", "calls_itself": "1.0.0"},
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


@pytest.mark.parametrize("fact", [{"running_version": "1.0.0"}, {"calls_itself": "1.0.0"}, {"calls_itself": ""}])
def test_the_releases_own_bytes_under_another_name_are_an_alarm(fact: dict[str, Any]) -> None:
    assert is_another(replace(DUE, **fact))


@pytest.mark.parametrize(
    "fact",
    [
        {},
        {"calls_itself": "1.0.0", "on_trial": False},
        {"calls_itself": "1.0.0", "running_sha256": "cd" * 32},
        {"calls_itself": "1.0.0", "state": AttemptState.SUCCEEDED},
    ],
)
def test_a_right_name_other_bytes_and_what_is_not_on_trial_are_none(fact: dict[str, Any]) -> None:
    assert not is_another(replace(DUE, **fact))
