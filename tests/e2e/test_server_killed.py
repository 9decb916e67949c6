"""The server is killed at its commits and messages while a rollout runs: nothing is done twice, nothing is lost."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.e2e.fleet.mortal import Mortal
from tests.e2e.fleet.releases import GOOD
from tests.faults.plans import Act

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.fleet.fleet import Fleet
    from tests.e2e.fleet.template import Template
    from tests.faults.plans import Point

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

HOSTS = ("h1", "h2", "h3")
BOTH = ("kill-before", "kill-after")
FIRST_TIER = {
    "commit:assignment": BOTH,
    "commit:report": BOTH,
    "commit:host granted": BOTH,
    "commit:host promoted": BOTH,
    "commit:host succeeded": BOTH,
    "commit:identity": BOTH,
    "received:ConnectRequest.request_go": ("kill-before",),
    "received:ConnectRequest.reports": ("kill-before",),
    "send:ConnectResponse.assignment": BOTH,
    "send:ConnectResponse.ack": BOTH,
    "send:ConnectResponse.go": BOTH,
    "send:ConnectResponse.promote": BOTH,
    "send:ConnectResponse.welcome": BOTH,
}
LEAST = 20


@pytest.fixture
def make_fleet(template: Template, tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """Return a maker of stopped fleets; each is ended with the next, and with the test."""
    fleets: list[Fleet] = []

    def make(*hosts: str) -> Fleet:
        for fleet in fleets:
            fleet.end()
        fleets.append(template.copy(tmp_path / f"round-{len(fleets)}", *hosts))
        return fleets[-1]

    yield make
    for fleet in fleets:
        fleet.end()


def acts_of(points: list[Point], *, full: bool) -> list[Act]:
    """Return what is to be done at which point of the trace, each name once, in the order of their first coming."""
    names = dict.fromkeys(point.point for point in points if not point.point.startswith("send:ConnectResponse.no_go"))
    table = dict.fromkeys(names, BOTH) if full else FIRST_TIER
    missing = set(FIRST_TIER) - set(names)
    assert not missing, f"the undisturbed run has no {missing}"
    return [Act("server", 1, name, 1, do) for name in names for do in table.get(name, ())]


def check(fleet: Fleet) -> tuple[int, int]:
    """See that every host applied once and that the server holds its whole journal; return how many of both."""
    reports = 0
    for host in fleet.hosts.values():
        journal = host.journal()
        steps = Counter(f"{report.said.value} {report.step}".strip() for report in journal)
        once = ("APPLYING self_test", "APPLYING arm", "APPLYING restart", "TRIAL", "SUCCEEDED")
        assert {step: steps[step] for step in once} == dict.fromkeys(once, 1), host.told(journal[-1].generation)
        assert (host.boot()["current"]["version"], host.boot()["earlier"]) == (GOOD, [])
        stored = fleet.records.reports(host.agent_id)
        assert sorted(sequence for _, sequence in stored) == list(range(1, len(journal) + 1))
        assert "rejected" not in stored.values()
        reports += len(journal)
    assert {row for row in fleet.records.rows("SELECT in_use, broken FROM budget")} == {(0, 0)}  # noqa: C416
    return len(fleet.hosts), reports


def test_the_rollout_goes_on_after_kills_at_commits_and_messages(make_fleet: Callable[..., Fleet], full: bool) -> None:
    begin = time.monotonic()
    undisturbed = Mortal(make_fleet(HOSTS[0]), GOOD)
    assert undisturbed.run([]) == []
    wanted = acts_of(undisturbed.points(), full=full)
    done: list[Act] = []
    totals, rounds = Counter[str](), 0
    while wanted:
        fleet = make_fleet(*HOSTS)
        reached = Mortal(fleet, GOOD).run(wanted)
        hosts, reports = check(fleet)
        totals.update(hosts=hosts, reports=reports)
        done += reached
        wanted = wanted[len(reached) :]
        rounds += 1
        assert reached, f"{wanted[0]} does not come up"
    print(
        f"server killed: {len(done)} points in {rounds} rollouts of {len(HOSTS)} hosts, {totals['hosts']} updates each "
        f"applied once, {totals['reports']} reports all stored ({time.monotonic() - begin:.0f} s)"
    )
    assert len(done) >= LEAST
