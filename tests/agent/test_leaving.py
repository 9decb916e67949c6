"""A process that leaves waits for a step that can't be begun again, and its launcher gives the time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.events import Leaving
from fleetroll_agent.jobs.values import Step
from fleetroll_agent.launcher.events import Beat, Extend, Stop
from fleetroll_agent.leaving import steps_end
from tests.faults.launcher_bench import Bench
from tests.faults.managed_host import ManagedHost

if TYPE_CHECKING:
    from fleetroll_agent.launcher.pipe import Message


def leaving_in(step: Step) -> ManagedHost:
    host = ManagedHost.begin()
    host.to_go()
    host.up_to(step)
    host.tell(Leaving())
    return host


def sent(host: ManagedHost, seconds: float) -> list[tuple[float, Message]]:
    """Return what is sent, and when, until the step ends after ``seconds``."""
    begun, told = host.at, []

    async def sleep(wanted: float) -> None:
        host.at += wanted
        if host.at - begun >= seconds:
            host.ends()

    wait = steps_end(
        lambda: [host.state],
        lambda: host._moment(host.at),
        lambda message: told.append((host.at - begun, message)),
        sleep,
    )
    asyncio.run(wait)
    return told


def test_the_wish_for_time_is_sent_again_and_asks_only_for_what_is_left() -> None:
    told = sent(leaving_in(Step.MIGRATE), 7.0)
    assert [round(at / 2) for at, _ in told] == [0, 1, 2, 3]
    assert [message["type"] for _, message in told] == ["extend"] * 4
    assert all(abs(at + message["seconds"] - 630.0) < 1e-6 for at, message in told)


def test_nothing_is_asked_for_where_nothing_must_end() -> None:
    assert sent(leaving_in(Step.SWITCH), 1.0) == []


def test_a_launcher_that_is_asked_to_end_after_its_agent_gives_the_time_all_the_same() -> None:
    told = sent(leaving_in(Step.MIGRATE), 100.0)
    bench = Bench().tell(Beat(healthy=True))
    bench.tell(*(Extend(float(message["seconds"])) for at, message in told if at < 1.0)).wait(1.0).tell(Stop())
    last = 1.0
    for at, message in told:
        if at > last:
            bench.wait(at - last).tell(Extend(float(message["seconds"])))
            last = at
    bench.wait(100.0 - last)
    assert "Kill" not in bench.kinds()
