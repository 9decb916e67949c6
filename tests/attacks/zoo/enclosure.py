"""One host that meets bad releases one after the other: a real launcher, real agents, a server by the real rules."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fleetroll.v1 import reasons_pb2, types_pb2
from tests.agent.fake_server.hosts import RealHost
from tests.agent.fake_server.server import FakeServer
from tests.attacks.zoo.breeding import OLD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from fleetroll.v1 import agent_stream_pb2 as stream_pb2
    from tests.agent.fake_server.releases import Releases

LIMITS = {"grace": 2.0, "backoff_base": 0.05, "backoff_cap": 0.1}
"""Seconds; the limits of starts and beats stay what they are: a busy machine starts an agent within them."""
PATIENCE_SECONDS = 60.0
_STATE = types_pb2.AttemptState


@dataclass(frozen=True)
class Met:
    """How the meeting with one release ended.

    Attributes:
        states: what the host reported of it, in order, each once.
        report: the first of the last state.
        spoken: name of the slot and of the program in every hello of a trial.
        before: the launcher's record before the meeting.
        boot: the launcher's record after it.
        hello: of the session that is open now.
        log: what the agents wrote meanwhile.
    """

    states: tuple[str, ...]
    report: stream_pb2.Report
    spoken: tuple[tuple[str, str], ...]
    before: dict[str, Any]
    boot: dict[str, Any]
    hello: stream_pb2.HelloPayload
    log: str

    @property
    def code(self) -> str:
        return reasons_pb2.ReasonCode.Name(self.report.code).removeprefix("REASON_CODE_")

    @property
    def words(self) -> str:
        return f"{self.report.message}\n{self.report.output_tail}"


class Enclosure:
    """The host and its server."""

    def __init__(self, server: FakeServer, host: RealHost) -> None:
        """Take both; the host is connected."""
        self.server = server
        self.host = host
        self._generation = 0

    async def meet(self, version: str, soak: float = 0.3, lease: float = 30.0, end: str = "") -> Met:
        """Want ``version``; return when it has ended, and the version that runs then is here.

        ``end`` names the state that is waited for; empty = the first that ends the attempt.
        """
        self._generation += 1
        generation, server, before = self._generation, self.server, self.host.boot()
        known, written = len(server.sessions), len(self._log())
        server.assign(version, generation, soak=soak, lease=lease)
        ended = (lambda: end in server.states(generation)) if end else (lambda: server.result(generation) is not None)
        await server.until(ended, PATIENCE_SECONDS)
        await server.until(lambda: not server.session.hello.products[0].on_trial or end == "SUCCEEDED")
        states = tuple(dict.fromkeys(server.states(generation)))
        # An assignment that comes again is answered by its result again, in short: what happened stands in the first.
        told = [report for report in server.agent.reports if report.generation == generation]
        report = next(report for report in told if _STATE.Name(report.state).endswith(f"_{states[-1]}"))
        hellos = [session.hello for session in server.sessions[known:]]
        spoken = tuple((said.products[0].version, said.agent_version) for said in hellos if said.products[0].on_trial)
        return Met(states, report, spoken, before, self.host.boot(), server.session.hello, self._log()[written:])

    def _log(self) -> str:
        return (self.host.state / "agent.log").read_text("utf-8", "replace")

    def said(self) -> str:
        """Return what the launcher wrote to its own log."""
        return (self.host.state.parent / f"{self.host.state.name}.log").read_text("utf-8")


@asynccontextmanager
async def enclosure(releases: Releases, folder: Path, **limits: float) -> AsyncIterator[Enclosure]:
    """Give an enrolled host that runs :data:`OLD` and is connected."""
    async with FakeServer(releases) as server:
        host = RealHost(folder / "state")
        code, _out, err = await host.enroll(server.join_string())
        assert code == 0, err
        await host.start(limits={**LIMITS, **limits})
        try:
            await server.until(lambda: len(server.sessions) == 2, PATIENCE_SECONDS)
            yield Enclosure(server, host)
        finally:
            await host.stop()


def still_here(met: Met) -> None:
    """Demand that the old version runs, says so to its server, and that nothing else is on its way."""
    (product,) = met.hello.products
    assert (product.version, product.on_trial, product.healthy, met.hello.agent_version) == (OLD, False, True, OLD)
    assert (met.boot["current"]["version"], met.boot["trial"]) == (OLD, None)


def refused(met: Met, code: str, words: str) -> None:
    """Demand that the release failed before the switch, for this reason, and that the launcher never heard of it."""
    assert met.states[-2:] == ("APPLYING self_test", "FAILED")
    assert met.code == code
    assert words in met.words
    assert not met.report.unproven
    assert met.boot == met.before
    still_here(met)


def taken_back(met: Met, code: str, words: str, *, heard: bool, unproven: bool = False) -> None:
    """Demand that the release was tried and taken back for this reason.

    ``heard``: it reached its server on trial. ``unproven``: nothing showed that the release itself is to blame.
    """
    assert (met.states[-1], met.code) == ("ROLLED_BACK", code)
    assert words in met.words, f"{met.words}\n{met.boot['last']}\n{met.log}"
    assert bool(met.spoken) is heard
    assert met.report.unproven is unproven
    assert met.report.running_version == OLD
    last = met.boot["last"]
    assert (last["code"], last["reason"]) == (code, "unproven" if unproven else "bad")
    assert (met.report.sha256.hex() in met.boot["bad"]) is not unproven
    still_here(met)
