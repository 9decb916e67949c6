"""What is asked for beside the watch: older events, the attempts of a host, papers. It is never what ends the watch.

What is due in the view is asked for once the fleet stands; what failed is asked for again at the next visit of any
view, and when the line is back. An error is said in one sentence, a defect too.

Papers, see :mod:`fleetroll_tui.model.papers`, are asked for again while they are looked at, and where they may be about
every view; the views themselves say how old these are, and why there are none.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual.worker import WorkerState

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError
from fleetroll_tui import commands
from fleetroll_tui.model.history import WHOLE
from fleetroll_tui.model.readings import Failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from textual.worker import Worker

    from fleetroll_tui.app import ConsoleApp
    from fleetroll_tui.model.history import Scope

READS = "reads"
"""The group of the workers that read lists."""
EVENTS, ATTEMPTS = "Older events", "Attempts"
EVERYWHERE = ("signing", "recovery")
"""Papers that may concern every view."""
PAPERS = {
    commands.RELEASES: ("catalogue",),
    commands.RELEASE: ("catalogue", "in_use"),
    commands.SERVER: ("server_info", "anchors"),
}
"""What else is looked at where."""
NO_USE = frozenset({Code.UNIMPLEMENTED, Code.PERMISSION_DENIED, Code.UNAUTHENTICATED})
"""What is refused so is refused the next time as well."""


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
        readings = self._console.session.papers.readings()
        for name in self._papers_here():
            readings[name].forgive()
        self.ask_due()

    def ask_due(self) -> None:
        """Ask for what the view lacks, as soon as the fleet stands."""
        stands = self._console.session.link.whole
        if stands and not self._stood:
            self._failed.clear()
        self._stood = stands
        if not stands:
            return
        self.ask_papers()
        history = self._console.session.fleet.history
        for scope in self._scopes():
            if history.due(scope):
                self._ask_for(f"{EVENTS} {scope}", EVENTS, self._events_of(scope))
        here = self._console.history.here
        host = self._console.session.fleet.hosts.get(here.key) if here.kind == commands.HOST else None
        stands_so = self._console.session.attempts_due(host) if host is not None else ""
        if host is not None and stands_so:
            self._ask_for(f"{ATTEMPTS} {host.id} {stands_so}", ATTEMPTS, self._attempts_of(host.id, stands_so))

    def ask_papers(self) -> None:
        """Ask for the papers that are due."""
        session = self._console.session
        if not session.link.whole:
            return
        self._look_at_product()
        readings = session.papers.readings()
        for name in dict.fromkeys((*self._papers_here(), *EVERYWHERE)):
            key = f"paper {name}"
            if key not in self._under_way and readings[name].due(session.ticks()):
                self._under_way.add(key)
                readings[name].asked(session.ticks())
                read = self._paper(name, key)
                self._console.run_worker(read, name=name.capitalize(), group=READS, exit_on_error=False)

    def _papers_here(self) -> tuple[str, ...]:
        here = PAPERS.get(self._console.history.here.kind, ())
        known = [name for name in here if name != "in_use" or self._console.session.papers.product]
        return (*known, *EVERYWHERE) if known else ()

    def _look_at_product(self) -> None:
        here, papers = self._console.history.here, self._console.session.papers
        release = papers.releases.get(here.key) if here.kind == commands.RELEASE else None
        if release is not None:
            papers.look_at(release.product)

    def _readers(self) -> dict[str, Callable[[], Awaitable[object]]]:
        server = self._console.server
        product = self._console.session.papers.product
        return {
            "anchors": server.anchors,
            "catalogue": server.catalogue,
            "in_use": lambda: server.in_use(product),
            "recovery": server.recovery,
            "signing": server.signing,
            "server_info": server.server_info,
        }

    async def _paper(self, name: str, key: str) -> None:
        session = self._console.session
        at, reading = session.ticks(), session.papers.readings()[name]
        try:
            session.take_paper(reading, await self._readers()[name](), at)
        except FleetrollError as error:
            failure = Failure(f"{error.code}", error.message, error.remedy, final=error.code in NO_USE)
            reading.failed(failure, session.ticks())
        except Exception as error:
            reading.failed(Failure("INTERNAL", f"a defect: {defect_place(error)}", final=True), session.ticks())
            raise
        finally:
            self._under_way.discard(key)

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
