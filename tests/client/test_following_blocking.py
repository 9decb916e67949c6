"""The same without asyncio: against a made-up server that says when, and against a real one on a line that breaks."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from fleetroll.v1 import events_pb2, server_info_pb2
from fleetroll_client import AdminClient, Endpoint, Link, Patience, ServerRefusedError, Snapshot, follow_blocking
from tests.client.test_course import alive, changes, page, resync
from tests.client.test_errors import PEM
from tests.faults.followers import ALL, QUICK, Follower, log
from tests.faults.proxy import Proxy
from tests.faults.testing_channel import NOBODY, Answering

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.faults.worlds import World

HASTE = Patience(silent_seconds=0.2, snapshot_seconds=0.4, first_wait_seconds=0.001, longest_wait_seconds=0.001)
STEADY = Patience(snapshot_seconds=5, first_wait_seconds=0.001, longest_wait_seconds=0.001)


@pytest.fixture
def server() -> Answering:
    """The other end."""
    return Answering(PEM)


def some(number: int, patience: Patience = STEADY, seen: Any = None, **request: Any) -> Any:
    """Return work that takes so many updates and leaves; each is put into ``seen`` as it comes."""

    def work(client: AdminClient) -> list[Any]:
        told: list[Any] = []
        with closing(follow_blocking(client, events_pb2.WatchEventsRequest(**request), patience)) as updates:
            while len(told) < number:
                told.append(next(updates))
                if seen is not None:
                    seen.put(told[-1])
        return told

    return work


def stream(server: Answering) -> tuple[Any, Any]:
    return server.stream("EventsService", "WatchEvents")


def test_it_goes_on_from_its_cursor_after_a_cut(server: Answering) -> None:
    seen: queue.Queue[Any] = queue.Queue()
    followed = server.begin(some(9, seen=seen, rollout_id="r"))
    request, call = stream(server)
    assert (request.rollout_id, request.cursor) == ("r", b"")
    for said in (page("a"), page("b", cursor=b"c1"), changes(b"c2", "e1")):
        call.send_response(said)
    for _ in range(6):  # the double drops what was not read when it ends
        seen.get(timeout=20)
    call.terminate((), *NOBODY)
    request, call = stream(server)
    assert (request.rollout_id, request.cursor) == ("r", b"c2")
    call.send_response(changes(b"c3", "e2"))
    told = followed.result(20)
    assert [type(each).__name__ for each in told] == [
        "Connection", "Connection", "Snapshot", "Connection", "Changed", "Connection", "Connection",
        "Changed", "Connection",
    ]  # fmt: skip
    assert [told[n].link for n in (0, 3, 6, 8)] == [Link.CONNECTING, Link.LIVE, Link.RECONNECTING, Link.LIVE]
    assert "failed to connect" in told[6].why


def test_an_end_without_an_error_is_a_cut(server: Answering) -> None:
    followed = server.begin(some(4, cursor=b"c"))
    _, call = stream(server)
    call.send_response(alive(b"c"))
    call.terminate((), grpc.StatusCode.OK, "")
    _, call = stream(server)
    call.send_response(alive(b"c"))
    assert [each.link for each in followed.result(20)] == [Link.CONNECTING, Link.LIVE, Link.RECONNECTING, Link.LIVE]


def test_silence_ends_a_stream_that_is_open(server: Answering) -> None:
    followed = server.begin(some(4, HASTE, cursor=b"c"))
    _, call = stream(server)
    call.send_response(alive(b"c"))
    _, again = stream(server)
    again.send_response(alive(b"c"))
    assert [each.link for each in followed.result(20)] == [Link.CONNECTING, Link.LIVE, Link.RECONNECTING, Link.LIVE]
    call.cancelled()  # returns when the caller has hung up


def test_silence_before_a_snapshot_is_told_first(server: Answering) -> None:
    followed = server.begin(some(6, HASTE, cursor=b"c"))
    _, call = stream(server)
    call.send_response(alive(b"c"))
    call.send_response(resync())
    told = followed.result(20)
    assert [getattr(each, "link", None) for each in told[3:]] == [Link.STALE, Link.STALE, Link.RECONNECTING]


@pytest.mark.parametrize(
    "name", ["UNAUTHENTICATED", "PERMISSION_DENIED", "INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED"]
)
def test_what_trying_again_does_not_mend_ends_it(server: Answering, name: str) -> None:
    followed = server.begin(some(9, cursor=b"c"))
    _, call = stream(server)
    call.send_response(alive(b"c"))
    call.terminate((), grpc.StatusCode[name], "no")
    with pytest.raises(ServerRefusedError) as refused:
        followed.result(20)
    assert refused.value.status is grpc.StatusCode[name]


@pytest.mark.parametrize("name", ["UNAVAILABLE", "INTERNAL", "UNKNOWN", "RESOURCE_EXHAUSTED", "CANCELLED", "ABORTED"])
def test_anything_else_is_tried_again(server: Answering, name: str) -> None:
    followed = server.begin(some(3, cursor=b"c"))
    _, call = stream(server)
    call.terminate((), grpc.StatusCode[name], "no")
    _, call = stream(server)
    call.send_response(alive(b"c"))
    assert followed.result(20)[2].live


def test_changes_within_a_snapshot_are_a_cut(server: Answering) -> None:
    followed = server.begin(some(4))
    _, call = stream(server)
    call.send_response(page("a"))
    call.send_response(changes(b"x", "e1"))
    request, call = stream(server)
    assert request.cursor == b""
    call.send_response(page("b", cursor=b"c"))
    told = followed.result(20)
    assert told[2].link is Link.RECONNECTING
    assert "within a snapshot" in told[2].why
    assert isinstance(told[3], Snapshot)
    assert [agent.id for agent in told[3].agents] == ["b"]


def test_leaving_ends_the_reader(server: Answering) -> None:
    """Also while messages wait for a program that takes no more."""
    followed = server.begin(some(3, cursor=b"c"))
    _, call = stream(server)
    for _ in range(20):
        call.send_response(alive(b"c"))
    followed.result(20)
    assert [thread.name for thread in threading.enumerate() if thread.name == "fleetroll-watch"] == []


def test_a_slow_program_finds_what_came_meanwhile(server: Answering) -> None:
    """Its own slowness is not the server's silence."""

    def work(client: AdminClient) -> list[Any]:
        told: list[Any] = []
        with closing(follow_blocking(client, events_pb2.WatchEventsRequest(cursor=b"c"), HASTE)) as updates:
            for update in updates:
                told.append(update)
                if len(told) == 3:
                    return told
                time.sleep(0.5)
        return told

    followed = server.begin(work)
    _, call = stream(server)
    call.send_response(alive(b"c"))
    call.send_response(alive(b"c"))
    assert [each.link for each in followed.result(20)] == [Link.CONNECTING, Link.LIVE, Link.LIVE]


