"""What stands in for the rest of the machine while hosts of the model run: put in place once, for many hosts."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from fleetroll_agent.hooks.run import HookResult
from fleetroll_agent.hooks.specs import Health
from fleetroll_agent.jobs import artefacts, keeper, runner
from fleetroll_agent.products import doing, hands, manifests
from fleetroll_agent.slots import store
from tests.crash.products.faults import FAULTS
from tests.crash.products.host import Host
from tests.crash.products.judge import judge
from tests.crash.products.points import PointDisk, Points, counted_effects
from tests.crash.products.releases import Release
from tests.crash.products.scenarios import scenarios
from tests.crash.products.world import COMMAND_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from fleetroll_agent.jobs.values import Attempt, Step
    from fleetroll_agent.jobs.work import Child
    from tests.crash.products.scenarios import Scenario
    from tests.crash.products.virtual import VirtualLoop
    from tests.crash.products.world import Process

FETCH_SECONDS = 2.0
SEED = 20264


class Command:
    """A command of the model, as the agent holds it."""

    def __init__(self, host: Host, process: Process) -> None:
        self.host = host
        self.process = process
        self.child = process.child

    async def abandon(self) -> None:
        self.host.world.kill(self.process.pid)


class Bench:
    """Makes hosts, one after the other, in the same folder."""

    faults = FAULTS

    def __init__(self, folder: Path) -> None:
        """Work in ``folder``."""
        self._folder = folder
        self.host: Host

    def make(self, scenario: Scenario, at: int = 0, fault: Callable[[Host], None] | None = None) -> Host:
        """Return a fresh host; what it leaves to chance falls the same way each time."""
        random.seed(SEED)
        self.host = Host(scenario, self._folder, at, fault)
        self.host.install()
        return self.host

    def scenarios(self, kind: str) -> list[Scenario]:
        """Return everything that a product of ``kind`` goes through."""
        return scenarios(kind)

    def is_struck(self, _kind: str, _scenario: Scenario) -> bool:
        """Tell that every scenario is."""
        return True

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

        class NoLog:
            def __init__(self, *_facts: object) -> None: ...

            def add(self, _step: str, _line: str) -> None: ...

        replaced: list[tuple[Any, str, Any]] = [
            (asyncio, "to_thread", at_once),
            (store, "RealDisk", Disk),
            (store, "Lookout", lambda: self),
            (artefacts, "fetch_target", self._fetch),
            (artefacts, "unpack", self._unpack),
            (artefacts, "log", Deaf()),
            (manifests, "check_manifest", lambda *_read: None),
            (doing, "spawn", self._spawn),
            (doing, "run_hook", self._run),
            (doing, "run_small", self._run_small),
            (doing, "probe", self._probe),
            (doing, "AttemptLog", NoLog),
            (doing, "backup_id_file", lambda _user: contextlib.nullcontext(Path("/nowhere"))),
            (hands, "end_child", self._end_child),
            (runner, "log", Alarm(lambda: self.host.loop)),
            (doing.Doer, "_own", self._own(doing.Doer._own)),
            *((module, "log", Deaf()) for module in (keeper, hands)),
        ]
        with ExitStack() as stack:
            stack.enter_context(counted_effects(lambda: self.host.points))
            for module, name, double in replaced:
                stack.enter_context(mock.patch.object(module, name, double))
            yield self

    def _own(self, real: Callable[..., None]) -> Callable[..., None]:
        """Watch the steps that need no command."""

        def own(doer: Any, attempt: Attempt, step: Step) -> None:
            self.host.world.settle()
            self.host.world.require_alone(step.value)
            real(doer, attempt, step)

        return own

    def live(self, folder: Path, _user: str) -> frozenset[str]:
        """Return the slots that processes use, as /proc would show them."""
        self.host.world.settle()
        serving = f"{self.host.world.service}-"
        return frozenset(slot.name for slot in folder.iterdir() if slot.name.startswith(serving))

    async def _fetch(self, sources: Any, target: Any, file: Path, *_rest: Any, **_more: Any) -> Path:
        self.host.points.reach("receive", "artefact")
        await asyncio.sleep(FETCH_SECONDS)
        return file

    def _unpack(self, _archive: Path, draft: Path, **signed: Any) -> None:
        version = str(signed["expected"].version)
        Release(version).unpack(draft, store.SlotStore(draft))

    async def _spawn(self, argv: Sequence[str], env: Mapping[str, str], *_rest: Any) -> Command:
        host, hook = self.host, Path(argv[0]).name
        host.points.reach("spawn", hook)
        return Command(host, host.world.spawn(hook, env))

    async def _run(self, command: Command, _limit: float, _line: Any, _redact: Any) -> HookResult:
        host, process = self.host, command.process
        host.points.reach("open", process.step)
        host.world.open(process)
        await asyncio.sleep(COMMAND_SECONDS)
        host.points.reach("ended", process.step)
        host.world.settle()
        word = host.world.last_word(process)
        return HookResult(process.exit_code, None, False, "", word, True, 0, True, COMMAND_SECONDS)

    async def _run_small(self, *_asked: Any) -> HookResult:
        _healthy, version = self.host.world.healthy()
        return HookResult(0, None, False, "", version, True, 0, True, 0.1)

    async def _probe(self, *_asked: Any) -> Health:
        self.host.points.reach("probe")
        healthy, version = self.host.world.healthy()
        return Health(healthy, "" if healthy else "it does not work", version)

    async def _end_child(self, child: Child) -> bool:
        self.host.points.reach("kill", child.pid)
        self.host.world.kill(child.pid)
        return True


async def at_once(work: Callable[..., Any], *args: Any) -> Any:
    return work(*args)


class Deaf:
    """A log that nobody reads."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_words, **_facts: None


class Alarm(Deaf):
    """The log of jobs: what it calls a defect ends the run."""

    def __init__(self, loop: Callable[[], VirtualLoop]) -> None:
        self._loop = loop

    def exception(self, _event: str, **_facts: Any) -> None:
        self._loop().broken = sys.exc_info()[1]
