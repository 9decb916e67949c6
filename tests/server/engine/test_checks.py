"""Checks of a gate in a running server: real requests and commands, and what the rollout does on what they say."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from fleetroll.v1 import rollouts_pb2 as pb
from fleetroll_server.domain.checks import Kind
from fleetroll_server.domain.checkspec import CheckSpec, CommandCheck, HttpCheck, PrometheusCheck
from fleetroll_server.engine.probing.asking import MAX_BODY_BYTES, ask
from fleetroll_server.engine.probing.prober import Prober
from fleetroll_server.store.tables import CheckRow
from tests.server.engine.test_rollouts import SIX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.faults.worlds import World

ASKED = {"FLEETROLL_ROLLOUT": "r1", "FLEETROLL_VERSION": "1.1.0"}


class Site:
    """A web server on a port of its own that answers what a test says."""

    def __init__(self) -> None:
        """Answer that all is well."""
        self.status, self.body, self.delay_seconds = 200, b"ok", 0.0
        self.paths: list[str] = []
        self.under_way: set[asyncio.Task[Any]] = set()
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        task = asyncio.current_task()
        assert task is not None
        self.under_way.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.paths.append(head.split()[1].decode())
            await asyncio.sleep(self.delay_seconds)
            writer.write(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n" % (self.status, len(self.body)))
            writer.write(b"Location: /elsewhere\r\nConnection: close\r\n\r\n" + self.body)
            with contextlib.suppress(ConnectionError):  # who asked has read enough
                await writer.drain()
        finally:
            writer.close()

    async def end(self) -> None:
        """Leave nobody waiting."""
        for task in self.under_way:
            task.cancel()
        await asyncio.gather(*self.under_way, return_exceptions=True)
        await asyncio.sleep(0)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A web server."""
    async with serving(Site()) as made:
        yield made


@contextlib.asynccontextmanager
async def serving(made: Site) -> AsyncIterator[Site]:
    """Serve while the block lasts."""
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        await made.end()


@pytest.fixture
async def watched(world: World) -> AsyncIterator[Prober]:
    """A prober that looks when the test says so."""
    made = Prober(world.services)
    yield made
    await made.stop()


def http(site: Site, **fields: Any) -> pb.GateCheck:
    """Return a check of the site, acted on at the second reading."""
    return pb.GateCheck(name="api", http=pb.HttpCheck(url=site.url, **fields), in_a_row=2)


async def reading(world: World, watched: Prober, seconds: float = 30) -> int:
    """Let time pass and read what is due; return how many readings that was."""
    await world.sweep(seconds)
    begun = await watched.look()
    await watched.settle()
    return begun


# What one reading says.


async def test_an_answer_is_good_or_bad_by_its_status_and_its_body(site: Site) -> None:
    plain, both = HttpCheck(site.url), HttpCheck(site.url, (200, 503), "ready")
    assert await ask(CheckSpec("a", plain), {}, ASKED) == (Kind.GOOD, "status 200")
    said = await ask(CheckSpec("a", both), {}, ASKED)
    assert said == (Kind.BAD, "status 200, and the body does not hold 'ready'")
    site.status, site.body = 503, b"not ready"
    assert await ask(CheckSpec("a", both), {}, ASKED) == (Kind.GOOD, "status 503")
    assert await ask(CheckSpec("a", plain), {}, ASKED) == (Kind.BAD, "status 503, wanted 200 to 299")


async def test_a_redirect_is_no_answer_of_what_was_asked(site: Site) -> None:
    site.status = 302
    assert (await ask(CheckSpec("a", HttpCheck(site.url)), {}, ASKED))[0] is Kind.BAD
    assert site.paths == ["/"]


async def test_no_answer_is_missing_and_comes_in_time(site: Site) -> None:
    site.delay_seconds = 30
    spec = CheckSpec("a", HttpCheck(site.url), timeout_seconds=1)
    assert await ask(spec, {}, ASKED) == (Kind.MISSING, "no answer within 1 s")
    nobody = await ask(CheckSpec("a", HttpCheck("http://127.0.0.1:1")), {}, ASKED)
    assert nobody[0] is Kind.MISSING
    assert "ConnectError" in nobody[1]


async def test_an_endless_body_is_read_to_its_bound(site: Site) -> None:
    site.body = b"x" * (4 * MAX_BODY_BYTES) + b"ready"
    assert (await ask(CheckSpec("a", HttpCheck(site.url, (), "ready")), {}, ASKED))[0] is Kind.BAD


