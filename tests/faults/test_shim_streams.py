"""Messages of gRPC streams as points, on both sides and in both styles of a servicer."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.faults.plans import Plan, Point

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.plans import Act

BOTH = """
import asyncio, sys
import grpc
from fleetroll.v1 import agent_stream_pb2 as pb, agent_stream_pb2_grpc as rpc

class Style(rpc.AgentStreamServiceServicer):
    async def Connect(self, requests, context):
        while (request := await context.read()) is not grpc.aio.EOF:
            await context.write(pb.ConnectResponse(ack=pb.Ack(sequence=7)))

class Generator(rpc.AgentStreamServiceServicer):
    async def Connect(self, requests, context):
        async for request in requests:
            yield pb.ConnectResponse(ack=pb.Ack(sequence=7))

async def serve():
    server = grpc.aio.server()
    rpc.add_AgentStreamServiceServicer_to_server({"style": Style, "generator": Generator}[sys.argv[2]](), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)

async def talk():
    async with grpc.aio.insecure_channel("127.0.0.1:" + sys.argv[2]) as channel:
        call = rpc.AgentStreamServiceStub(channel).Connect(timeout=20)
        await call.write(pb.ConnectRequest(heartbeat=pb.Heartbeat()))
        print((await call.read()).ack.sequence, flush=True)
        await call.write(pb.ConnectRequest(goodbye=pb.Goodbye()))
        await call.done_writing()
        print((await call.read()).ack.sequence, flush=True)
        print(await call.read() is grpc.aio.EOF, flush=True)

asyncio.run({"serve": serve, "talk": talk}[sys.argv[1]]())
"""
ROLES = (("main.py serve", "server"), ("main.py talk", "agent"))
SECONDS = 30


class Pair:
    """A server and one client, each its own process under the shim."""

    def __init__(self, tmp_path: Path, style: str, act: Act | None) -> None:
        program = tmp_path / "main.py"
        program.write_text(BOTH)
        self.plan = Plan(tmp_path / "shim", roots=[tmp_path / "none"], roles=ROLES, act=act)
        wrapper = self.plan.write()
        self.server = subprocess.Popen(
            [wrapper, program, "serve", style], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.server.stdout is not None
        port = self.server.stdout.readline().strip()
        self.client = subprocess.run(
            [wrapper, program, "talk", port], capture_output=True, text=True, timeout=SECONDS, check=False
        )
        self.server.communicate("", timeout=SECONDS)


@pytest.fixture(autouse=True)
def _roots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))


@pytest.mark.parametrize("style", ["style", "generator"])
def test_every_message_is_a_point_on_both_sides(tmp_path: Path, style: str) -> None:
    pair = Pair(tmp_path, style, None)
    assert (pair.client.stdout, pair.server.returncode) == ("7\n7\nTrue\n", 0)
    points = [str(point) for point in pair.plan.points()]
    assert [point for point in points if point.startswith("agent")] == [
        "agent1/send:ConnectRequest.heartbeat#1",
        "agent1/received:ConnectResponse.ack#1",
        "agent1/send:ConnectRequest.goodbye#1",
        "agent1/received:ConnectResponse.ack#2",
    ]
    assert [point for point in points if point.startswith("server")] == [
        "server1/received:ConnectRequest.heartbeat#1",
        "server1/send:ConnectResponse.ack#1",
        "server1/received:ConnectRequest.goodbye#1",
        "server1/send:ConnectResponse.ack#2",
    ]


@pytest.mark.parametrize("style", ["style", "generator"])
@pytest.mark.parametrize("do", ["kill-before", "kill-after"])
def test_a_server_dies_at_the_message(tmp_path: Path, style: str, do: str) -> None:
    pair = Pair(tmp_path, style, Point("server", 1, "send:ConnectResponse.ack", 1).act(do))
    assert pair.server.returncode == -signal.SIGKILL
    assert pair.client.returncode == 1, "its stream broke"
    assert pair.plan.happened()


@pytest.mark.parametrize(
    ("point", "do", "seen_by_server"),
    [
        ("send:ConnectRequest.goodbye", "kill-before", 1),
        ("send:ConnectRequest.heartbeat", "kill-before", 0),
        ("received:ConnectResponse.ack", "kill-after", 1),
    ],
)
def test_a_client_dies_at_the_message(tmp_path: Path, point: str, do: str, seen_by_server: int) -> None:
    pair = Pair(tmp_path, "style", Point("agent", 1, point, 1).act(do))
    assert pair.client.returncode == -signal.SIGKILL
    assert pair.server.returncode == 0
    seen = [traced for traced in pair.plan.points() if (traced.role, traced.point[:8]) == ("server", "received")]
    assert len(seen) == seen_by_server
