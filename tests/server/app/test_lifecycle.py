"""Up and down: readiness tells whether promises can be kept; everything that was started is stopped, in order."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import grpc
import pytest
import sqlalchemy as sa
import structlog

from fleetroll.v1 import tokens_pb2, tokens_pb2_grpc
from fleetroll_common.values.errors import RequestError, StoreError
from fleetroll_common.values.ids import SystemIds
from fleetroll_server import lifecycle
from fleetroll_server.datafolder import DataFolder
from fleetroll_server.lifecycle import running
from fleetroll_server.parts import Parts
from fleetroll_server.settings import load_settings
from fleetroll_server.store.tables import MetaRow, ServerRow, SpellRow, table_of

SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


async def readiness(channel: grpc.aio.Channel) -> bytes:
    check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
    answer: bytes = await check(b"", timeout=10)
    return answer


async def until(channel: grpc.aio.Channel, wanted: bytes) -> None:
    async with asyncio.timeout(10):
        while await readiness(channel) != wanted:
            await asyncio.sleep(0.01)


async def test_readiness_is_red_while_nothing_can_be_stored(server: Any, refusal: Any) -> None:
    assert await readiness(server.channel) == SERVING
    failing = True

    def refuse(_connection: object) -> None:
        if failing:
            raise OSError(28, "No space left on device")

    engine = server.services.store._writing.sync_engine
    sa.event.listen(engine, "commit", refuse)
    stub = tokens_pb2_grpc.TokensServiceStub(server.channel)
    why = await refusal(server.client().call(stub.CreateJoinToken, tokens_pb2.CreateJoinTokenRequest()))
    assert (why.status, why.code) == (grpc.StatusCode.UNAVAILABLE, "STORE_FAILED")
    await until(server.channel, NOT_SERVING)
    failing = False
    await until(server.channel, SERVING)
    await server.client().call(stub.CreateJoinToken, tokens_pb2.CreateJoinTokenRequest())
    listed = await server.client().call(stub.ListJoinTokens, tokens_pb2.ListJoinTokensRequest())
    assert len(listed.tokens) == 1


class Part:
    """A part that writes down what happens to it."""

    def __init__(self, name: str, story: list[str], *, fails: bool = False) -> None:
        self.name, self.story, self.fails = name, story, fails

    async def start(self) -> None:
        self.story.append(f"start {self.name}")
        if self.fails:
            raise StoreError("no", code="STORE_FAILED")  # type: ignore[arg-type]

    async def drain(self) -> None:
        self.story.append(f"drain {self.name}")

    async def stop(self) -> None:
        self.story.append(f"stop {self.name}")


async def test_parts_go_down_in_reverse_after_all_were_drained(
    installed: Any, launch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    story: list[str] = []
    parts = Parts(registrations=(), background=(Part("a", story), Part("b", story)))
    monkeypatch.setattr(lifecycle, "assemble", lambda *_: parts)
    async with launch(installed):
        assert story == ["start a", "start b"]
    assert story[2:] == ["drain b", "drain a", "stop b", "stop a"]


async def test_a_part_that_does_not_start_takes_the_ones_before_it_down(
    installed: Any, launch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    story: list[str] = []
    parts = Parts(registrations=(), background=(Part("a", story), Part("b", story, fails=True)))
    monkeypatch.setattr(lifecycle, "assemble", lambda *_: parts)
    with pytest.raises(StoreError):
        async with launch(installed):
            pass
    assert story == ["start a", "start b", "stop a"]
    monkeypatch.undo()
    async with launch(installed) as again:
        assert await readiness(again.channel) == SERVING


async def leases(server: Any) -> dict[str, float]:
    """Seconds that each server's lease has left, by its id."""
    table = table_of(ServerRow)
    async with server.services.store.read() as connection:
        rows = (await connection.execute(sa.select(table))).all()
    return {row.id: (row.lease_until - server.clock.now()).total_seconds() for row in rows}


async def test_the_lease_begins_with_the_server_and_ends_with_it(installed: Any, launch: Any, clock: Any) -> None:
    async with launch(installed, clock) as server:
        first = server.services.server_id
        assert await leases(server) == {first: 15}
    clock.advance(86_400)
    async with launch(installed, clock) as server:
        second = server.services.server_id
        assert await leases(server) == {first: -86_400, second: 15}
    clock.advance(86_401)
    async with launch(installed, clock) as server:
        assert await leases(server) == {server.services.server_id: 15}, "since when nobody served, the spells say"
        async with server.services.store.read() as connection:
            spells = (await connection.scalars(sa.select(table_of(SpellRow).c.server_id))).all()
        assert sorted(spells) == sorted([first, second, server.services.server_id])


