"""A server's assignment that waits behind an attempt which is not interrupted: the server hears so, again and again.

Nobody knows how long the attempt ahead takes: a step has its limit, a pipeline many steps, a person's attempt may wait
for the host's lock. So the host announces what the work at hand may take, with what the assignment itself needs before
its first word, and says it again when half of that is over. A host that is silent for longer met with something.

Without a session nobody hears it: it is said once, and not again before the next session, whose hello gives it time. A
host that is alone for months would fill its journal otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs.state import Result, State, running_attempt, say, time_left_seconds
from fleetroll_agent.jobs.values import Moment, Said
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from fleetroll_agent.jobs.values import Attempt


def limit_seconds(state: State, moment: Moment) -> float:
    """Return what the host allows itself for what waits: the work at hand, and then its own first one."""
    before = None if state.record.attempt is None else time_left_seconds(state, moment)
    return (state.rules.applying if before is None else before) + state.rules.staging


def say_taken(state: State, moment: Moment, waiting: Attempt) -> State:
    """Report that ``waiting`` was taken, and so that it waits."""
    return _say(state, moment, waiting, Said.OFFERED)


def say_waiting(state: State, moment: Moment, waiting: Attempt) -> State:
    """Report again that it waits, and behind what.

    As DOWNLOADING: that is what a server takes "taken" for, and the same word again would be history, and give no time.
    """
    attempt = running_attempt(state)
    ahead = f"local:{attempt.local}" if attempt.local else f"generation {attempt.generation}"
    text = f"it waits for the end of {ahead}, which is not interrupted"
    return _say(state, moment, waiting, Said.DOWNLOADING, code=Code.LOCKED, message=text)


def say_if_due(state: State, moment: Moment) -> Result:
    """Report it again when half of what was announced is over."""
    due, waiting = next_due(state), state.record.waiting
    if due is None or waiting is None or moment.boot_seconds < due:
        return state, ()
    return say_waiting(state, moment, waiting), ()


def next_due(state: State) -> float | None:
    """Return when that is; None where nothing waits, or nobody hears."""
    return None if state.record.waiting is None or not state.session else state.behind_at


def resumed(state: State, moment: Moment) -> State:
    """Let a process that finds something waiting say so soon: what was announced before may be half over."""
    if state.record.waiting is None:
        return state
    return replace(state, behind_at=moment.boot_seconds + state.rules.staging / 2)


def _say(state: State, moment: Moment, waiting: Attempt, said: Said, **facts: Any) -> State:  # noqa: ANN401 (of Report)
    limit = limit_seconds(state, moment)
    state = replace(state, behind_at=moment.boot_seconds + limit / 2)
    return say(state, moment, waiting.generation, said, time_limit_seconds=limit, **facts)
