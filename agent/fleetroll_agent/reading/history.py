"""What happened on this host: the ends of attempts, from the products' records and the journal. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs.values import Outcome, Said
from fleetroll_agent.reading.instants import instant, span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fleetroll_agent.jobs.journal import Entry
    from fleetroll_agent.jobs.values import Attempt, ProductRecord, Report

ENDS = frozenset(
    {Said.SUCCEEDED, Said.FAILED, Said.ROLLED_BACK, Said.ROLLBACK_FAILED, Said.CANCELLED, Said.SKIPPED},
)


@dataclass(frozen=True, slots=True)
class Past:
    """One attempt that has ended.

    Attributes:
        product: its name.
        outcome: how it ended.
        began_at: when this host took it, in Unix seconds; None = the journal does not go back so far.
    """

    product: str
    outcome: Outcome
    began_at: float | None

    @property
    def seconds(self) -> float | None:
        """Return how long it took, its waiting included; None where that is not known, or the clock went back."""
        took = None if self.began_at is None else self.outcome.ended_at - self.began_at
        return took if took is None or took >= 0 else None


def attempt_id(attempt: Attempt | Outcome) -> str:
    """Return what an attempt is called: its generation, or ``local:3`` for one of this host's own."""
    return f"local:{attempt.local}" if attempt.local else str(attempt.generation)


def history(records: Mapping[str, ProductRecord], entries: Iterable[Entry]) -> tuple[Past, ...]:
    """Return the ends of all attempts, newest first.

    What a record has dropped is taken from the journal, which does not know the version of a failed attempt.

    Args:
        records: by product.
        entries: of the journal, oldest first.
    """
    began, ends = _journaled(entries)
    past = [
        Past(name, outcome, began.get((name, outcome.number)))
        for name, record in records.items()
        for outcome in record.outcomes
    ]
    known = {(each.product, each.outcome.number) for each in past}
    past += [Past(key[0], _outcome(report), began.get(key)) for key, report in ends.items() if key not in known]
    return tuple(sorted(past, key=lambda each: (each.outcome.ended_at, each.outcome.number), reverse=True))


def document(past: Past) -> dict[str, Any]:
    """Return an end as plain JSON values."""
    outcome = past.outcome
    return {
        "product": past.product,
        "id": attempt_id(outcome),
        "version": outcome.version,
        "result": outcome.said.value,
        "code": None if outcome.code is None else outcome.code.value,
        "message": outcome.message,
        "running_version": outcome.running_version,
        "began_at": instant(past.began_at),
        "ended_at": instant(outcome.ended_at),
        "duration_seconds": past.seconds,
        "actor": actor(outcome),
        "unproven": outcome.unproven,
    }


def sentence(past: Past) -> str:
    """Return an end as a line for people."""
    outcome = past.outcome
    result = outcome.said.value.lower().replace("_", " ")
    why = f"  {outcome.code}: {outcome.message}".rstrip(": ") if outcome.code else ""
    facts = f"{past.product:12} {attempt_id(outcome):9} {outcome.version or '-':12} {result:15}"
    return f"{instant(outcome.ended_at) or '-':20} {facts} {span(past.seconds):7} {actor(outcome)}{why}"


def actor(outcome: Outcome) -> str:
    """Return who started it: a person of this host, this host (an earlier version kept no name), or the server."""
    return outcome.actor or ("local" if outcome.local else "server")


def _journaled(entries: Iterable[Entry]) -> tuple[dict[tuple[str, int], float], dict[tuple[str, int], Report]]:
    """Return by product and number of the report that ended an attempt: when it was taken, and that report."""
    open_since: dict[tuple[str, int, int], float] = {}
    began: dict[tuple[str, int], float] = {}
    ends: dict[tuple[str, int], Report] = {}
    for entry in entries:
        report = entry.report
        which = (entry.product, report.generation, report.local)
        first = open_since.setdefault(which, report.occurred_at)
        if report.said in ENDS:
            began[entry.product, report.number], ends[entry.product, report.number] = first, report
            del open_since[which]
    return began, ends


def _outcome(report: Report) -> Outcome:
    version = report.running_version if report.said is Said.SUCCEEDED else ""
    names = ("number", "generation", "said", "sha256", "code", "message", "running_version", "unproven", "local")
    facts: dict[str, Any] = {name: getattr(report, name) for name in names}
    return Outcome(version=version, ended_at=report.occurred_at, **facts)
