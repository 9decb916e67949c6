"""Promote: the permit to keep the new version. It is given to what runs, not to what was meant to run."""

from __future__ import annotations

from dataclasses import dataclass

from fleetroll_server.domain.states import AttemptState


@dataclass(frozen=True, slots=True)
class TrialFacts:
    """What a session of a version on trial shows.

    Attributes:
        state: of the attempt, after the hello or report was taken in.
        recalled: a newer generation asked for the way back.
        wanted_version: the rollout's.
        wanted_sha256: of its artefact for the host's platform.
        running_version: of the slot that the host says it runs.
        calls_itself: what the program that speaks says it is.
        running_sha256: the digest that the host says it runs.
        on_trial: the host says that it is on trial.
    """

    state: AttemptState
    recalled: bool
    wanted_version: str
    wanted_sha256: str
    running_version: str
    calls_itself: str
    running_sha256: str
    on_trial: bool


def may_promote(facts: TrialFacts) -> bool:
    """Tell whether Promote is sent, again on every hello of a trial.

    Pause, halt, kill and quarantine withhold nothing: taking a healthy host back would be the only effect. The launcher
    keeps the version only when its health held for the whole soak besides.
    """
    return (
        facts.state in {AttemptState.TRIAL, AttemptState.PROMOTED}
        and facts.on_trial
        and not facts.recalled
        and facts.running_version == facts.calls_itself == facts.wanted_version
        and facts.running_sha256 == facts.wanted_sha256
        and bool(facts.wanted_sha256)
    )


def is_another(facts: TrialFacts) -> bool:
    """Tell whether the release's own bytes are on trial under another name: never kept, and somebody has to know."""
    on_trial = facts.state in {AttemptState.TRIAL, AttemptState.PROMOTED} and facts.on_trial
    ours = facts.running_sha256 == facts.wanted_sha256
    return on_trial and ours and {facts.running_version, facts.calls_itself} != {facts.wanted_version}
