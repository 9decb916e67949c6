"""Checks of what became of the last updates, and of holds that somebody may have forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.doctor.values import Finding, Sign
from fleetroll_agent.jobs.ruling import notes
from fleetroll_agent.jobs.values import PRODUCT, Outcome, Said
from fleetroll_agent.reading.history import attempt_id
from fleetroll_agent.reading.instants import instant, span
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll_agent.doctor.host import Host, Kept

HOLD_SECONDS = 86400.0
_PAST_GO = frozenset({Said.SUCCEEDED, Said.ROLLED_BACK, Said.ROLLBACK_FAILED})
"""Ends after which another version runs, or was tried."""


def last_attempts(host: Host) -> Iterator[Finding]:
    """Tell of each product whose last attempt went wrong, in its own words."""
    for kept in host.products:
        changed = _newest(kept, _PAST_GO)
        if changed is not None and changed.said is Said.ROLLBACK_FAILED:
            yield _of(host, kept, changed, Sign.ROLLBACK_FAILED, "the way back failed")
        last = _newest(kept, _PAST_GO | {Said.FAILED})
        if last is None or last.said in (Said.SUCCEEDED, Said.ROLLBACK_FAILED):
            continue
        if last.code is Code.START_FAILED:
            yield _of(host, kept, last, Sign.RESTART_FAILED, "the new version did not start")
        elif last.said is Said.ROLLED_BACK:
            yield _of(host, kept, last, Sign.ROLLED_BACK, "the last update was taken back")
        else:
            yield _of(host, kept, last, Sign.UPDATE_FAILED, "the last update failed, and changed nothing")


def holds(host: Host) -> Iterator[Finding]:
    """Tell which products have been held for more than a day."""
    for kept in host.products:
        override, now = kept.record.override, host.now.timestamp()
        if override is None or override.since is None or not override.stands(now):
            continue
        age = now - override.since
        if age > HOLD_SECONDS:
            why = f": {override.reason}" if override.reason else ""
            text = f"held for {span(age)} by {override.actor} ({override.kind.value}){why}"
            remedy = (
                f"it ends by itself on {instant(override.until)}; sooner with: {host.command(f'unhold {kept.name}')}"
            )
            yield Finding(Sign.HOLD_OLD, kept.name, text, remedy)


def against(host: Host) -> Iterator[Finding]:
    """Tell what its publisher holds against a version that runs: it goes on running, and somebody should change it."""
    for kept in host.products:
        slot, current = None if host.boot is None else host.boot.current, kept.record.current
        if kept.name == PRODUCT:
            version, sha256 = ("", "") if slot is None else (slot.version, slot.digest)
        else:
            version, sha256 = ("", "") if current is None else (current.version, current.sha256)
        for note in notes(kept.record, version, sha256):
            sign = Sign.REVOKED_RUNNING if note.code is Code.DIGEST_REVOKED else Sign.BELOW_FLOOR
            remedy = f"update to a release that is allowed: {host.command(f'update {kept.name}')}"
            yield Finding(sign, kept.name, note.message, remedy)


def _newest(kept: Kept, ends: frozenset[Said]) -> Outcome | None:
    return next((outcome for outcome in reversed(kept.record.outcomes) if outcome.said in ends), None)


def _of(host: Host, kept: Kept, outcome: Outcome, sign: Sign, what: str) -> Finding:
    which = attempt_id(outcome)
    why = " ".join(part for part in (str(outcome.code or ""), outcome.message) if part)
    text = f"{what}: {which} to {outcome.version}, {instant(outcome.ended_at)}: {why}".rstrip(": ")
    printed = host.command("log" if kept.name == "agent" else f"log {kept.name} {which}")
    if sign is Sign.ROLLBACK_FAILED:
        remedy = f"do what it says; what the commands printed: {printed}"
    else:
        remedy = (
            f"the version before runs; read {printed}, then try a mended release: {host.command(f'update {kept.name}')}"
        )
    return Finding(sign, kept.name, text, remedy)
