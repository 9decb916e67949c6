"""A host that does not hold its stream: it visits, stays while something is going on, and comes when it has a word."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll.v1 import reasons_pb2
from fleetroll_agent import parts
from fleetroll_agent.jobs.events import HoldSet, StartedLocally
from fleetroll_agent.jobs.overrides import Override, OverrideKind
from fleetroll_agent.jobs.policy import Policy
from fleetroll_agent.jobs.state import Rules
from fleetroll_agent.jobs.values import Attempt, Moment, ProductRecord, Stage
from fleetroll_agent.session import polling, stream
from fleetroll_agent.settings import formats
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.codes import Code
from tests.agent.fake_server.hosts import ALLOWED
from tests.faults.jobs import Host

if TYPE_CHECKING:
    from fleetroll_agent.jobs.state import State
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


async def test_a_host_that_rests_for_its_window_comes_when_it_opens_and_not_at_its_check_in(
    server: FakeServer, host: InProcessHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it rests it has no session: nobody else could wake it, and the window would be over."""
    opens = opens_soon(host, monkeypatch, seconds=6.0)
    monkeypatch.setattr(polling, "FLOOR_SECONDS", 0.1)
    server.script.check_in = 3600.0
    server.assign("1.1.0", 7)
    async with host.running():
        await server.until(lambda: server.goodbyes)
        rested = server.agent.reports[-1]
        assert (rested.code, rested.retry_at.seconds) == (reasons_pb2.REASON_CODE_WINDOW, opens.timestamp())
        assert float(server.goodbyes[0].split()[-2]) <= 6
        assert await asyncio.wait_for(host.work, 40) == 75
    assert server.goodbyes[1:] == ["restart into the trial"], "one visit for the window, and no other one"


def opens_soon(host: InProcessHost, monkeypatch: pytest.MonkeyPatch, seconds: float) -> datetime:
    """Set the host's clock so that its window opens in ``seconds``; return when that is by this clock."""
    now = datetime.now(UTC)
    opens = (now + timedelta(seconds=60 + seconds)).replace(second=0, microsecond=0)
    ahead = opens - timedelta(seconds=seconds) - now

    class Ahead(SystemClock):
        def now(self) -> datetime:
            return super().now() + ahead

    monkeypatch.setattr(parts, "SystemClock", Ahead)
    window = f'windows = ["mon-sun {opens:%H:%M}-{opens + timedelta(minutes=25):%H:%M} UTC"]\n'
    path = host.folder / "agent.toml"
    path.write_text(path.read_text().replace("[products.agent]\n", f"[products.agent]\n{window}"))
    return opens


STAGED = Attempt(7, "1.1.0", stage=Stage.STAGED, sha256="b" * 64)
AT, WALL = 5000.0, 1_800_005_000.0
"""One instant, by a faked host's boot clock and by its wall clock."""
NOON = formats.window("mon-sun 12:00-12:25 UTC")


def resting(note: Code, attempt: Attempt = STAGED, **changes: Any) -> State:
    """Return the state of a host whose attempt waits for ``note``."""
    record = ProductRecord(highest=7, attempt=attempt, **changes.pop("record", {}))
    return replace(Host.start(record, at=AT).state, note=note, **changes)


def rest_seconds(*states: State) -> float | None:
    return polling.rest_seconds(states, Moment(AT, AT, WALL))


@pytest.mark.parametrize(
    ("state", "seconds"),
    [
        (resting(Code.HELD_LOCALLY, record={"override": Override(OverrideKind.HOLD, "root", 7, WALL + 700)}), 700),
        (resting(Code.TOO_SOON, record={"started_at": WALL - 100}, policy=Policy(min_interval_seconds=300)), 200),
        (resting(Code.WINDOW, policy=Policy(windows=(NOON,))), 12 * 3600 - WALL % 86400),
        (resting(Code.CLOCK_SKEW, rules=Rules(ask_interval=90)), 90),
        (resting(Code.CLOCK_SKEW, replace(STAGED, stage=Stage.DOWNLOADING), retry_at=AT + 120), 120),
    ],
    ids=["hold", "interval", "window", "clocks", "clocks before it is staged"],
)
def test_every_rest_is_as_long_as_the_report_says(state: State, seconds: float) -> None:
    assert not polling.is_busy([state], on_trial=False)
    assert rest_seconds(state) == seconds


def test_the_first_of_the_rests_counts_and_what_goes_on_is_none() -> None:
    soon = resting(Code.TOO_SOON, record={"started_at": WALL}, policy=Policy(min_interval_seconds=300))
    late = resting(Code.HELD_LOCALLY, record={"override": Override(OverrideKind.HOLD, "root", 7, WALL + 700)})
    assert rest_seconds(late, soon, Host.start().state) == 300
    assert rest_seconds(Host.start().state) is None
    asks = Host.start(ProductRecord(highest=7, attempt=STAGED), at=AT).state
    past_go = replace(STAGED, stage=Stage.APPLYING)
    assert rest_seconds(asks, resting(Code.WINDOW, past_go, policy=Policy(windows=(NOON,)))) is None


@pytest.mark.parametrize(
    ("named", "rest", "seconds"),
    [(3600, 144, 144), (3600, 7200, 3600), (3600, 5, 60), (3600, -1, 60), (0, 144, 144), (3600, None, 3600)],
)
def test_a_visit_ends_until_the_check_in_or_the_end_of_a_rest(named: float, rest: float | None, seconds: float) -> None:
    assert polling.next_check_in_seconds(named, 1800, 0.5, rest) == seconds


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
