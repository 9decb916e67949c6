"""The host of the Go model: the agent's real machine, and a launcher reduced to its record.

Downloads succeed at once, self-tests pass or fail, a trial is kept when its Promote was passed on, or ends at any time.
A crash is a start from what is on the disk; the launcher starts what its record says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from fleetroll_agent.jobs import effects as wants
from fleetroll_agent.jobs import events, machine
from fleetroll_agent.jobs.state import Rules, Running, State, boot_record
from fleetroll_agent.jobs.values import Moment, ProductRecord, Stage, Step
from fleetroll_agent.launcher.values import (
    Attempt,
    Authority,
    Ended,
    Origin,
    Outcome,
    Reason,
    Record,
    SlotRef,
    Trial,
)
from fleetroll_common.values.codes import Code
from tests.model.go_server import SHA, VERSION, Ask

if TYPE_CHECKING:
    from fleetroll_agent.jobs.effects import Effects
    from fleetroll_agent.jobs.events import Event

OLD = SlotRef("old", "1.0.0", "a" * 64, "python", "cp311")
NEW = SlotRef("new", VERSION, SHA, "python", "cp311")
RULES = Rules(go=2, ask_interval=3, retries=(1, 1, 1), disk_full=1, arm=1, staging=1, way_back=1)
"""In units of half a minute: a Go lives for two, asks come every three."""
NOW = Moment(0.0)


class Said(NamedTuple):
    """A report in the journal."""

    generation: int
    said: str
    code: Code | None


@dataclass(frozen=True)
class Host:
    """One host.

    Attributes:
        state: of the machine; its record is what is on the disk.
        journal: reports that the server has not acknowledged.
        sent: asks that leave after the step.
        applied: generations whose Go was used.
    """

    state: State
    journal: tuple[Said, ...] = ()
    sent: tuple[Ask, ...] = ()
    applied: tuple[int, ...] = ()


def first() -> Host:
    """Return an enrolled host that runs the old version."""
    return started(ProductRecord(), Record(0, OLD), ())


def started(record: ProductRecord, launcher: Record, journal: tuple[Said, ...], applied: tuple[int, ...] = ()) -> Host:
    """Start the process that the launcher's record names."""
    slot = launcher.current if launcher.trial is None else launcher.trial.slot
    result = machine.begin(record, launcher, Running(slot.version, slot.digest), NOW, RULES)
    return _do(Host(result[0], journal, (), applied), result[1])


def crashed(host: Host) -> Host:
    """Kill the agent and start it again from its disk; a trial that began costs nothing here."""
    return started(host.state.record, boot_record(host.state), host.journal, host.applied)


def told(host: Host, event: Event) -> Host:
    """Tell the machine of an event and do what it wants."""
    before = host.state.record.attempt
    state, effects = machine.step(host.state, event, NOW)
    after = state.record.attempt
    if after is not None and after.past_go and (before is None or not before.past_go):
        host = replace(host, applied=(*host.applied, after.generation))
    return _do(replace(host, state=state), effects)


def _do(host: Host, effects: Effects) -> Host:
    """Take over the outbox, then do the effects in their order."""
    for said in host.state.record.outbox:
        item = Said(said.generation, said.said.value, said.code)
        if item not in host.journal[-1:]:
            host = replace(host, journal=(*host.journal, item)[-JOURNAL:])
    host = replace(host, state=replace(host.state, record=replace(host.state.record, outbox=())))
    for effect in effects:
        if isinstance(effect, wants.FindTarget):
            host = told(host, events.TargetFound(effect.job, SHA))
        elif isinstance(effect, wants.FillSlot):
            host = told(host, events.SlotReady(effect.job))
        elif isinstance(effect, wants.AskGo):
            host = replace(host, sent=(*host.sent, Ask(effect.session, effect.generation, effect.ask)))
        elif isinstance(effect, wants.PassPromote):
            host = _passed(host)
        elif isinstance(effect, wants.PassRecall):
            return ended(host, Reason.RECALLED)
        elif isinstance(effect, wants.Leave):
            return crashed(host)
    return host


JOURNAL = 2
"""Reports on their way; older ones are lost here, a hello says where things stand anyway."""


def choices(host: Host) -> list[tuple[str, Host]]:
    """Return what can happen on the host by itself."""
    found = [("agent crashes", crashed(host))]
    attempt = host.state.record.attempt
    if attempt is not None and attempt.step is Step.SELF_TEST and host.state.job is not None:
        found.append(("self-test passes", told(host, events.SelfTested(host.state.job))))
    if attempt is not None and attempt.step is Step.ARM and host.state.arm_until is not None:
        found.append(("launcher arms", armed(host, attempt.generation)))
        found.append(("launcher drops", told(host, events.ArmDropped(attempt.generation, Code.NO_INTERPRETER))))
    trial = host.state.launcher.trial
    if trial is not None and attempt is not None and attempt.stage is Stage.TRIAL:
        found.append(("trial goes back", ended(host, Reason.UNPROVEN)))
        if trial.promoted:
            found.append(("trial is kept", _kept(host)))
    return found


def armed(host: Host, generation: int) -> Host:
    """Let the launcher write the trial and say so."""
    trial = Trial(NEW, Attempt(Origin.SERVER, generation), Authority.SERVER, 1.0, 2.0, 0.0, 4.0, 2)
    launcher = host.state.launcher._replace(trial=trial, highest_server=generation)
    host = replace(host, state=replace(host.state, launcher=launcher))
    return told(host, events.Armed(generation))


def ended(host: Host, reason: Reason) -> Host:
    """Let the launcher take the trial back: its record says so, and the version before starts."""
    launcher = host.state.launcher
    if launcher.trial is None:
        return host
    last = Outcome(launcher.trial.attempt, VERSION, SHA, Ended.ROLLED_BACK, reason)
    launcher = launcher._replace(trial=None, last=last)
    return started(host.state.record, launcher, host.journal, host.applied)


def _passed(host: Host) -> Host:
    """Let the launcher journal the Promote."""
    launcher = host.state.launcher
    if launcher.trial is None:
        return host
    launcher = launcher._replace(trial=launcher.trial._replace(promoted=True))
    return replace(host, state=replace(host.state, launcher=launcher))


def _kept(host: Host) -> Host:
    """Let the launcher keep the version and tell the agent."""
    launcher = host.state.launcher
    if launcher.trial is None:
        return host
    attempt = launcher.trial.attempt
    last = Outcome(attempt, VERSION, SHA, Ended.COMMITTED)
    current = NEW._replace(attempt=attempt)
    return told(host, events.LauncherTold(launcher._replace(trial=None, current=current, last=last)))
