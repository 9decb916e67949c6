"""The first step of a launcher: what a record means in this boot."""

from fleetroll_agent.launcher.events import Actions, MarkBad, MarkGood, Moment, Purpose
from fleetroll_agent.launcher.limits import Limits
from fleetroll_agent.launcher.state import State, Step, join, persist, spawn
from fleetroll_agent.launcher.trial import back, launch
from fleetroll_agent.launcher.values import Reason, Record


def begin(record: Record, boot_id: str, limits: Limits, moment: Moment) -> Step:
    """Return the first state and actions.

    A trial does not outlive a boot: a new version may have panicked the kernel, and the record's instants mean nothing
    on another monotonic clock (a boot id that can't be read never equals the record's).
    """
    other_boot = not boot_id or record.boot_id != boot_id
    if other_boot:
        record = record._replace(crashes=())
    trial = record.trial
    state = State(limits, record._replace(boot_id=boot_id), record, restart_at=moment.at)
    if trial is None:
        return _run_current(state, moment)
    if other_boot or moment.at < trial.armed_at:
        return join(_hints(state.record), back(state, moment, Reason.UNPROVEN, "REBOOTED", "the host was started anew"))
    return join(_hints(state.record), launch(state, moment))


def _run_current(state: State, moment: Moment) -> Step:
    state, write = persist(state, state.record, Purpose.BEGIN)
    return join((write, *_hints(state.record)), spawn(state, state.record.current, moment, on_trial=False))


def _hints(record: Record) -> Actions:
    """Return the repair of the hints: power may have failed between the record and them."""
    good: Actions = (MarkGood(record.current, record.seq),)
    return (*good, MarkBad(record.bad)) if record.bad else good
