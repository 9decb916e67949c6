"""The rules of a trial: when it starts, when its version is kept, when it goes back."""

from typing import List, Tuple

from fleetroll_agent.launcher.events import (
    Actions,
    Beat,
    ChildExited,
    MarkBad,
    MarkGood,
    Moment,
    Purpose,
    Send,
    UnmarkGood,
)
from fleetroll_agent.launcher.limits import MAX_EXTENSION_SECONDS
from fleetroll_agent.launcher.record import attempt_to_json
from fleetroll_agent.launcher.state import After, Phase, State, Step, end_child, join, persist, spawn, tell_record
from fleetroll_agent.launcher.values import (
    MAX_BAD,
    MAX_EARLIER,
    MAX_UNPROVEN,
    TAIL_BYTES,
    Authority,
    Ended,
    Outcome,
    Reason,
    Record,
    SlotRef,
    Trial,
)

EARLIER_TAIL_BYTES = 256


def launch(state: State, moment: Moment) -> Step:
    """Start what the record says; there MUST be no child. A try is durable before it is used."""
    trial = state.record.trial
    if trial is None:
        return spawn(state, state.record.current, moment, on_trial=False)
    if moment.at >= trial.trial_end:
        return back(state, moment, Reason.UNPROVEN, "TRIAL_ENDED", "the time of the trial was over")
    if trial.tries_left <= 0:
        detail = "no start is left and none of them ended before the launcher's eyes"
        return back(state, moment, Reason.UNPROVEN, "UNPROVEN", detail)
    used = trial._replace(tries_left=trial.tries_left - 1, starts=trial.starts + 1, stopped=False)
    state, write = persist(state, state.record._replace(trial=used), Purpose.TRY)
    return join((write,), spawn(state, used.slot, moment, on_trial=True))


def back(state: State, moment: Moment, reason: Reason, code: str, detail: str, *, host_fault: bool = False) -> Step:
    """End the trial without its version; the record MUST hold one.

    An unproven end counts against the digest when its code ran and no orderly stop came between; a fault of the host
    (no interpreter, a record that can't be written) never counts.
    """
    trial = _trial_of(state)
    ran = trial.starts > 0
    outcome = Outcome(
        attempt=trial.attempt,
        version=trial.slot.version,
        digest=trial.slot.digest,
        ended=Ended.ROLLED_BACK,
        reason=reason,
        code=code,
        counted=reason is Reason.UNPROVEN and ran and not trial.stopped and not host_fault,
        detail=detail,
        tail=moment.tail if ran else "",
    )
    return settle(state, moment, state.record._replace(trial=None), outcome, trial.slot)


def settle(state: State, moment: Moment, record: Record, outcome: Outcome, slot: SlotRef) -> Step:
    """Write the way back from ``slot`` and go it: ``record`` already names what runs next.

    GOOD leaves a bad slot before the record says so: if power fails in between and the record is lost later, a rebuild
    must not choose that slot. BAD comes after the record: it is a hint for that rebuild and nothing else.
    """
    bad = outcome.reason in (Reason.BAD, Reason.LATE)
    record = with_outcome(record, outcome)
    first: Actions = (UnmarkGood(slot),) if bad else ()
    state, write = persist(state, record, Purpose.BACK)
    marks: Actions = (MarkBad((outcome.digest,)),) if bad else ()
    return join((*first, write, *marks), _go_back(state, moment, outcome.detail))


def _go_back(state: State, moment: Moment, detail: str) -> Step:
    if state.phase is Phase.ENDING:
        return state, ()
    if not state.alive:
        return spawn(state, state.record.current, moment, on_trial=False)
    if state.on_trial:
        return end_child(state, moment, After.LAUNCH, detail)
    return state._replace(armed_at=None), tell_record(state)


def with_outcome(record: Record, outcome: Outcome) -> Record:
    """Return the record with ``outcome`` as ``last``, and what it says about its digest."""
    earlier = record.earlier
    if record.last is not None:
        earlier = (record.last._replace(tail=clip(record.last.tail, EARLIER_TAIL_BYTES)), *earlier)[:MAX_EARLIER]
    outcome = outcome._replace(tail=clip(outcome.tail, TAIL_BYTES))
    record = record._replace(last=outcome, earlier=earlier)
    if outcome.reason in (Reason.BAD, Reason.LATE):
        return _with_bad(record, outcome.digest)
    counts = record.unproven_counts()
    if outcome.ended is not Ended.ROLLED_BACK:
        # Only a commit clears a digest: a person's retry that ends unproven leaves it as bad as it was.
        record = record._replace(bad=tuple(known for known in record.bad if known != outcome.digest))
        counts.pop(outcome.digest, None)
    elif outcome.counted:
        counts[outcome.digest] = counts.get(outcome.digest, 0) + 1
    kept = sorted(counts.items(), key=lambda item: -item[1])[:MAX_UNPROVEN]
    return record._replace(unproven=tuple(sorted(kept)))


def _with_bad(record: Record, digest: str) -> Record:
    others = tuple(known for known in record.bad if known != digest)
    previous = record.previous
    if previous is not None and previous.digest == digest:
        previous = None
    return record._replace(bad=(*others, digest)[-MAX_BAD:], previous=previous)


def clip(text: str, limit_bytes: int) -> str:
    """Return the end of ``text`` that needs at most ``limit_bytes`` as JSON text, control characters replaced."""
    kept: List[str] = []
    room = limit_bytes
    for character in reversed(text):
        shown = character if character == "\n" or character.isprintable() else "?"
        room -= 1 if " " <= shown <= "~" and shown not in '"\\' else (2 if shown in '"\\\n' else 12)
        if room < 0:
            break
        kept.append(shown)
    return "".join(reversed(kept))