def samples(*values: str) -> bytes:
    """Return an answer of a Prometheus server."""
    result = [{"metric": {"job": str(number)}, "value": [1.0, value]} for number, value in enumerate(values)]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (samples("0.01"), Kind.GOOD, "0.01, wanted < 0.05"),
        (samples("0.01", "0.02"), Kind.GOOD, "0.01, wanted < 0.05 (2 samples)"),
        (samples("0.01", "0.2"), Kind.BAD, "0.2, wanted < 0.05"),
        (samples("+Inf"), Kind.BAD, "inf, wanted < 0.05"),
        (samples("NaN"), Kind.MISSING, "a sample is no number (NaN)"),
        (samples(), Kind.MISSING, "the query has no sample"),
        (b'{"status":"success","data":{"resultType":"scalar","result":[1,"0.05"]}}', Kind.BAD, "0.05, wanted < 0.05"),
        (b'{"status":"success","data":{"resultType":"matrix","result":[]}}', Kind.MISSING, "the answer is a matrix"),
        (b'{"status":"success"}', Kind.MISSING, "no answer of a Prometheus server"),
        (b"<html>", Kind.MISSING, "JSONDecodeError"),
        (samples(*["0.01"] * 5000), Kind.MISSING, "larger than"),
    ],
)
async def test_every_sample_of_a_query_must_hold_and_none_is_no_success(
    site: Site, body: bytes, kind: Kind, words: str
) -> None:
    site.body = body
    asked = PrometheusCheck(f"{site.url}/prom/", 'rate(errors_total{job="shop"}[5m])', "<", 0.05)
    said = await ask(CheckSpec("a", asked), {}, ASKED)
    assert said[0] is kind
    assert words in said[1]
    assert site.paths[0].startswith("/prom/api/v1/query?query=rate")


async def test_a_query_that_is_refused_is_missing(site: Site) -> None:
    site.status, site.body = 400, b'{"status":"error","error":"parse error"}'
    said = await ask(CheckSpec("a", PrometheusCheck(site.url, "x(", "<", 1)), {}, ASKED)
    assert said[0] is Kind.MISSING
    assert "parse error" in said[1]


@pytest.mark.parametrize(
    ("code", "kind"), [("0", Kind.GOOD), ("1", Kind.BAD), ("2", Kind.MISSING), ("137", Kind.MISSING)]
)
async def test_a_command_says_it_by_its_status(code: str, kind: Kind) -> None:
    words = ("sh", "-c", f'echo "$FLEETROLL_ROLLOUT $FLEETROLL_VERSION"; exit {code}')
    said = await ask(CheckSpec("a", CommandCheck("smoke")), {"smoke": words}, ASKED)
    assert said[0] is kind
    assert "r1 1.1.0" in said[1]


async def test_a_command_that_is_not_there_is_missing() -> None:
    spec = CheckSpec("a", CommandCheck("smoke"))
    assert "gate_commands" in (await ask(spec, {}, ASKED))[1]
    said = await ask(spec, {"smoke": ("/nowhere/smoke",)}, ASKED)
    assert said[0] is Kind.MISSING
    assert "FileNotFoundError" in said[1]


