"""The rules outside of a trial: crashes of the committed version, the late way back, slots that can't start."""

from typing import Optional, Sequence, Tuple

from fleetroll_agent.launcher.events import Candidate, Moment, Purpose, SpawnFailed
from fleetroll_agent.launcher.limits import CRASH_LIMIT, CRASH_WINDOW_SECONDS, full_jitter
from fleetroll_agent.launcher.state import State, Step, join, persist, spawn, wait
from fleetroll_agent.launcher.trial import back, settle
from fleetroll_agent.launcher.values import Ended, Outcome, Reason, Record, SlotRef
from fleetroll_agent.launcher.versions import VersionKey, version_key


def crashed(state: State, detail: str, moment: Moment) -> Step:
    """Count an end that nobody asked for; too many, with a version to go back to, lead back, once.

    Nothing is counted while the host takes no record: what fails here is the disk, which fails the agent as well.
    """
    if state.rewrite_at is not None:
        return _retry_later(state, "STORE_FAILED", detail, moment)
    since = moment.at - CRASH_WINDOW_SECONDS
    crashes = (*(at for at in state.record.crashes if at > since), moment.at)[-2 * CRASH_LIMIT :]
    record = state.record._replace(crashes=crashes)
    previous = record.previous
    if len(crashes) > CRASH_LIMIT and previous is not None:
        return _late(state, record, previous, detail, moment)
    seconds = full_jitter(len(crashes) - 1, state.limits, moment.random01)
    state, write = persist(state, record, Purpose.NOTE)
    return wait(state, moment, seconds), (write,)


def host_refused(state: State, detail: str, moment: Moment) -> Step:
    """Wait with an agent that its host's state keeps from starting: the version before would be refused just the same.

    In a trial it is a failed start as any other: a new version may be the one that can't read what is there.
    """
    return _retry_later(state, "HOST_REFUSES", "{}; agent.log says what it refuses".format(detail), moment)


def ended_politely(state: State, moment: Moment) -> Step:
    """Start again an agent that said goodbye although the launcher goes on; no crash, but never in a tight loop."""
    return wait(state, moment, state.limits.backoff_base), ()


def _late(state: State, record: Record, previous: SlotRef, detail: str, moment: Moment) -> Step:
    slot = record.current
    outcome = Outcome(
        attempt=slot.attempt,
        version=slot.version,
        digest=slot.digest,
        ended=Ended.ROLLED_BACK,
        reason=Reason.LATE,
        code="CRASHED_AFTER_COMMIT",
        detail="{} crashes within {:g} s after the commit: {}".format(
            len(record.crashes),
            CRASH_WINDOW_SECONDS,
            detail,
        ),
        tail=moment.tail,
    )
    record = record._replace(current=previous, previous=None, crashes=())
    return settle(wait(state, moment, 0.0), moment, record, outcome, slot)


def spawn_failed(state: State, event: SpawnFailed, moment: Moment) -> Step:
    """Handle a start that did not happen. A trial whose slot or interpreter is gone goes back, unproven."""
    on_trial = state.on_trial
    state = wait(state, moment, 0.0)
    trial = state.record.trial
    if on_trial and trial is not None:
        if event.code != "START_FAILED" or trial.tries_left <= 0:
            return back(state, moment, Reason.UNPROVEN, event.code, event.detail, host_fault=True)
        return wait(state, moment, state.limits.backoff_base), ()
    choice = choose(event.candidates, state.record)
    if event.code == "START_FAILED" or choice is None or _is_current(choice.slot, state.record):
        return _retry_later(state, event.code, event.detail, moment)
    state, write = persist(state, _with_current(state.record, choice.slot), Purpose.BEGIN)
    return join((write,), spawn(state, state.record.current, moment, on_trial=False))


def _is_current(slot: SlotRef, record: Record) -> bool:
    return slot._replace(attempt=record.current.attempt) == record.current


def _with_current(record: Record, slot: SlotRef) -> Record:
    """Return the record with ``slot`` in place of a current one that can't run here any more."""
    previous = record.previous
    if slot.digest == record.current.digest:
        return record._replace(current=slot._replace(attempt=record.current.attempt))
    if previous is not None and previous.digest == slot.digest:
        return record._replace(current=slot._replace(attempt=previous.attempt), previous=None)
    return record._replace(current=slot)


def _retry_later(state: State, code: str, detail: str, moment: Moment) -> Step:
    """Stay alive with the trouble in the status: the interpreter, or room for a process or a file, may come back."""
    seconds = max(state.limits.backoff_base, state.limits.backoff_cap * moment.random01)
    return wait(state, moment, seconds)._replace(trouble=code, detail=detail), ()


def choose(candidates: Sequence[Candidate], record: Record) -> Optional[Candidate]:
    """Return what may run in place of the current slot; None when nothing may.

    The same bytes under another path of their Python come first, then the same version for another Python, then the
    version before, then what was committed latest, then the newest complete one: a dead agent can't ask for another.
    """
    current, previous = record.current, record.previous
    usable = [found for found in candidates if not found.bad and found.slot.digest not in record.bad]
    if not usable:
        return None

    def rank(found: Candidate) -> Tuple[bool, bool, bool, int, VersionKey, str]:
        return (
            found.slot.digest == current.digest,
            found.slot.version == current.version,
            previous is not None and found.slot.digest == previous.digest,
            found.good,
            version_key(found.slot.version),
            found.slot.name,
        )

    return max(usable, key=rank)
