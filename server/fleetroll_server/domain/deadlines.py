"""Silence is never success: when each state's time is over, and what that means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.states import ENDED_ROLLOUT, AttemptState, RolloutState, Trigger, WaveState

OFFERED_SECONDS = 30.0
"""From delivery over a live session until the host says that it took the assignment."""
DOWNLOAD_BASE_SECONDS = 300.0
DOWNLOAD_BYTES_PER_SECOND = 64 * 1024
"""The slowest line that is waited for; a bandwidth cap will lower it."""
GRANTED_SECONDS = 90.0
"""From the end of the session: longer than a Go can be held (60 s)."""
STEP_SECONDS = 600.0
"""A step after Go whose host announced no limit of its own."""
OFFLINE_SECONDS = 60.0
"""How long a host may be silent before it is offline: three missed heartbeats."""
GRACE_SECONDS = 30.0
"""Beyond what a host announced: the way of its report."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """What a deadline does when it passes."""

    trigger: Trigger
    code: Code
    message: str


_EXPIRY = {
    AttemptState.OFFERED: Expiry(Trigger.FAIL, Code.DISPATCH_FAILED, "the host did not take the assignment in time"),
    AttemptState.DOWNLOADING: Expiry(Trigger.FAIL, Code.DOWNLOAD_FAILED, "the download did not end in time"),
    AttemptState.GRANTED: Expiry(Trigger.LOSE, Code.HOST_WENT_OFFLINE, "no word after Go"),
    AttemptState.APPLYING: Expiry(Trigger.LOSE, Code.HOST_WENT_OFFLINE, "no word while applying"),
    AttemptState.TRIAL: Expiry(Trigger.LOSE, Code.NEVER_CAME_BACK, "no result of the trial in time"),
    AttemptState.PROMOTED: Expiry(Trigger.LOSE, Code.HOST_WENT_OFFLINE, "no word after the promotion"),
    AttemptState.SOAKING: Expiry(Trigger.LOSE, Code.HOST_WENT_OFFLINE, "no word while soaking"),
    AttemptState.SUCCEEDED: Expiry(Trigger.LOSE, Code.HOST_WENT_OFFLINE, "it succeeded, then left without a goodbye"),
}


def expiry(state: AttemptState) -> Expiry | None:
    """Return what happens to an attempt in ``state`` at its deadline; nothing where none runs."""
    return _EXPIRY.get(state)


def returning_until(left_at: datetime | None, now: datetime) -> datetime | None:
    """Return until when a host that left may be on its way back; nothing once it is offline.

    Args:
        left_at: when the last one left, or since when a server is there to be spoken to, whichever is later.
        now: the server's clock.
    """
    until = left_at + timedelta(seconds=OFFLINE_SECONDS) if left_at is not None else now
    return until if now < until else None


def silence_counts(rollout: RolloutState, wave: WaveState) -> bool:
    """Tell whether the silence of a host that succeeded is bad: while its wave may still be judged.

    No passed wave is reopened by it, a failed one has failed, and no wave of a rollout that is taken back is judged.
    """
    return rollout not in ENDED_ROLLOUT | {RolloutState.ROLLING_BACK} and wave in {WaveState.OPEN, WaveState.BAKING}


def deadline(
    state: AttemptState, now: datetime, *, online: bool, size_bytes: int = 0, announced: timedelta | None = None
) -> datetime | None:
    """Return when the time of ``state``, entered now, is over.

    Before Go no deadline runs while the host is offline: the offline policy alone judges it. GRANTED has one only
    while there is no session: until then its host may still use the Go. SUCCEEDED has one only while its host is away
    without a goodbye and :func:`silence_counts`.

    Args:
        state: just entered.
        now: the server's clock.
        online: the host has a live session.
        size_bytes: of the artefact, >= 0.
        announced: what the host allows itself until its next word; absent for the default.
    """
    if state is AttemptState.OFFERED:
        return now + timedelta(seconds=OFFERED_SECONDS) if online else None
    if state is AttemptState.DOWNLOADING:
        seconds = DOWNLOAD_BASE_SECONDS + size_bytes / DOWNLOAD_BYTES_PER_SECOND
        return now + timedelta(seconds=seconds) if online else None
    if state is AttemptState.GRANTED:
        return None if online else now + timedelta(seconds=GRANTED_SECONDS)
    if state is AttemptState.SUCCEEDED:
        return None if online else now + timedelta(seconds=OFFLINE_SECONDS)
    if state in {AttemptState.APPLYING, AttemptState.TRIAL, AttemptState.PROMOTED, AttemptState.SOAKING}:
        limit = announced if announced is not None and announced > timedelta() else timedelta(seconds=STEP_SECONDS)
        return now + limit + timedelta(seconds=GRACE_SECONDS)
    return None
