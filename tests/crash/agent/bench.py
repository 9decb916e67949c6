"""What stands in for the rest of the machine while hosts of the model run: put in place once, for many hosts."""

from __future__ import annotations

import asyncio
import contextlib
import random
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from unittest import mock

from fleetroll_agent import daemon, interpreter
from fleetroll_agent.jobs import agent_update, artefacts, hands, keeper, runner
from fleetroll_agent.jobs.self_test import Verdict
from fleetroll_agent.launcher import calls
from fleetroll_agent.slots import store
from fleetroll_agent.slots.disk import typed_disk_errors
from fleetroll_common.values.codes import Code
from tests.crash.agent.faults import FAULTS
from tests.crash.agent.host import Host
from tests.crash.agent.judging import judge
from tests.crash.agent.living import Agent, NoDoor, PipeEnd, assemble
from tests.crash.agent.releases import release
from tests.crash.agent.scenarios import AGENT, BAD, Bad, Scenario, scenarios
from tests.crash.agent.upstream import Link
from tests.crash.products.bench import FETCH_SECONDS, SEED, Alarm, Deaf, at_once
from tests.crash.products.points import PointDisk, Points, counted_effects
from tests.crash.products.releases import NEW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fleetroll_agent.parts import Parts

SELF_TEST_SECONDS = 1.0


class Bench:
    """Makes hosts, one after the other, in the same folder."""

    faults = FAULTS

    def __init__(self, folder: Path, *, full: bool = False) -> None:
        """Work in ``folder``; ``full`` = with what only the second tier has."""
        self._folder = folder
        self._full = full
        self.host: Host

    def make(self, scenario: Scenario, at: int = 0, fault: Callable[[Host], None] | None = None) -> Host:
        """Return a fresh host; what it leaves to chance falls the same way each time."""
        random.seed(SEED)
        self.host = Host(scenario, self._folder, at, fault)
        self.host.install()
        return self.host

    def scenarios(self, _kind: str) -> list[Scenario]:
        """Return everything that the agent goes through."""
        return scenarios(full=self._full)

    def is_struck(self, kind: str, scenario: Scenario) -> bool:
        """Tell whether it is of the half that ``kind`` names: the good version, or the bad ones."""
        return kind == (BAD if scenario.bad else AGENT)

    def judge(self, host: Host, fault: str = "") -> str:
        """Judge a host that has become quiet."""
        return judge(host, fault)

    @contextlib.contextmanager
    def standing(self) -> Iterator[Bench]:
        """Have everything in place."""
        bench = self

        class Disk(PointDisk):
            @property
            def points(self) -> Points:  # type: ignore[override]
                return bench.host.points

        replaced: list[tuple[Any, str, Any]] = [
            (asyncio, "to_thread", at_once),
            (store, "RealDisk", Disk),
            (store, "Lookout", lambda: self),
            (artefacts, "fetch_target", self._fetch),
            (artefacts, "unpack", self._unpack),
            (agent_update, "run_self_test", self._self_test),
            (daemon, "assemble", self._assemble),
            (daemon, "Daemon", Agent),
            (daemon, "Link", Link),
            (daemon, "ChildEnd", PipeEnd),
            (daemon, "ControlServer", NoDoor),
            (interpreter, "watch", _for_ever),
            (daemon, "log", Alarm(lambda: self.host.loop)),
            (runner, "log", Alarm(lambda: self.host.loop)),
            *((module, "log", Deaf()) for module in (keeper, hands, artefacts, agent_update)),
        ]
        with ExitStack() as stack:
            stack.enter_context(counted_effects(lambda: self.host.points))
            stack.enter_context(counted_effects(lambda: self.host.points, calls))
            for module, name, double in replaced:
                stack.enter_context(mock.patch.object(module, name, double))
            yield self

    def live(self, _folder: Path, _user: str) -> frozenset[str]:
        """Return the slots that processes use, as /proc would show them."""
        life = self.host.life
        return frozenset() if life is None or life.process.dead else frozenset({life.folder.name})

    def _assemble(self, folder: Path) -> Parts:
        return assemble(folder, self.host)

    async def _fetch(self, _sources: Any, _target: Any, file: Path, *_rest: Any, **_more: Any) -> Path:
        self.host.points.reach("receive", "artefact")
        await asyncio.sleep(FETCH_SECONDS)
        return file

    def _unpack(self, _archive: Path, draft: Path, **signed: Any) -> None:
        with typed_disk_errors("unpacking"):
            release(str(signed["expected"].version)).unpack(draft, store.SlotStore(draft))

    async def _self_test(self, _python: str, _entry: Path, _state: Path, version: str) -> Verdict:
        self.host.points.reach("spawn", "self-test")
        await asyncio.sleep(SELF_TEST_SECONDS)
        self.host.points.reach("ended", "self-test")
        if version == NEW and self.host.scenario.bad is Bad.SELF_TEST:
            return Verdict(Code.SELF_TEST_FAILED, "the self-test ended with 1")
        return Verdict()


async def _for_ever(_current: object) -> None:
    await asyncio.Event().wait()
