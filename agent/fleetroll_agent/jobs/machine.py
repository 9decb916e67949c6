"""The rules of one product on a host as one pure function: ``step(state, event, moment) -> (state, effects)``.

What holds, whatever comes:

1. An assignment below the highest generation is passed over; the highest one is reported again and starts nothing; one
   above it is taken in *one* write.
2. Before Go an attempt can be stopped for free: a newer generation, none, or the kill switch ends it CANCELLED.
3. Go is used only as :mod:`.permit` says; from then on only the attempt's own rules end it, and a newer one waits.
4. After a restart an attempt before APPLYING goes on; one past it is what the launcher's record says, never a guess.
5. Every change that counts is in the record, and its reports are in the record's outbox: one write carries both.
6. Effects are done in their order, and only when the record is durable. An event whose consequences can't be written
   has not happened: the shell brings it again.

Not done here: time, files, processes, sockets, randomness. The shell brings them in as events and moments.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs import assigning, behind, local, looking, permit, staging
from fleetroll_agent.jobs.events import (
    Acked,
    AskAgain,
    Assigned,
    CancelledLocally,
    Event,
    GoGiven,
    GoRefused,
    HelloBuilt,
    HoldEnded,
    HoldSet,
    Leaving,
    LockBusy,
    LockGiven,
    Ruled,
    ServerBusy,
    SessionClosed,
    SessionOpened,
    SlotReady,
    StagingFailed,
    StartedLocally,
    Suspended,
    TargetFound,
    Timer,
)
from fleetroll_agent.jobs.own import OWN
from fleetroll_agent.jobs.policy import Policy
from fleetroll_agent.jobs.state import Result, Rules, Running, State, is_before_go, is_staged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fleetroll_agent.jobs.course import Course
    from fleetroll_agent.jobs.effects import Effects
    from fleetroll_agent.jobs.values import Moment, ProductRecord
    from fleetroll_agent.launcher.values import Record


def begin(
    record: ProductRecord,
    launcher: Record | None,
    running: Running,
    moment: Moment,
    rules: Rules | None = None,
    course: Course = OWN,
    policy: Policy | None = None,
) -> Result:
    """Return the first state of a process, with what a restart asks for.

    Args:
        record: as it was on disk.
        launcher: the launcher's record, as its first message told it; None for a product that no launcher starts.
        running: what runs of the product.
        moment: now.
        rules: waiting times; None = the fleet's.
        course: what the product's kind does behind Go.
        policy: what agent.toml allows; None = everything.
    """
    state = State(record, launcher, running, course, rules or Rules(), policy or Policy())
    return _settled(state, lambda fresh: _resume(*course.resume(fresh, moment), moment))


def step(state: State, event: Event, moment: Moment) -> Result:
    """Return what follows from ``event``. Late answers of jobs, sessions and asks that are gone change nothing."""
    handler = HANDLERS.get(type(event)) or state.course.handlers.get(type(event), _pass_over)

    def handled(fresh: State) -> Result:
        after, effects = handler(fresh, event, moment)
        return _go_on(after, effects, moment)

    return _settled(state, handled)


def next_deadline(state: State) -> float | None:
    """Return the boot second at which a Timer is due; None while only events matter."""
    attempt = state.record.attempt
    due: list[float | None] = [state.course.next_due(state), behind.next_due(state)]
    if is_before_go(attempt) and not is_staged(attempt) and state.job is None and staging.can_begin(state):
        due.append(state.retry_at)
    if local.is_alone(state):
        due.append(state.alone_until)
    if is_staged(attempt) and permit.may_ask(state) and not state.leaving and state.job is None:
        due.append(state.ask_at)
    return min((instant for instant in due if instant is not None), default=None)


def _settled(state: State, work: Callable[[State], Result]) -> Result:
    """Run ``work`` with an empty outbox; a record that says nothing new stays the very same one."""
    before = state.record
    emptied = replace(before, outbox=()) if before.outbox else before
    after, effects = work(replace(state, record=emptied))
    unchanged = after.record == emptied and after.record is not before
    return (replace(after, record=before) if unchanged else after), effects


def _resume(state: State, effects: Effects, moment: Moment) -> Result:
    """Let an attempt before APPLYING go on by itself."""
    attempt = state.record.attempt
    if is_before_go(attempt) and not is_staged(attempt):
        state = replace(state, retry_at=moment.boot_seconds)
    state = replace(state, alone_until=moment.boot_seconds + state.rules.alone if local.is_alone(state) else None)
    return _go_on(behind.resumed(local.staged_again(state, moment), moment), effects, moment)


def _go_on(state: State, effects: Effects, moment: Moment) -> Result:
    """Do what is due: at most one of these has something to do, but for what is only said."""
    for due in (
        state.course.due,
        staging.start_if_due,
        permit.ask_if_due,
        permit.ask_lock_if_due,
        local.give_up_if_alone,
        behind.say_if_due,
    ):
        state, more = due(state, moment)
        effects = (*effects, *more)
    return state, effects


def _on_timer(state: State, _event: Timer, _moment: Moment) -> Result:
    return state, ()


def _on_leaving(state: State, _event: Leaving, _moment: Moment) -> Result:
    """Begin nothing that the next process would find cut off: a Go or a lock that is on its way is void."""
    if state.leaving:
        return state, ()
    return permit.without_ask(state.course.leave(replace(state, leaving=True)))


def _pass_over(state: State, _event: Event, _moment: Moment) -> Result:
    """A server may promote what no launcher tries: it means nothing here."""
    return state, ()


HANDLERS: Mapping[type, Callable[[State, Any, Moment], Result]] = MappingProxyType(
    {
        Acked: assigning.on_acked,
        AskAgain: permit.on_ask_again,
        Assigned: assigning.on_assigned,
        GoGiven: permit.on_go,
        GoRefused: permit.on_no_go,
        HelloBuilt: permit.on_hello_built,
        CancelledLocally: local.on_cancelled_locally,
        HoldEnded: local.on_hold_ended,
        HoldSet: local.on_hold_set,
        Leaving: _on_leaving,
        LockGiven: local.on_lock_given,
        StartedLocally: local.on_started_locally,
        LockBusy: permit.on_lock_busy,
        Ruled: looking.on_ruled,
        ServerBusy: permit.on_server_busy,
        SessionClosed: permit.on_session_closed,
        SessionOpened: permit.on_session_opened,
        SlotReady: staging.on_slot_ready,
        StagingFailed: staging.on_staging_failed,
        Suspended: assigning.on_suspended,
        TargetFound: staging.on_target_found,
        Timer: _on_timer,
    }
)
"""The events that every product gets; a test compares these and the courses' with ``Event``."""