async def test_what_init_did_not_make_is_refused(tmp_path: Any, clock: Any) -> None:
    folder = DataFolder(tmp_path)
    with pytest.raises(RequestError, match="no data folder"):
        async with running(folder, load_settings(folder.settings), clock, SystemIds()):
            pass


async def test_listening_on_every_address_needs_a_name_for_hosts(installed: Any, clock: Any) -> None:
    folder = DataFolder(installed.data)
    with pytest.raises(RequestError, match="every address of this machine"):
        async with running(folder, load_settings(folder.settings, listen="0.0.0.0:0"), clock, SystemIds()):
            pass


async def test_uploads_that_an_earlier_process_did_not_finish_are_taken_away_at_the_start(
    installed: Any, launch: Any
) -> None:
    (installed.data / "spool" / "upload-x").write_text("left")
    (installed.data / "spool" / "somebody's").mkdir()
    async with launch(installed):
        assert [path.name for path in (installed.data / "spool").iterdir()] == ["somebody's"]


async def test_what_the_database_does_not_list_is_kept_and_named(installed: Any, launch: Any) -> None:
    """The database may be an older one than the artefacts: a backup that was brought back."""
    artefact, stray = (installed.data / "artefacts" / name for name in ("ab" * 32, "stray"))
    artefact.write_text("of a newer database")
    stray.mkdir()
    with structlog.testing.capture_logs() as logs:
        async with launch(installed):
            pass
    assert artefact.read_text() == "of a newer database"
    assert stray.is_dir()
    named = [line["file"] for line in logs if line["event"] == "artefacts.not_listed"]
    assert named == [str(artefact), str(stray)]


async def forget_installation(server: Any) -> None:
    async def job(tx: Any) -> None:
        await tx.execute(sa.delete(table_of(MetaRow)))

    await server.services.store.writer.command(job)


async def test_a_database_without_its_first_rows_is_refused(installed: Any, launch: Any) -> None:
    async with launch(installed) as server:
        await forget_installation(server)
    with pytest.raises(StoreError, match="never initialised"):
        async with launch(installed):
            pass


async def test_an_empty_database_is_refused_before_anything_is_changed(installed: Any, launch: Any) -> None:
    database = DataFolder(installed.data).database
    kept = [installed.data / "artefacts" / ("ab" * 32), installed.data / "spool" / "upload-x"]
    for path in kept:
        path.write_text("kept")
    database.write_bytes(b"")
    with pytest.raises(StoreError, match="never initialised"):
        async with launch(installed):
            pass
    assert [path.read_text() for path in kept] == ["kept", "kept"]
    assert database.read_bytes() == b""


async def test_another_port_than_the_one_that_was_asked_for_is_refused(
    installed: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = DataFolder(installed.data)
    monkeypatch.setattr(type(grpc.aio.server()), "add_secure_port", lambda *_: 2)
    with pytest.raises(RequestError, match=r"127\.0\.0\.1:1 can't be opened"):
        async with running(folder, load_settings(folder.settings, listen="127.0.0.1:1"), clock, SystemIds()):
            pass


async def test_a_call_that_is_open_may_end(installed: Any, launch: Any) -> None:
    credentials = grpc.ssl_channel_credentials((installed.data / "tls" / "ca.pem").read_bytes())
    async with contextlib.AsyncExitStack() as stack:
        async with launch(installed) as server:
            channel = await stack.enter_async_context(grpc.aio.secure_channel(server.running.address, credentials))
            stub = tokens_pb2_grpc.TokensServiceStub(channel)
            entered, release = asyncio.Event(), asyncio.Event()

            async def slow(_tx: Any) -> None:
                entered.set()
                await release.wait()

            holder = asyncio.create_task(server.services.store.writer.command(slow))
            await entered.wait()
            request = tokens_pb2.CreateJoinTokenRequest()
            open_call = asyncio.ensure_future(stub.CreateJoinToken(request, metadata=server.client().metadata))
            await asyncio.sleep(0.1)
            asyncio.get_running_loop().call_later(0.1, release.set)
        assert (await open_call).join_string
        await holder