@asynccontextmanager
async def following(world: World) -> AsyncIterator[tuple[Proxy, AdminClient, Follower]]:
    """A follower in a thread, its client, and the line that both are on."""
    host, _, port = world.server.address.rpartition(":")
    follower, ended = Follower(), threading.Event()
    loop = asyncio.get_running_loop()

    def work(client: AdminClient) -> None:
        request = events_pb2.WatchEventsRequest(subjects=ALL)
        with closing(follow_blocking(client, request, QUICK)) as updates:
            for update in updates:
                if ended.is_set():
                    return
                loop.call_soon_threadsafe(follower.take, update)

    async with Proxy.to(host, int(port)) as proxy:
        endpoint = Endpoint(proxy.address, world.services.ca_pem, world.stock.token)
        with AdminClient(endpoint) as client:
            task = asyncio.create_task(asyncio.to_thread(work, client))
            try:
                await follower.until(lambda: follower.live)
                yield proxy, client, follower
            finally:
                ended.set()
                await task


async def test_no_event_of_a_real_server_is_lost_or_doubled(world: World) -> None:
    async with following(world) as (proxy, _, follower):
        before = await log(world)
        for name in ("host-1", "host-2", "host-3"):
            await world.online(name)
            proxy.cut()
            await world.drop(name)
            await world.online(name)
        await world.roll("host-1", "host-2")
        expected = (await log(world))[len(before) :]
        await follower.until(lambda: [event.id for event in follower.events][-1:] == expected[-1:])
        assert [event.id for event in follower.events] == expected
        assert follower.snapshots == 1
        assert Link.RECONNECTING in follower.was


async def test_calls_do_not_wait_on_a_line_that_a_follower_has_left(world: World) -> None:
    asked = server_info_pb2.GetServerInfoRequest()
    async with following(world) as (proxy, client, follower):
        await asyncio.to_thread(client.server_info.GetServerInfo, asked, timeout=20)
        proxy.black_hole()
        await follower.until(lambda: not follower.live)
        proxy.heal()
        await follower.until(lambda: follower.live)
        before = proxy.accepted
        await asyncio.to_thread(client.server_info.GetServerInfo, asked, timeout=20)
        assert proxy.accepted == before + 1
