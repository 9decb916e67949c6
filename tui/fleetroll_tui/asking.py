"""Lists that are asked for beside the watch: older events, and the attempts of a host. They are never what ends it.

What is due in the view is asked for once the fleet stands; what failed is asked for again at the next visit of any
view, and when the line is back. An error is said in one sentence, a defect too.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual.worker import WorkerState

from fleetroll_common.values.errors import FleetrollError
from fleetroll_tui import commands
from fleetroll_tui.model.history import WHOLE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from textual.worker import Worker

    from fleetroll_tui.app import ConsoleApp
    from fleetroll_tui.model.history import Scope

READS = "reads"
"""The group of the workers that read lists."""
EVENTS, ATTEMPTS = "Older events", "Attempts"


def defect_place(error: BaseException | None) -> str:
    """Return the kind of an error that nobody expected, and its place in our code; nothing of what it says."""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    ours = [frame for frame in frames if "fleetroll" in frame.filename]
    place = f" at {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    return f"{type(error).__name__}{place}"


class Asking:
    """The asking part of the app."""

    def __init__(self) -> None:
        """Have asked nothing."""
        super().__init__()
        self._under_way: set[str] = set()
        self._failed: set[str] = set()
        self._stood = False

    @property
    def _console(self) -> ConsoleApp:
        return cast("ConsoleApp", self)

    def ask_anew(self) -> None:
        """Ask for what is due, what failed before too."""
        self._failed.clear()
        self.ask_due()

    def ask_due(self) -> None:
        """Ask for what the view lacks, as soon as the fleet stands."""
        stands = self._console.session.link.whole
        if stands and not self._stood:
            self._failed.clear()
        self._stood = stands
        if not stands:
            return
        history = self._console.session.fleet.history
        for scope in self._scopes():
            if history.due(scope):
                self._ask_for(f"{EVENTS} {scope}", EVENTS, self._events_of(scope))
        here = self._console.history.here
        host = self._console.session.fleet.hosts.get(here.key) if here.kind == commands.HOST else None
        stands_so = self._console.session.attempts_due(host) if host is not None else ""
        if host is not None and stands_so:
            self._ask_for(f"{ATTEMPTS} {host.id} {stands_so}", ATTEMPTS, self._attempts_of(host.id, stands_so))

    def _scopes(self) -> Iterator[Scope]:
        yield WHOLE
        here = self._console.history.here
        if here.kind == commands.ROLLOUT:
            yield (here.key, "")
        elif here.kind == commands.HOST:
            yield ("", here.key)

    def _ask_for(self, key: str, what: str, read: Callable[[], Awaitable[None]]) -> None:
        if key not in self._under_way and key not in self._failed:
            self._under_way.add(key)
            self._console.run_worker(self._asked(key, what, read), name=what, group=READS, exit_on_error=False)

    async def _asked(self, key: str, what: str, read: Callable[[], Awaitable[None]]) -> None:
        had = False
        try:
            await read()
            had = True
        except FleetrollError as error:
            self._console.say_error(f"{what} could not be read", error)
        finally:
            self._under_way.discard(key)
            if not had:
                self._failed.add(key)

    def _events_of(self, scope: Scope) -> Callable[[], Awaitable[None]]:
        async def read() -> None:
            asked_at = self._console.session.fleet.history.resyncs
            older = await self._console.server.older(rollout_id=scope[0], host_id=scope[1])
            self._console.session.take_list(scope, older, asked_at)

        return read

    def _attempts_of(self, host_id: str, stands: str) -> Callable[[], Awaitable[None]]:
        async def read() -> None:
            asked_at = self._console.session.fleet.history.resyncs
            attempts = await self._console.server.attempts(host_id)
            if asked_at == self._console.session.fleet.history.resyncs:
                self._console.session.take_attempts(host_id, stands, attempts)

        return read

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Say that a defect kept a list from being read."""
        if event.worker.group == READS and event.state is WorkerState.ERROR:
            words = f"a defect: {defect_place(event.worker.error)}. Everything else goes on."
            self._console.notify(
                words, title=f"{event.worker.name} could not be read", severity="error", markup=False, timeout=10
            )
