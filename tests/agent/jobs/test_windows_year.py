"""A host with windows, through a year with both changes of its clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from fleetroll_agent.jobs import machine
from fleetroll_agent.jobs.effects import AskGo
from fleetroll_agent.jobs.events import GoRefused
from fleetroll_agent.jobs.policy import Policy
from fleetroll_agent.jobs.state import Rules
from fleetroll_agent.settings import formats
from fleetroll_common.values.codes import Code
from tests.common.values.window_walk import openness, runs, walk
from tests.faults.jobs import Host

WALL = 1_800_000_000
"""Of the faked hosts, at second 0 of their boot clock."""
BEGIN, END = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2024, 2025))
MINUTES = (END - BEGIN) // 60
USED = tuple(
    formats.window(f"{text} local")
    for text in ("mon-thu 23:30-00:30", "sat 22:30-24:00", "sun 00:00-00:45", "sun 02:30-03:30")
)
WINDOWS = (*USED, formats.window("wed 12:00-12:10 local"))
NEEDED = 900
"""More than the last of the windows has, which is therefore of no use."""
LEFT_OUT_AND_TWICE = {
    "Europe/Berlin": (60, 60),
    "America/New_York": (60, 60),
    "Australia/Lord_Howe": (30, 30),
    "America/Sao_Paulo": (0, 0),
    "Asia/Kolkata": (0, 0),
    "Africa/Casablanca": (60, 60),
}
"""Minutes of 2024 that its clocks left out, and that they showed twice."""


def asks(zone: str) -> list[int]:
    """Let a server refuse a host its permit through the year; return the Unix seconds at which the host asked."""
    host = Host.start(at=BEGIN - WALL)
    policy = Policy(windows=WINDOWS, time_zone=zone, expected_seconds=NEEDED)
    host.state = replace(host.state, policy=policy, rules=Rules(ask_interval=12 * 3600))
    host.stage(7)
    found = []
    while (due := machine.next_deadline(host.state) or 0.0) < END - WALL:
        for effect in host.wait(due - host.at):
            if isinstance(effect, AskGo):
                found.append(round(WALL + host.at))
                host.tell(GoRefused(1, 7, effect.ask, Code.BUDGET, retry_after_seconds=1200))
    return found


@pytest.mark.parametrize("zone", LEFT_OUT_AND_TWICE)
def test_a_year_of_asks_lies_in_the_windows_and_uses_each_of_them(zone: str) -> None:
    """No ask outside, none so late that the work would outlast the opening; each one is used from its start."""
    read = walk(zone, BEGIN, MINUTES)
    steps = [after - before for before, after in pairwise(read)]
    assert (sum(step - 1 for step in steps if step > 1), steps.count(0)) == LEFT_OUT_AND_TWICE[zone]
    asked = asks(zone)
    minutes = {(second - BEGIN) // 60 for second in asked}
    long_enough = [run for run in runs(openness(WINDOWS, zone, BEGIN, MINUTES)) if run[1] * 60 >= NEEDED]
    useful = {minute for first, length in long_enough for minute in range(first, first + length - NEEDED // 60 + 1)}
    assert minutes - useful == set()
    assert {first for first, _ in long_enough} - minutes == set()
    for window in USED:
        own = runs(openness((window,), zone, BEGIN, MINUTES))
        assert len(own) >= 52
        assert [first for first, length in own if not minutes & set(range(first, first + length))] == []
    print(f"{zone}: {len(asked)} asks in {len(long_enough)} openings of a year")
