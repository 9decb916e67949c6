"""One process of the agent: its own daemon, with another pipe, another link, and no door on this host."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

from fleetroll_agent import daemon
from fleetroll_agent.daemon import Daemon
from fleetroll_agent.jobs.agent_update import AgentUpdate
from fleetroll_agent.jobs.artefacts import Ways
from fleetroll_agent.jobs.journal import Journal
from fleetroll_agent.jobs.keeper import Keeper, Part, ProductFile
from fleetroll_agent.jobs.lock import JobLock
from fleetroll_agent.jobs.state import Rules, Running
from fleetroll_agent.launcher.errors import LauncherError
from fleetroll_agent.launcher.pipe import HOST_REFUSES_EXIT, Lines, encode, parse
from fleetroll_agent.parts import LinkedMetadata, Parts
from fleetroll_agent.settings import Settings
from fleetroll_agent.slots import SlotStore
from fleetroll_common.values.errors import FleetrollError
from fleetroll_common.values.ids import SequentialIds
from tests.crash.agent.launching import BOOT
from tests.crash.agent.processes import Process, running
from tests.crash.agent.releases import release
from tests.crash.agent.scenarios import Bad
from tests.crash.products.faults import AGENT
from tests.crash.products.points import Crash
from tests.crash.products.releases import NEW, NEXT, Trust

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fleetroll_agent.launcher.pipe import Message
    from tests.crash.agent.host import Host

START_SECONDS, SICK_SECONDS = 0.5, 3.0
"""From the start of a bad version to its end, and to its end or sickness in the soak."""


class Life:
    """One process of the agent."""

    def __init__(self, host: Host, slot: Path) -> None:
        """Stand before the first line of the program in ``slot``."""
        self.host = host
        self.process = Process(host.loop, AGENT)
        self.folder = slot
        self.lock = JobLock(host.state)
        self.began_at = host.loop.at
        self.pipe: PipeEnd | None = None
        self.inbox: list[bytes] = []
        self.launcher_is_gone = False
        self.journal: Journal | None = None
        self.version = slot.name.partition("-")[0]

    @property
    def bad(self) -> Bad:
        """What is wrong with this process's version."""
        return self.host.scenario.bad if self.version == NEW else Bad.NOTHING

    async def run(self) -> None:
        """Be the agent's main program."""
        if self.bad is Bad.START:
            await asyncio.sleep(START_SECONDS)
            self.host.end_agent(self, "exit code 1")
            return
        if self.bad is Bad.SOAK:
            self.after(SICK_SECONDS, self.die)
        try:
            code = await daemon.run_daemon(self.host.state, self)  # type: ignore[arg-type]  # the pipe's double asks it
        except (FleetrollError, LauncherError, OSError):
            code = 1
        except Crash:
            return
        self.host.end_agent(self, f"exit code {code}", refuses=code == HOST_REFUSES_EXIT)

    def pipe_in(self, data: bytes) -> None:
        """Take what the launcher wrote."""
        self.inbox.append(data)
        if self.pipe is not None:
            self.process.soon(self.pipe.readable)

    def launcher_gone(self) -> None:
        """Be left alone: the end of the pipe shows it."""
        self.launcher_is_gone = True
        if self.pipe is not None:
            self.process.soon(self.pipe.readable)

    def take_signal(self, number: int) -> None:
        """Get a signal; one that nobody handles ends the process."""
        handler = self.process.handlers.get(number)
        if handler is None:
            self.host.end_agent(self, f"signal {signal.Signals(number).name}")
        else:
            self.process.soon(handler)

    def after(self, seconds: float, work: Callable[[], None]) -> None:
        self.process.later(self.host.loop.at + seconds, work)

    def die(self) -> None:
        """End by a fault of its own."""
        self.host.end_agent(self, "signal SIGSEGV")

    @property
    def is_sick(self) -> bool:
        """Tell whether its own health check fails."""
        return self.bad is Bad.SICK and self.host.loop.at >= self.began_at + SICK_SECONDS


class PipeEnd:
    """Stands for the agent's end of the pipe."""

    def __init__(
        self, life: Life, _same: Life, on_message: Callable[[Message], None], on_closed: Callable[[], None]
    ) -> None:
        self._life = life
        self._on_message = on_message
        self._on_closed = on_closed
        self._lines = Lines()
        self._open = False

    @classmethod
    def parse_option(cls, life: Life) -> tuple[Life, Life]:
        return life, life

    def attach(self, _loop: Any) -> None:
        self._open, self._life.pipe = True, self
        self._life.process.soon(self.readable)

    def send(self, message: Message) -> None:
        if not self._open:
            return
        host = self._life.host
        host.points.reach("send", message["type"])
        launcher = host.launcher
        if self._life.launcher_is_gone:
            self._end()
        else:
            launcher.process.soon(launcher.hear, self._life, encode(message))

    def close(self) -> None:
        self._open = False

    def readable(self) -> None:
        """Read what is there, and the end behind it."""
        inbox, self._life.inbox = self._life.inbox, []
        for line in self._lines.feed(b"".join(inbox)):
            if self._open:
                message = parse(line)
                self._life.host.points.reach("receive", message["type"])
                self._on_message(message)
        if self._open and self._life.launcher_is_gone:
            self._end()

    def _end(self) -> None:
        self.close()
        self._on_closed()


class Agent(Daemon):
    """The daemon of a version that may feel sick."""

    @property
    def healthy(self) -> bool:
        """Tell whether the health check holds."""
        return super().healthy and not life_at_hand(self._parts).is_sick


class NoDoor:
    """Nobody on this host asks for anything."""

    def __init__(self, *_parts: Any) -> None: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class SignedMetadata(Trust):
    """What is signed, as the agent's trust holds it."""

    timestamp_version = 1

    def anchors(self) -> None:
        """Say nothing of where servers are."""


def life_at_hand(parts: Parts) -> Life:
    """Return the process that was put together from ``parts``."""
    life: Any = parts.store
    assert isinstance(life, Life)
    return life


def assemble(folder: Path, host: Host) -> Parts:
    """Put an agent together from its state folder, as the real one is."""
    life = host.life
    assert life is not None
    assert running() is life.process
    slots, clock, ids = SlotStore(folder), host.clock, SequentialIds(f"{host.loop.at} {host.lives}")
    slot = slots.get(life.folder)
    journal = life.journal = Journal(folder / "journal", ids)
    own = Running(str(slot.version), slot.sha256)
    products = ProductFile(folder)
    products.read()
    trust, ways = SignedMetadata((release(NEW), release(NEXT))), Ways(clock=clock)
    stand_in: Any = life
    signed: Any = trust
    return Parts(
        folder=folder,
        slot=slot,
        store=stand_in,
        identity=host.identity,
        journal=journal,
        keeper=Keeper(products, journal, clock, Part(Rules(), own)),
        update=AgentUpdate(folder, signed, slots, ways),
        trust=signed,
        ways=ways,
        lock=life.lock,
        settings=Settings(),
        clock=clock,
        line=LinkedMetadata(),
        calls_itself=str(slot.version),
        host_name="host",
        boot_id=BOOT,
    )
