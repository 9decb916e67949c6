"""Ways back that nobody proved: how many of them speak against a digest, and when one of them is taken back.

A trial that ended for want of contact says little: the first one that counts is forgiven, the second one makes the
digest bad. When the server was the one that could not be reached, it says so with its next offer, and that way back
counts no more: its outcome is marked, so that a request that comes twice takes nothing back twice.
"""

from typing import Optional, Tuple

from fleetroll_agent.launcher.values import Attempt, Ended, Outcome, Reason, Record

UNPROVEN_LIMIT = 2
"""Counted unproven trials of one digest that make it bad."""


def is_bad(record: Record, digest: str) -> bool:
    """Tell whether ``digest`` may be tried only when a person asks for it."""
    return digest in record.bad or record.unproven_counts().get(digest, 0) >= UNPROVEN_LIMIT


def excuse(record: Record, attempt: Attempt, digest: str) -> Record:
    """Return ``record`` with the newest unproven way back of ``digest`` before ``attempt`` not counted.

    The very same record means that there was nothing to take back. It reaches as far back as outcomes are kept: the
    latest and ``MAX_EARLIER`` before it.
    """
    known = _outcomes(record)
    place = next((at for at, outcome in enumerate(known) if _is_meant(outcome, attempt, digest)), None)
    if place is None or not known[place].counted:
        return record
    marked = (*known[:place], known[place]._replace(counted=False), *known[place + 1 :])
    counts = record.unproven_counts()
    counts[digest] = counts.get(digest, 0) - 1
    kept = tuple(sorted((name, count) for name, count in counts.items() if count > 0))
    return record._replace(last=marked[0], earlier=marked[1:], unproven=kept)


def _outcomes(record: Record) -> Tuple[Outcome, ...]:
    """Return the kept outcomes, newest first."""
    return () if record.last is None else (record.last, *record.earlier)


def _is_meant(outcome: Outcome, attempt: Attempt, digest: str) -> bool:
    ended: Optional[Attempt] = outcome.attempt
    unproven = outcome.ended is Ended.ROLLED_BACK and outcome.reason is Reason.UNPROVEN
    older = ended is not None and ended.origin is attempt.origin and ended.generation < attempt.generation
    return unproven and older and outcome.digest == digest
