"""A trial whose server is busy: it asks for more time, and stands at the door without back-off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import reasons_pb2
from tests.faults.jobs import NEW, OLD, boot_record, slot, trial

if TYPE_CHECKING:
    from fleetroll_agent.launcher.values import Record
    from tests.agent.fake_server.inprocess import InProcessHost
    from tests.agent.fake_server.server import FakeServer

ON_TRIAL: Record = boot_record(current=slot("0.9.0", NEW), trial=trial(7, OLD), highest_server=7)
"""What runs in the tests is the version on trial."""


@pytest.mark.parametrize(
    ("code", "named", "asked"), [("TOO_MANY_HANDSHAKES", None, 60), ("UNAVAILABLE", 20, 80), ("STORE_FAILED", 20, 80)]
)
async def test_a_trial_that_is_refused_for_a_while_asks_for_more_time(
    server: FakeServer, host: InProcessHost, code: str, named: int | None, asked: float
) -> None:
    refusal = stream_pb2.Refusal(code=reasons_pb2.ReasonCode.Value(f"REASON_CODE_{code}"))
    if named is not None:
        refusal.retry_after.FromSeconds(named)
    server.script.refusals = [refusal]
    async with host.running(ON_TRIAL):
        await host.launcher.until_said("extend")
    assert [message["seconds"] for message in host.launcher.said("extend")] == [asked]


async def test_a_trial_that_the_transport_turns_away_asks_for_more_time(
    server: FakeServer, host: InProcessHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(_requests: object, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "all streams are taken")

    monkeypatch.setattr(server, "_greet", full)
    async with host.running(ON_TRIAL):
        await host.launcher.until_said("extend")
    assert host.launcher.said("extend")[0]["seconds"] == 60


async def test_a_trial_that_is_drained_asks_for_more_time(server: FakeServer, host: InProcessHost) -> None:
    async with host.running(ON_TRIAL):
        await server.until(lambda: server.sessions)
        server.session.send(drain=stream_pb2.Drain())
        await host.launcher.until_said("extend")
        await server.until(lambda: len(server.sessions) == 2)
    assert [message["seconds"] for message in host.launcher.said("extend")] == [60]


async def test_a_host_that_is_not_on_trial_asks_for_nothing(server: FakeServer, host: InProcessHost) -> None:
    server.script.refusals = [stream_pb2.Refusal(code=reasons_pb2.REASON_CODE_TOO_MANY_HANDSHAKES)]
    async with host.running():
        await host.launcher.until_said("hello")
    assert host.launcher.said("extend") == []


async def test_a_trial_comes_back_without_back_off(server: FakeServer, host: InProcessHost) -> None:
    (host.folder / "agent.toml").write_text("[reconnect]\nbase_seconds = 0.05\ncap_seconds = 600\n")
    server.script.refusals = [stream_pb2.Refusal(code=reasons_pb2.REASON_CODE_INTERNAL)] * 20
    async with host.running(ON_TRIAL):
        await server.until(lambda: server.sessions)
