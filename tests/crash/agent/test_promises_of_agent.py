"""A mistake in launcher or agent breaks a promise, and the judge of the model says which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent.daemon import Daemon
from fleetroll_agent.jobs.journal import Journal
from fleetroll_agent.launcher import arming, beginning, core, timers, trial
from fleetroll_agent.launcher.events import Persist
from fleetroll_agent.launcher.executor import Executor
from fleetroll_agent.launcher.state import spawn
from tests.crash.agent.bench import Bench
from tests.crash.agent.scenarios import AGENT
from tests.crash.products import matrix
from tests.crash.products.matrix import Case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fleetroll_agent.launcher.events import Actions, Event, Moment
    from fleetroll_agent.launcher.state import State, Step

UNDISTURBED = ""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path / "host").standing() as standing:
        yield standing


def kept_without_a_word(patch: pytest.MonkeyPatch) -> None:
    """The launcher keeps a version that nobody promoted."""
    real = trial.commit_if_due

    def keep(state: State) -> Step:
        tried = state.record.trial
        assert tried is not None
        return real(state._replace(record=state.record._replace(trial=tried._replace(promoted=True))))

    for module in (trial, arming, core):
        patch.setattr(module, "commit_if_due", keep)


def start_not_counted(patch: pytest.MonkeyPatch) -> None:
    """The launcher starts a trial without taking a try for it."""
    real = trial.launch

    def launch(state: State, moment: Moment) -> Step:
        tried = state.record.trial
        return real(state, moment) if tried is None else spawn(state, tried.slot, moment, on_trial=True)

    for module in (trial, beginning, core, timers):
        patch.setattr(module, "launch", launch)


def written_after_the_start(patch: pytest.MonkeyPatch) -> None:
    """The launcher starts what it is to start before it writes that down."""
    real = Executor.do

    def do(executor: Executor, actions: Actions) -> Event | None:
        return real(executor, tuple(sorted(actions, key=lambda action: isinstance(action, Persist))))

    patch.setattr(Executor, "do", do)


def agent_that_stays(patch: pytest.MonkeyPatch) -> None:
    """The agent does not mind that its launcher is gone."""
    patch.setattr(Daemon, "_launcher_gone", lambda _daemon: None)


def reports_dropped(patch: pytest.MonkeyPatch) -> None:
    """The journal takes an older session's acknowledgement for one of everything."""
    real = Journal.ack

    def ack(journal: Journal, journal_id: str, sequence: int) -> dict[str, int]:
        return real(journal, journal_id, journal.last_sequence if sequence else 0)

    patch.setattr(Journal, "ack", ack)


MISTAKES: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str, str, str]] = {
    "kept without a word": (kept_without_a_word, "server gone", "receive welcome", "nobody promoted it"),
    "start not counted": (start_not_counted, UNDISTURBED, "", "is not written down"),
    "written after the start": (written_after_the_start, UNDISTURBED, "", "is not written down"),
    "agent that stays": (agent_that_stays, "launcher killed", "receive artefact", "does not end without its launcher"),
    "reports dropped": (reports_dropped, "server restarted", "send reports to 9", "not quiet"),
}
"""What is wrong, which fault brings it to light before the last point of which name, and what the judge says."""


@pytest.mark.crash
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_breaks_a_promise(mistake: str, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, fault, point, words = MISTAKES[mistake]
    (trace,) = matrix.traced(bench, AGENT)
    at = len(trace.names) - trace.names[::-1].index(point) if point else 0
    judged(bench, Case(trace, fault, at))
    plant(monkeypatch)
    with pytest.raises(AssertionError, match=words):
        judged(bench, Case(trace, fault, at))


def judged(bench: Bench, case: Case) -> Any:
    """Run a case, and judge it."""
    host = bench.make(case.trace.scenario, case.at, bench.faults.get(case.fault))
    try:
        host.run()
        return bench.judge(host, case.fault)
    finally:
        host.close()
