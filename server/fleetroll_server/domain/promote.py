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
        running_version: what the program that speaks calls itself.
        running_sha256: the digest that the host says it runs.
        on_trial: the host says that it is on trial.
    """

    state: AttemptState
    recalled: bool
    wanted_version: str
    wanted_sha256: str
    running_version: str
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
        and facts.running_version == facts.wanted_version
        and facts.running_sha256 == facts.wanted_sha256
        and bool(facts.wanted_sha256)
    )