async def test_a_command_ends_with_its_time_and_so_does_what_it_began(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    program = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    words = ("sh", "-c", f'"{sys.executable}" -c "{program}" & wait')
    spec = CheckSpec("a", CommandCheck("smoke"), timeout_seconds=3)
    assert await ask(spec, {"smoke": words}, ASKED) == (Kind.MISSING, "no answer within 3 s")
    for _ in range(100):
        try:
            os.kill(int(note.read_text()), 0)
        except ProcessLookupError:
            return
        await asyncio.sleep(0.05)
    os.kill(int(note.read_text()), signal.SIGKILL)
    pytest.fail("it outlived its command")


async def test_what_a_command_says_is_one_line_that_a_terminal_may_show() -> None:
    words = ("printf", r"red \033[31malarm\nsecond line")
    said = await ask(CheckSpec("a", CommandCheck("smoke")), {"smoke": words}, ASKED)
    assert said == (Kind.GOOD, "red [31malarm second line")


# What the rollout does.


async def test_a_wave_waits_for_a_good_reading_of_after_its_last_host(
    world: World, watched: Prober, site: Site
) -> None:
    await world.online(*SIX[:2])
    rollout = await world.roll(*SIX[:2], waves=[1, 0], gate_checks=[http(site)])
    assert await reading(world, watched, 0) == 1
    await world.sweep(1)
    await world.update("host-1")
    assert await world.waves(rollout) == ["OPEN", "PENDING"]
    assert "the checks of wave 1: check api: good" in (await world.show(rollout)).waiting_for
    assert await world.agent("host-2").waiting("assignment") == []
    assert await reading(world, watched) == 1
    assert await world.waves(rollout) == ["PASSED", "OPEN"]
    await world.update("host-2")
    await reading(world, watched)
    assert await world.state(rollout) == "COMPLETED"
    assert await reading(world, watched, 60) == 0, "nobody asks for a rollout that has ended"


async def test_bad_readings_halt_it_while_hosts_are_under_way(world: World, watched: Prober, site: Site) -> None:
    await world.online(*SIX[:2])
    rollout = await world.roll(*SIX[:2], gate_checks=[http(site)], limits={"max_concurrent": 2})
    for name in SIX[:2]:
        await world.staged(name)
    site.status = 500
    await reading(world, watched, 0)
    assert await world.state(rollout) == "RUNNING"
    await reading(world, watched)
    shown = await world.show(rollout)
    assert (await world.state(rollout), await world.waves(rollout)) == ("HALTED", ["FAILED"])
    assert "check api: bad, 2 in a row: status 500" in shown.state_decision.reason
    (check,) = shown.gate_checks
    assert (check.reading, check.streak, check.check.http.url) == (pb.READING_BAD, 2, site.url)


async def test_no_go_leaves_after_the_reading_that_halts(world: World, watched: Prober, site: Site) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", gate_checks=[http(site)])
    agent = await world.staged("host-1")
    site.status = 500
    await reading(world, watched, 0)
    await reading(world, watched)
    assert await world.state(rollout) == "HALTED"
    assert await agent.refused_go() == "PAUSED"


async def test_missing_readings_pause_it_and_a_person_lets_the_wave_pass(world: World, watched: Prober) -> None:
    await world.online(*SIX[:2])
    nobody = pb.GateCheck(name="api", http=pb.HttpCheck(url="http://127.0.0.1:1"), in_a_row=2)
    rollout = await world.roll(*SIX[:2], waves=[1, 0], gate_checks=[nobody])
    await world.update("host-1")
    await reading(world, watched, 0)
    assert await world.state(rollout) == "RUNNING"
    await reading(world, watched)
    assert await world.state(rollout) == "PAUSED"
    assert "check api: missing, 2 in a row" in (await world.show(rollout)).state_decision.reason
    await world.advance(rollout)
    assert await world.waves(rollout) == ["PASSED", "OPEN"]
    (row,) = await world.rows(CheckRow)
    assert row["kind"] == "", "what was known to who decided counts no more"


async def test_after_a_resume_it_is_read_anew(world: World, watched: Prober, site: Site) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", gate_checks=[http(site)])
    agent = await world.staged("host-1")
    site.status = 500
    await reading(world, watched, 0)
    await reading(world, watched)
    assert await world.state(rollout) == "HALTED"
    assert await reading(world, watched, 60) == 0, "a rollout that stands is not watched"
    site.status = 200
    await world.resume(rollout)
    assert await reading(world, watched, 0) == 1
    assert await world.state(rollout) == "RUNNING"
    await agent.granted()
    await world.on_trial("host-1")
    await agent.commit()
    await reading(world, watched)
    assert await world.state(rollout) == "COMPLETED"


async def test_a_bake_counts_only_while_the_checks_are_good_and_ends_on_a_fresh_one(
    world: World, watched: Prober, site: Site
) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", gate_checks=[http(site)], limits={"bake": 90})
    await world.update("host-1")
    await reading(world, watched, 0)
    assert await world.waves(rollout) == ["BAKING"]
    await world.watch(120)
    assert "a new reading for wave 1" in (await world.show(rollout)).waiting_for
    assert await reading(world, watched, 0) == 1
    assert await world.state(rollout) == "COMPLETED"


async def test_one_of_two_servers_takes_a_reading(worlds: list[World], site: Site) -> None:
    first, second = worlds
    await first.online("host-1")
    await first.roll("host-1", gate_checks=[http(site)])
    both = Prober(first.services), Prober(second.services)
    assert sorted(await asyncio.gather(*(one.look() for one in both))) == [0, 1]
    for one in both:
        await one.settle()
        await one.stop()
    assert len(site.paths) == 1


async def test_checks_outlive_a_crash(world: World, watched: Prober, site: Site) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", gate_checks=[http(site)])
    site.status = 500
    await reading(world, watched, 0)
    await world.crash()
    again = Prober(world.services)
    await reading(world, again)
    await again.stop()
    assert await world.state(rollout) == "HALTED"


async def test_a_check_that_can_not_be_asked_starts_nothing(world: World) -> None:
    await world.online("host-1")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await world.roll("host-1", gate_checks=[pb.GateCheck(name="smoke", command="rm")])
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "gate_checks[smoke].command: 'rm' can't be used" in (refused.value.details() or "")
    assert await world.rows(CheckRow) == []
