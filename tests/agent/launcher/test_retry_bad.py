"""A digest that was rolled back as bad is armed again only when a person said so, and only a commit clears it."""

from __future__ import annotations

import pytest

from fleetroll_agent.launcher import pipe
from fleetroll_agent.launcher.events import Arm, Beat, ChildExited, Hello
from fleetroll_agent.launcher.values import Attempt, Authority, Origin
from tests.faults.launcher_bench import NEW, OLD, SERVER_1, Bench, first

HEALTHY = Beat(healthy=True)


def bench() -> Bench:
    """Return a launcher that runs OLD and remembers NEW as bad and once unproven."""
    return Bench(first()._replace(bad=(NEW.digest,), unproven=((NEW.digest, 1),))).tell(HEALTHY)


def test_without_a_persons_word_the_digest_is_refused() -> None:
    assert bench().arm().sent("dropped")[0]["reason"] == "BAD_DIGEST"


def test_with_a_persons_word_it_is_tried_and_a_commit_clears_it() -> None:
    tried = bench().arm(retry_bad=True).tell(ChildExited("exit code 75"), HEALTHY, Hello()).promote().beats(12.0)
    assert tried.disk.current.digest == NEW.digest
    assert not tried.disk.bad
    assert not tried.disk.unproven


def test_a_retry_that_ends_unproven_leaves_the_digest_as_bad_as_it_was() -> None:
    tried = bench().arm(retry_bad=True).tell(ChildExited("exit code 75"), HEALTHY).beats(60.0)
    tried.tell(ChildExited("exit code 0"), HEALTHY)
    assert tried.running == OLD
    assert tried.disk.bad == (NEW.digest,)
    assert tried.disk.unproven == ((NEW.digest, 2),)
    tried.arm(Attempt(Origin.SERVER, 2))
    assert tried.sent("dropped")[0]["reason"] == "BAD_DIGEST"


@pytest.mark.parametrize("retry_bad", [True, False])
def test_the_word_passes_through_the_pipe(retry_bad: bool) -> None:
    """From the agent's message to the launcher's event."""
    message = pipe.arm(SERVER_1, NEW, Authority.SERVER, 1.0, 5.0, retry_bad)
    event = pipe.to_event(pipe.parse(pipe.encode(message)))
    assert isinstance(event, Arm)
    assert event.retry_bad is retry_bad
