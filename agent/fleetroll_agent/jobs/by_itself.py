"""What the host starts by itself, without a server and without a person: agent.toml's ``offline = "local_schedule"``.

It goes the way of a person's attempt, and has a person's number, but none of a person's rights:

1. Nothing begins while a session is open, while the kill switch was pressed when the server was last heard, while a
   hold stands, outside the windows, within the interval, in a container, or unless ``auto_update`` is true; nor while
   an assignment waits whose permit the server refused otherwise than for the time being, such as one that was halted.
2. When the server is back before the change has begun, the attempt gives way: the server decides again. From then on a
   pressed switch stops it as it stops the server's own.
3. It leaves no hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.jobs.obstacles import obstacle
from fleetroll_agent.jobs.state import Result, State, end_attempt
from fleetroll_agent.jobs.values import Attempt, Moment, Said
from fleetroll_agent.settings.product import AutoUpdate
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from collections.abc import Iterator


_FOR_NOW = frozenset({Code.WINDOW, Code.BUDGET})
"""Refusals that time alone ends: nobody has stopped what was assigned."""


def is_own(attempt: Attempt | None) -> bool:
    """Tell whether the host started the attempt by itself."""
    return attempt is not None and bool(attempt.local) and attempt.automatic


def is_persons(attempt: Attempt) -> bool:
    """Tell whether a person on this host started the attempt."""
    return bool(attempt.local) and not attempt.automatic


def why_not(state: State, moment: Moment) -> str:
    """Return why the host starts nothing of this product by itself now, in words; empty when it may."""
    return next(_reasons(state, moment), "")


def gives_way(state: State, moment: Moment) -> Result:
    """End what the host started by itself and has not begun to apply: a server is there."""
    attempt = state.record.attempt
    if attempt is None or not is_own(attempt) or attempt.past_go:
        return state, ()
    text = "the server is there again, and decides; nothing was changed"
    return end_attempt(state, moment, Said.CANCELLED, code=Code.SUPERSEDED, message=text)


def _reasons(state: State, moment: Moment) -> Iterator[str]:
    yield from _of_the_server(state)
    yield from _of_the_product(state)
    wait = obstacle(state, moment)
    if wait is not None:
        yield f"{wait.code}: {wait.message}"


def _of_the_server(state: State) -> Iterator[str]:
    """Yield what its word, or its being there, forbids."""
    if state.session:
        yield "a server is there"
    if state.skewed:
        yield "this host's clock differed from the server's by more than 5 min when the two last spoke"
    if state.suspended:
        yield f"the kill switch ({', '.join(sorted(state.suspended))}) was pressed when the server was last heard"
    for waiting in (state.record.attempt, state.record.waiting):
        if waiting is not None and waiting.refused is not None and waiting.refused not in _FOR_NOW:
            yield f"the server refused {waiting.version} when it was last asked ({waiting.refused})"


def _of_the_product(state: State) -> Iterator[str]:
    """Yield what goes on here, and what agent.toml does not allow."""
    record, policy, attempt = state.record, state.policy, state.record.attempt
    if state.leaving:
        yield "the agent is about to be started anew"
    if attempt is not None and (attempt.local or attempt.past_go):
        yield f"an update to {attempt.version} is going on"
    if record.broken:
        yield "its last way back failed: a person is needed"
    if policy.auto_update is not AutoUpdate.ALWAYS:
        yield "agent.toml takes only updates that a person starts"
    if policy.container:
        yield f"a container ({policy.container})"