def commit_if_due(state: State) -> Step:
    """Keep the trial's version when everything that its authority asks for is there."""
    trial = _trial_of(state)
    proven = state.soak_held
    if trial.authority is Authority.SERVER:
        proven = proven and state.hello and trial.promoted
    if not proven:
        return state, ()
    local = trial.authority is Authority.LOCAL
    outcome = Outcome(
        attempt=trial.attempt,
        version=trial.slot.version,
        digest=trial.slot.digest,
        ended=Ended.COMMITTED_LOCALLY if local else Ended.COMMITTED,
    )
    current = trial.slot._replace(attempt=trial.attempt)
    record = state.record._replace(previous=state.record.current, current=current, trial=None, crashes=())
    state, write = persist(state, with_outcome(record, outcome), Purpose.COMMIT)
    state = state._replace(on_trial=False)
    told = Send({"type": "committed", "attempt": attempt_to_json(trial.attempt), "digest": current.digest})
    return state, (write, MarkGood(current, state.record.seq), *tell_record(state), told)


def on_beat(state: State, beat: Beat, moment: Moment) -> Step:
    """Count soak and lease; health that is lost ends the trial at once."""
    trial = _trial_of(state)
    if not beat.healthy:
        if state.healthy_at is None:
            return state, ()
        return back(state, moment, Reason.BAD, "HEALTH_FAILED", "the new version reported that it is not healthy")
    since = moment.at if state.healthy_at is None else state.healthy_at
    held = state.soak_held or moment.at >= since + trial.soak_seconds
    return commit_if_due(state._replace(healthy_at=since, soak_held=held))


def on_exit(state: State, event: ChildExited, moment: Moment) -> Step:
    """Judge the end of a trial's child that nobody asked for: any exit code, 0 included, any signal."""
    detail = event.detail
    if state.hello:
        return back(state, moment, Reason.BAD, "EXITED", "the new version ended after its hello: {}".format(detail))
    if event.wrong_name:
        why = "the new version calls itself another one than its release, {}".format(_trial_of(state).slot.version)
        return back(state, moment, Reason.BAD, "VERSION_MISMATCH", why)
    return _failed_start(state, moment, detail)


def on_hang(state: State, detail: str, moment: Moment) -> Step:
    """Judge a trial's child that stopped beating, or never began."""
    if state.hello:
        return back(state, moment, Reason.BAD, "HUNG", "the new version hung after its hello: {}".format(detail))
    if _trial_of(state).tries_left > 0:
        return end_child(state, moment, After.LAUNCH, detail)
    return _failed_start(state, moment, detail)


def _failed_start(state: State, moment: Moment, detail: str) -> Step:
    trial = _trial_of(state)
    if trial.tries_left > 0:
        return launch(state, moment)
    why = "the new version failed in each of its {} starts: {}".format(trial.starts, detail)
    return back(state, moment, Reason.BAD, "START_FAILED", why)


def lease_end(state: State, trial: Trial) -> float:
    """Return the instant at which the lease ends; infinity before the first healthy beat."""
    if state.healthy_at is None:
        return float("inf")
    return state.healthy_at + trial.lease_seconds + trial.extended_seconds


def expire(state: State, moment: Moment) -> Step:
    """End a trial whose time is over; nothing else changes."""
    trial = state.record.trial
    if trial is None or state.phase is Phase.ENDING:
        return state, ()
    if moment.at >= trial.trial_end:
        return back(state, moment, Reason.UNPROVEN, "TRIAL_ENDED", "the time of the trial was over")
    if not state.on_trial or moment.at < lease_end(state, trial):
        return state, ()
    if trial.authority is Authority.SERVER:
        return back(state, moment, Reason.UNPROVEN, "LOST_CONTACT", _what_was_missing(state, trial))
    return state, ()


def _what_was_missing(state: State, trial: Trial) -> str:
    """Say how far a child came whose lease is over, by its own words: that tells where to look, not whose fault it is.

    A child of an older version never says that it heard its server.
    """
    if not state.hello:
        what = "no contact with the server"
    elif not state.heard:
        what = "it said hello, and not that it heard anything of its server after that,"
    else:
        what = "it said hello and heard its server, but got no promote"
    return "{} within the lease of {:g} s".format(what, trial.lease_seconds + trial.extended_seconds)


def extend(state: State, seconds: float) -> Step:
    """Lengthen lease and trial, ten minutes in all."""
    trial = _trial_of(state)
    granted = min(seconds, MAX_EXTENSION_SECONDS - trial.extended_seconds)
    if granted <= 0:
        return state, ()
    longer = trial._replace(
        extended_seconds=trial.extended_seconds + granted,
        trial_end=trial.trial_end + granted,
    )
    state, write = persist(state, state.record._replace(trial=longer), Purpose.NOTE)
    return state, (write, *tell_record(state))


def _trial_of(state: State) -> Trial:
    trial = state.record.trial
    if trial is None:
        raise AssertionError("a rule of trials was applied without a trial")
    return trial


def health_limit(state: State) -> Tuple[float, str]:
    """Return until when the first healthy beat must come, and how to say that it did not."""
    since = state.spawned_at if state.first_beat_at is None else state.first_beat_at
    return since + state.limits.start, "not healthy within {:g} s of its first beat".format(state.limits.start)
