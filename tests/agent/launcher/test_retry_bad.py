"""A digest that was rolled back as bad is armed again only when a person said so, and is judged anew then."""

from __future__ import annotations

import pytest

from fleetroll_agent.launcher import pipe
from fleetroll_agent.launcher.arming import on_arm, refusal
from fleetroll_agent.launcher.events import Arm, Moment
from fleetroll_agent.launcher.limits import Limits
from fleetroll_agent.launcher.state import Phase, State
from fleetroll_agent.launcher.values import Attempt, Authority, Origin, Record, SlotRef

OLD = SlotRef("1.0.0-aaaaaaaa", "1.0.0", "a" * 64, "/usr/bin/python3", "cp311")
BAD = SlotRef("1.1.0-bbbbbbbb", "1.1.0", "b" * 64, "/usr/bin/python3", "cp311")
ATTEMPT = Attempt(Origin.SERVER, 2)


def state() -> State:
    """Return a launcher that runs OLD and remembers BAD as bad and once unproven."""
    record = Record(seq=4, current=OLD, boot_id="boot", bad=(BAD.digest,), unproven=((BAD.digest, 1),))
    return State(limits=Limits(), record=record, fallback=record, phase=Phase.RUNNING)


def arm(*, retry_bad: bool) -> Arm:
    """Return the request for BAD."""
    return Arm(ATTEMPT, BAD, Authority.SERVER, 1.0, 5.0, obstacle="", retry_bad=retry_bad)


def test_without_a_persons_word_the_digest_is_refused() -> None:
    """By its own code."""
    assert refusal(state(), arm(retry_bad=False)) == "BAD_DIGEST"


def test_with_a_persons_word_it_is_armed_and_what_was_held_against_it_is_gone() -> None:
    """The new trial alone decides."""
    after, _actions = on_arm(state(), arm(retry_bad=True), Moment(at=10.0))
    assert after.record.trial is not None
    assert BAD.digest not in after.record.bad
    assert BAD.digest not in dict(after.record.unproven)


@pytest.mark.parametrize("retry_bad", [True, False])
def test_the_word_passes_through_the_pipe(retry_bad: bool) -> None:
    """From the agent's message to the launcher's event."""
    message = pipe.arm(ATTEMPT, BAD, Authority.SERVER, 1.0, 5.0, retry_bad)
    event = pipe.to_event(pipe.parse(pipe.encode(message)))
    assert isinstance(event, Arm)
    assert event.retry_bad is retry_bad
