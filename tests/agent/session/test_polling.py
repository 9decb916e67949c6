"""A host that does not hold its stream: it visits, stays while something is going on, and comes when it has a word."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.jobs.events import HoldSet, StartedLocally
from fleetroll_agent.jobs.values import Attempt, ProductRecord, Stage
from fleetroll_agent.session import polling, stream
from fleetroll_common.values.codes import Code
from tests.agent.fake_server.hosts import ALLOWED
from tests.faults.jobs import Host

if TYPE_CHECKING:
    from tests.agent.fake_server.inprocess import InProcessHost
    from tests.agent.fake_server.server import FakeServer


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, host: InProcessHost) -> None:
    """Let visits be short, and the host poll."""
    monkeypatch.setattr(stream, "LINGER_SECONDS", 0.2)
    monkeypatch.setattr(stream, "VISIT_LOOK_SECONDS", 0.05)
    polls = ALLOWED.replace("[host]\n", '[host]\nsession = "poll"\ncheck_in_seconds = 120\n')
    text = "[reconnect]\nbase_seconds = 0.05\ncap_seconds = 0.2\n[go]\nask_interval_seconds = 0.5\n"
    (host.folder / "agent.toml").write_text(polls + text)


async def test_a_visit_ends_with_a_goodbye_until_the_check_in_that_the_server_names(
    server: FakeServer, host: InProcessHost
) -> None:
    server.script.check_in = 900.0
    async with host.running():
        await server.until(lambda: server.goodbyes)
    assert server.goodbyes == ["until the check-in in 900 s"]
    assert server.session.hello.check_in_interval.seconds == 120


async def test_without_a_word_of_the_server_the_hosts_own_interval_counts(
    server: FakeServer, host: InProcessHost
) -> None:
    async with host.running():
        await server.until(lambda: server.goodbyes)
    assert 108 <= float(server.goodbyes[0].split()[-2]) <= 132


async def test_it_comes_again_at_its_time(
    server: FakeServer, host: InProcessHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "FLOOR_SECONDS", 0.3)
    server.script.check_in = 0.3
    async with host.running():
        await server.until(lambda: len(server.goodbyes) == 3)
    assert len(server.sessions) >= 3


async def test_it_stays_from_the_offer_to_the_end_of_the_attempt(server: FakeServer, host: InProcessHost) -> None:
    server.script.check_in = 900.0
    async with host.running():
        await server.until(lambda: server.sessions)
        server.assign("1.1.0", 7)
        assert await asyncio.wait_for(host.work, 40) == 75
    assert server.goodbyes == ["restart into the trial"]
    assert len(server.sessions) == 1


async def test_ten_check_ins_after_a_failure_make_one_attempt(
    server: FakeServer, host: InProcessHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each Welcome says the same assignment again: it is answered with its end, and starts nothing."""
    monkeypatch.setattr(polling, "FLOOR_SECONDS", 0.05)
    server.script.check_in = 0.05
    async with host.running():
        await server.until(lambda: server.sessions)
        server.assign("1.2.0", 7)
        await server.until(lambda: "FAILED" in server.states(7))
        seen, fetched = len(server.sessions), len(server.fetched)
        await server.until(lambda: len(server.sessions) >= seen + 10)
    told = [report for report in host.journal() if report.generation == 7]
    assert [report.step for report in told].count("self_test") == 1
    assert {report.said.value for report in told[-10:]} == {"FAILED"}
    assert len(server.fetched) == fetched


async def test_it_comes_at_once_when_it_has_something_to_say(server: FakeServer, host: InProcessHost) -> None:
    server.script.check_in = 900.0
    async with host.running() as daemon:
        await server.until(lambda: server.goodbyes)
        daemon._desk.post("agent", HoldSet("root", 2e9))
        await asyncio.sleep(0.3)
        assert len(server.sessions) == 1, "a hold is no report"
        daemon._desk.post("agent", StartedLocally("1.1.0", "root"))
        await server.until(lambda: len(server.sessions) == 2)
        await server.until(lambda: any(told.local_number == 1 for told in server.agent.reports))


def test_what_waits_by_the_hosts_own_rules_holds_no_stream() -> None:
    attempt = Attempt(7, "1.1.0", stage=Stage.STAGED, sha256="b" * 64)
    state = Host.start(ProductRecord(highest=7, attempt=attempt)).state
    assert polling.is_busy([state], on_trial=False)
    assert polling.is_busy([replace(state, note=Code.BUDGET)], on_trial=False)
    assert not polling.is_busy([replace(state, note=Code.HELD_LOCALLY)], on_trial=False)
    assert polling.is_busy([], on_trial=True)


@pytest.mark.parametrize(("named", "seconds"), [(900, 900), (1, 60), (1e9, 86400), (0, 3600)])
def test_what_a_server_names_is_kept_within_bounds(named: float, seconds: float) -> None:
    assert polling.next_check_in_seconds(named, 3600, 0.5) == seconds
