"""One process of the launcher: its own core, executor, record and files; its child is a process of the model."""

from __future__ import annotations

import random
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_agent.launcher.beginning import begin
from fleetroll_agent.launcher.core import step
from fleetroll_agent.launcher.errors import LauncherError
from fleetroll_agent.launcher.events import Arm, ChildExited, Event, Moment, Tick
from fleetroll_agent.launcher.executor import Executor
from fleetroll_agent.launcher.limits import Limits
from fleetroll_agent.launcher.main import load
from fleetroll_agent.launcher.pipe import Lines, parse, to_event
from fleetroll_agent.launcher.ports import Family
from fleetroll_agent.launcher.pythons import Pythons
from fleetroll_agent.launcher.timers import next_deadline
from fleetroll_common.values.platform import Platform
from tests.crash.agent.processes import Process
from tests.crash.products.faults import LAUNCHER

if TYPE_CHECKING:
    import asyncio

    from fleetroll_agent.launcher.events import Actions
    from fleetroll_agent.launcher.state import State
    from tests.crash.agent.host import Host
    from tests.crash.agent.living import Life

PYTHON = "/usr/bin/python3"
BOOT = "boot 1"


class OnePython(Pythons):
    """The interpreter of a host that has one."""

    def __init__(self) -> None:
        """Be the one that the releases are for."""
        super().__init__(["/nowhere"])
        self._abi = Platform.current().abi

    def abi_of(self, path: str) -> str:
        return self._abi if path == PYTHON else ""

    def by_abi(self) -> dict[str, str]:
        return {self._abi: PYTHON}


class Launcher(Family):
    """The launcher, and the port by which it reaches its child."""

    def __init__(self, host: Host) -> None:
        """Prepare; :meth:`begin` starts what the record says."""
        self._host = host
        self.process = Process(host.loop, LAUNCHER)
        self._pythons = OnePython()
        self._executor = Executor(str(host.state), self, self._pythons, -1, lambda _text: None)
        self._lines = Lines()
        self._tick: asyncio.TimerHandle | None = None
        self.child: Life | None = None
        self.state: State

    def begin(self) -> None:
        """Do what the launcher's main program does first."""
        try:
            record = load(str(self._host.state), self._pythons).record
        except LauncherError as error:
            self._host.break_with(f"a launcher that starts now has nothing to start: {error}")
            return
        self._apply(*begin(record, BOOT, Limits(), self._moment()))

    def hear(self, child: Life, data: bytes) -> None:
        """Take what a child wrote; an earlier one's pipe is gone with it."""
        if child is not self.child:
            return
        for line in self._lines.feed(data):
            message = parse(line)
            self._host.points.reach("receive", message["type"])
            event = to_event(message)
            if isinstance(event, Arm):
                event = event._replace(obstacle=self._executor.obstacle(event.slot))
            if event is not None:
                self._step(event)

    def bury(self, child: Life, how: str, *, refuses: bool) -> None:
        """Take note that the child is gone."""
        if child is self.child:
            self.child = None
            self._host.points.reach("receive", "the child's end")
            self._step(ChildExited(how, host_refuses=refuses))

    def start(self, command: list[str], lock_handle: int) -> None:
        slot = Path(command[4]).parent
        self._host.points.reach("spawn", slot.name)
        self._lines = Lines()
        self.child = self._host.spawn(slot)

    def send(self, data: bytes) -> None:
        if self.child is not None:
            kind = parse(data.strip())["type"]
            self._host.points.reach("send", kind)
            if kind == "committed":
                self._host.watch.keep(self._host.boot_record())
            self.child.pipe_in(data)

    def terminate(self) -> None:
        if self.child is not None:
            self._host.points.reach("kill", "SIGTERM")
            self.child.take_signal(signal.SIGTERM)

    def kill(self) -> None:
        if self.child is not None:
            self._host.points.reach("kill", "SIGKILL")
            self._host.end_agent(self.child, "signal SIGKILL")

    def ended(self) -> bool:
        return self.child is None

    def gone(self, *, give_up: bool) -> int | None:
        return 0 if self.child is None else None

    def _step(self, event: Event) -> None:
        self._apply(*step(self.state, event, self._moment()))

    def _apply(self, state: State, actions: Actions) -> None:
        """Do ``actions`` and whatever their failures ask for, as the launcher's loop does."""
        self.state = state
        event = self._executor.do(actions)
        while event is not None:
            self.state, actions = step(self.state, event, self._moment())
            event = self._executor.do(actions)
        if self._tick is not None:
            self._tick.cancel()
        deadline = next_deadline(self.state)
        self._tick = None if deadline is None else self.process.later(self._host.instant(deadline), self._on_tick)

    def _on_tick(self) -> None:
        self._tick = None
        self._step(Tick())

    def _moment(self) -> Moment:
        return Moment(self._host.clock.monotonic(), random.random())
