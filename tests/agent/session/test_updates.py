"""Updates over the stream, up to the moment at which the launcher takes over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import reasons_pb2
from fleetroll_agent.jobs.events import Suspended
from tests.agent.fake_server.hosts import ALLOWED

if TYPE_CHECKING:
    from tests.agent.fake_server.inprocess import InProcessHost
    from tests.agent.fake_server.server import FakeServer


def asks(server: FakeServer) -> list[int]:
    return [heard.request_go.ask for heard in server.session.heard if heard.HasField("request_go")]


async def staged(server: FakeServer, generation: int = 7, version: str = "1.1.0") -> None:
    """Bring the host to its first ask, unanswered."""
    server.script.grant = False
    await server.until(lambda: server.sessions)
    server.assign(version, generation)
    await server.until(lambda: asks(server))


def go(server: FakeServer, ask: int, generation: int = 7) -> None:
    server.session.send(go=stream_pb2.Go(product="agent", generation=generation, ask=ask))


async def test_an_update_goes_to_its_restart(server: FakeServer, host: InProcessHost) -> None:
    async with host.running():
        await server.until(lambda: server.sessions)
        server.assign("1.1.0", 7)
        assert await asyncio.wait_for(host.work, 40) == 75
    assert server.states(7) == [
        "OFFERED",
        "DOWNLOADING",
        "STAGED",
        "APPLYING self_test",
        "APPLYING arm",
        "APPLYING restart",
    ]
    (arm,) = host.launcher.said("arm")
    assert (arm["version"], arm["soak_seconds"], arm["authority"]) == ("1.1.0", 0.2, "server")
    assert server.goodbyes == ["restart into the trial"]
    assert server.agent.reports[-1].sequence == len(server.agent.reports)


async def test_a_go_is_in_the_log_even_when_it_is_void(server: FakeServer, host: InProcessHost) -> None:
    with capture_logs() as logs:
        async with host.running():
            await staged(server)
            go(server, ask=99)
            await server.until(lambda: any(line["event"] == "go_received" for line in logs))
    (line,) = [line for line in logs if line["event"] == "go_received"]
    assert (line["generation"], line["ask"]) == (7, 99)
    assert "APPLYING self_test" not in server.states(7)


async def test_an_assignment_that_comes_again_starts_nothing_twice(server: FakeServer, host: InProcessHost) -> None:
    async with host.running():
        await staged(server)
        for _ in range(3):
            server.session.send(assignment=server.agent.assignments["agent"])
        await server.until(lambda: server.states(7).count("STAGED") == 4)
    assert len(server.fetched) == 1


async def test_a_go_that_comes_twice_is_used_once(server: FakeServer, host: InProcessHost) -> None:
    async with host.running():
        host_launcher_waits(host)
        await staged(server)
        go(server, asks(server)[-1])
        go(server, asks(server)[-1])
        await server.until(lambda: "APPLYING arm" in server.states(7))
    assert host.said(7).count("APPLYING self_test") == 1


def host_launcher_waits(host: InProcessHost) -> None:
    """Let the launcher not answer the arming."""
    host.launcher.arms = False


async def test_a_go_for_an_older_ask_or_another_generation_is_void(server: FakeServer, host: InProcessHost) -> None:
    async with host.running():
        await staged(server)
        await server.until(lambda: len(asks(server)) >= 2)
        go(server, asks(server)[0])
        go(server, asks(server)[-1], generation=6)
        await asyncio.sleep(0.3)
    assert not any(line.startswith("APPLYING") for line in host.said(7))


async def test_a_go_of_the_session_before_is_void(server: FakeServer, host: InProcessHost) -> None:
    async with host.running():
        await staged(server)
        server.session.end()
        await server.until(lambda: len(server.sessions) == 2)
        go(server, 99)
        await asyncio.sleep(0.3)
        assert not any(line.startswith("APPLYING") for line in host.said(7))
        await server.until(lambda: asks(server))
        assert asks(server)[0] == 1


async def test_a_restart_voids_go_and_keeps_what_is_staged(server: FakeServer, host: InProcessHost) -> None:
    async with host.running():
        await staged(server)
    async with host.running():
        await server.until(lambda: len(server.sessions) == 2)
        (attempt,) = server.session.hello.attempts
        assert (attempt.generation, stream_state(attempt)) == (7, "STAGED")
        await server.until(lambda: asks(server))
    assert len(server.fetched) == 1


def stream_state(attempt: stream_pb2.AttemptReport) -> str:
    return (
        stream_pb2.AttemptReport.DESCRIPTOR.fields_by_name["state"]
        .enum_type.values_by_number[attempt.state]
        .name.removeprefix("ATTEMPT_STATE_")
    )


async def test_a_refused_go_is_asked_for_again_when_the_server_says_so(server: FakeServer, host: InProcessHost) -> None:
    (host.folder / "agent.toml").write_text(f"{ALLOWED}[go]\nask_interval_seconds = 600\n")
    async with host.running():
        await staged(server)
        no_go = stream_pb2.NoGo(
            product="agent", generation=7, ask=asks(server)[-1], code=reasons_pb2.REASON_CODE_BUDGET
        )
        no_go.retry_after.FromSeconds(30)
        server.session.send(no_go=no_go)
        count = len(asks(server))
        server.session.send(ask_again=stream_pb2.AskAgain(product="agent", generation=7))
        await server.until(lambda: len(asks(server)) > count)


async def test_the_kill_switch_ends_what_is_staged_and_keeps_the_slot(server: FakeServer, host: InProcessHost) -> None:
    async with host.running():
        await staged(server)
        server.session.send(suspension=stream_pb2.Suspension(scope="global", epoch=1, active=True))
        await server.until(lambda: "CANCELLED" in server.states(7))
        server.assign("1.1.0", 8)
        await server.until(lambda: "CANCELLED" in server.states(8))
        server.session.send(suspension=stream_pb2.Suspension(scope="global", epoch=2, active=False))
        server.assign("1.1.0", 9)
        await server.until(lambda: "STAGED" in server.states(9))
    assert len(server.fetched) == 1


async def test_a_welcome_under_the_kill_switch_ends_what_is_staged(server: FakeServer, host: InProcessHost) -> None:
    async with host.running():
        await staged(server)
    server.script.suspended = {"global"}
    server.agent.assignments.clear()
    async with host.running():
        await server.until(lambda: "CANCELLED" in server.states(7))


async def test_reports_are_kept_until_acknowledged(server: FakeServer, host: InProcessHost) -> None:
    server.script.ack = False
    async with host.running():
        await staged(server)
        await server.until(lambda: "STAGED" in server.states(7))
        assert host.daemon._parts.journal.acked == 0
        server.script.ack = True
        server.session.end()
        await server.until(lambda: len(server.sessions) == 2)
        await server.until(lambda: host.daemon._parts.journal.acked == server.agent.held)
    assert [told.sequence for told in server.agent.reports] == list(range(1, len(server.agent.reports) + 1))


async def test_reports_that_never_arrived_are_sent_again(server: FakeServer, host: InProcessHost) -> None:
    server.script.ack = False
    async with host.running():
        await staged(server)
    server.agent.held, server.agent.reports = 0, []
    server.script.ack = True
    async with host.running():
        await server.until(lambda: "STAGED" in server.states(7))
    assert server.states(7)[:3] == ["OFFERED", "DOWNLOADING", "STAGED"]


async def test_a_download_goes_on_where_the_line_was_cut(server: FakeServer, host: InProcessHost) -> None:
    server.script.cut_after = 300_000
    async with host.running():
        await server.until(lambda: server.sessions)
        server.assign("1.1.0", 7)
        await server.until(lambda: len(server.fetched) == 1)
        await server.until(lambda: len(server.states(7)) == 3)
        server.script.cut_after = None
        server.session.end()
        await asyncio.sleep(0.1)
    async with host.running():
        await server.until(lambda: "STAGED" in server.states(7))
    assert server.fetched[-1].offset == 300_000


async def test_a_program_that_reports_another_version_changes_nothing(server: FakeServer, host: InProcessHost) -> None:
    async with host.running():
        await server.until(lambda: server.sessions)
        server.assign("1.2.0", 7)
        await server.until(lambda: "FAILED" in server.states(7))
        assert server.agent.reports[-1].code == reasons_pb2.REASON_CODE_VERSION_MISMATCH
        assert host.launcher.said("arm") == []
        server.assign("1.2.0", 8)
        await server.until(lambda: "FAILED" in server.states(8))
    assert host.said(8)[-1] == "FAILED BAD_DIGEST"


async def test_a_version_that_nobody_signed_ends_the_attempt(server: FakeServer, host: InProcessHost) -> None:
    async with host.running():
        await server.until(lambda: server.sessions)
        server.assign("9.9.9", 7)
        await server.until(lambda: "FAILED" in server.states(7))
        assert server.agent.reports[-1].code == reasons_pb2.REASON_CODE_NOT_LISTED
        server.assign("no version", 8)
        server.assign("9.9.8", 9)
        await server.until(lambda: "FAILED" in server.states(9))
        assert server.states(8) == [], "what is no version is not taken"


async def test_none_ends_what_is_staged(server: FakeServer, host: InProcessHost) -> None:
    async with host.running():
        await staged(server)
        server.assign("", 8)
        await server.until(lambda: "CANCELLED" in server.states(7))
        count = len(asks(server))
        await asyncio.sleep(0.8)
        assert len(asks(server)) == count


async def test_messages_about_other_products_and_fleets_are_passed_over(
    server: FakeServer, host: InProcessHost
) -> None:
    async with host.running():
        await staged(server)
        server.session.send(assignment=stream_pb2.Assignment(product="nginx", version="1.1.0", generation=9))
        server.session.send(go=stream_pb2.Go(product="nginx", generation=7, ask=asks(server)[-1]))
        server.session.send(suspension=stream_pb2.Suspension(scope="fleet/of-others", epoch=1, active=True))
        count = len(asks(server))
        await server.until(lambda: len(asks(server)) > count)
    assert set(host.said(7)) == {"OFFERED", "DOWNLOADING", "STAGED"}
    assert host.said(9) == []


async def test_a_server_that_comes_back_finds_the_result_it_never_heard(
    server: FakeServer, host: InProcessHost
) -> None:
    async with host.running():
        await staged(server)
        await server.stop()
        host.daemon._desk.post("agent", Suspended("global", active=True))
        while "CANCELLED KILLED" not in host.said(7):
            await asyncio.sleep(0.02)
        server.agent.assignments.clear()
        await server.start()
        await server.until(lambda: "CANCELLED" in server.states(7))
        shown = {attempt.generation: stream_state(attempt) for attempt in server.session.hello.attempts}
        assert shown == {7: "CANCELLED"}
