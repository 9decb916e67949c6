"""What a hello says of each product: from its durable state, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.jobs.ruling import notes
from fleetroll_agent.jobs.state import boot_record
from fleetroll_agent.jobs.summary import attempt_facts
from fleetroll_agent.session.facts import ProductFacts

if TYPE_CHECKING:
    from fleetroll_agent.jobs.overrides import Override
    from fleetroll_agent.jobs.state import State
    from fleetroll_agent.jobs.values import Moment

MAX_NOTE_CHARS = 1000


def own_facts(state: State, running_sha256: str, moment: Moment, *, healthy: bool) -> ProductFacts:
    """Return what is said of the agent itself: a way back from its trial leads to what the record calls current."""
    launcher = boot_record(state)
    on_trial = launcher.trial is not None and launcher.trial.slot.digest == running_sha256
    previous = launcher.current if on_trial else launcher.previous
    return ProductFacts(
        product=state.record.product,
        version=state.running.version,
        sha256=state.running.sha256,
        highest_generation=state.record.highest,
        previous_version="" if previous is None else previous.version,
        on_trial=on_trial,
        healthy=healthy,
        note=note_of(state),
        attempts=attempt_facts(state, moment),
        override=standing(state, moment),
    )


def managed_facts(state: State, moment: Moment) -> ProductFacts:
    """Return what is said of a managed product; nothing known to be installed is an empty version.

    It counts as healthy until an attempt ended without its way back: nobody looks at it between two updates.
    """
    record = state.record
    busy = record.attempt is not None and record.attempt.past_go
    return ProductFacts(
        product=record.product,
        version=state.running.version,
        sha256=state.running.sha256,
        highest_generation=record.highest,
        previous_version="" if record.previous is None else record.previous.version,
        on_trial=False,
        healthy=not busy and not record.broken,
        note=note_of(state),
        attempts=attempt_facts(state, moment),
        override=standing(state, moment),
    )


def note_of(state: State) -> str:
    """Return what the publisher holds against the running version, by its code; empty = nothing."""
    said = notes(state.record, state.running.version, state.running.sha256)
    return "; ".join(f"{note.code}: {note.message}" for note in said)[:MAX_NOTE_CHARS]


def standing(state: State, moment: Moment) -> Override | None:
    """Return a person's own decision that stands; None when there is none, or its time is over."""
    override = state.record.override
    return override if override is not None and override.stands(moment.wall_seconds) else None
