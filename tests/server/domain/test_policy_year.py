"""Windows and both changes of the clock, at Go: a year in six zones, by the server's judge beside the host's own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from fleetroll_agent.jobs.obstacles import obstacle
from fleetroll_agent.jobs.policy import Policy
from fleetroll_agent.jobs.values import Moment
from fleetroll_common.values.codes import Code
from fleetroll_common.values.window_text import read_window
from fleetroll_server.domain.go import GoFacts, Refuse, judge_go
from fleetroll_server.domain.hostrules import HostRules, shut
from fleetroll_server.domain.states import AttemptState, RolloutState
from tests.common.values.window_walk import openness, runs
from tests.faults.jobs import Host

BEGIN, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
MINUTES = int((END - BEGIN).total_seconds()) // 60
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Africa/Casablanca",
)
USED = tuple(
    read_window(f"{text} local")
    for text in ("mon-thu 23:30-00:30", "sat 22:30-24:00", "sun 00:00-00:45", "sun 02:30-03:30")
)
WINDOWS = (*USED, read_window("wed 12:00-12:10 local"))
NEEDED = 900
"""More than the last of the windows has, which is therefore of no use."""
STEP = timedelta(minutes=10)


def judged(rules: HostRules, now: datetime) -> Refuse | None:
    """Ask the judge of Go about a host that nothing but its windows could keep."""
    facts = GoFacts(
        state=AttemptState.STAGED,
        rollout=RolloutState.RUNNING,
        suspended=False,
        quarantined=False,
        revoked=False,
        listed=True,
        digest_matches=True,
        not_after=END + timedelta(days=30),
        limits_readable=True,
        shut=shut(rules, now),
    )
    return judge_go(facts, now)


def by_host(host: Host, now: datetime) -> bool:
    """Whether the host itself would ask."""
    return obstacle(host.state, Moment(boot_seconds=host.at, wall_seconds=now.timestamp())) is None


@pytest.mark.parametrize("zone", ZONES)
def test_a_year_of_grants_lies_in_the_windows_and_uses_each_of_them(zone: str) -> None:
    """A host asks at each opening that it is told, every ten minutes while it is open, and at random in between."""
    rules = HostRules(windows=WINDOWS, expected_seconds=NEEDED, time_zone=zone)
    host = Host.start(at=0)
    host.stage(7)
    policy = Policy(windows=WINDOWS, time_zone=zone, expected_seconds=NEEDED)
    host.state = replace(host.state, policy=policy)
    granted, refused, now = set[int](), 0, BEGIN
    while now < END:
        found = judged(rules, now)
        assert (found is None) is by_host(host, now), now
        if found is None:
            granted.add(int((now - BEGIN).total_seconds()) // 60)
            now += STEP
            continue
        assert found.code is Code.WINDOW
        assert found.until is not None
        assert now + found.retry_after == found.until
        early = found.until - timedelta(seconds=1)
        assert early <= now or judged(rules, early) is not None, "it is shut until it opens"
        refused, now = refused + 1, found.until
    long_enough = [run for run in runs(openness(WINDOWS, zone, 1704067200, MINUTES)) if run[1] * 60 >= NEEDED]
    useful = {minute for first, length in long_enough for minute in range(first, first + length - NEEDED // 60 + 1)}
    assert granted - useful == set(), "no grant outside, none so late that the work would outlast the opening"
    assert {first for first, _ in long_enough} - granted == set(), "each opening is used from its start"
    chance = Random(zone)
    for minute in (chance.randrange(MINUTES) for _ in range(1000)):
        assert (judged(rules, BEGIN + timedelta(minutes=minute)) is None) is (minute in useful)
    print(f"{zone}: {len(granted)} grants in {len(long_enough)} openings of a year, 0 outside; {refused} refusals")
