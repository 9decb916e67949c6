"""Does what the rules of one managed product want: each effect becomes a job, a message, or a lock."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from fleetroll_agent.hooks.locks import is_free
from fleetroll_agent.hooks.orphans import end_child
from fleetroll_agent.jobs import effects, events
from fleetroll_agent.jobs.hands import DEFECT, staging_ends
from fleetroll_agent.jobs.runner import NOBODY, Ends, Runner
from fleetroll_agent.jobs.threads import in_thread
from fleetroll_agent.products.stepping import lock_job
from fleetroll_agent.waiting import within
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_agent.jobs.artefacts import Line
    from fleetroll_agent.jobs.lock import JobLock
    from fleetroll_agent.jobs.state import State
    from fleetroll_agent.jobs.values import Attempt, ProductRecord
    from fleetroll_agent.jobs.work import Child
    from fleetroll_agent.products.doing import Doer
    from fleetroll_agent.settings.product import Product

    class ProductStaging(Protocol):
        """The way from a version's name to what can be applied."""

        async def find(self, effect: effects.FindTarget, line: Line, record: ProductRecord) -> events.Event:
            """Look the version up; TargetFound or StagingFailed."""

        async def fill(self, effect: effects.FillSlot, line: Line) -> events.Event:
            """Fetch and verify; SlotReady or StagingFailed."""

        def tidy(self, record: ProductRecord) -> None:
            """Remove what nobody needs. Blocks."""

    class ProductOutside(Protocol):
        """What a product's effects reach beyond this host's disk."""

        @property
        def state(self) -> State:
            """The durable state."""

        def post(self, event: events.Event) -> None:
            """Bring an event to the rules, in order; returns at once."""

        def ask_go(self, ask: effects.AskGo) -> None:
            """Send RequestGo; a session that is over takes none."""

        def must_wait(self) -> str:
            """Say which other work of this host goes first; empty = none."""

        def trial(self) -> str:
            """Say that the agent itself is on trial; empty = it is not."""

        def live_line(self, attempt: Attempt, line: str) -> None:
            """Pass a line of output on to whoever watches; may be lost."""


log = structlog.get_logger(__name__)

GATE_SECONDS = 10.0
"""To the writing down of the lock's process: an ask may be void by then, and it must not wait for ever."""


class ProductHands:
    """One managed product."""

    def __init__(
        self, outside: ProductOutside, line: Line, product: Product, staging: ProductStaging, doer: Doer, lock: JobLock
    ) -> None:
        """Keep the parts."""
        self._outside = outside
        self._line = line
        self._product = product
        self._staging = staging
        self._doer = doer
        self._lock = lock
        self._runner = Runner(outside.post)
        self._gates: dict[int, asyncio.Event] = {}

    def do(self, wanted: effects.Effects) -> None:
        """Do what is wanted in its order; nothing here waits."""
        for effect in wanted:
            log.debug("effect", kind=type(effect).__name__, product=self._product.name)
            _DO[type(effect)](self, effect)

    async def stop(self) -> None:
        """End every job, and what it runs, and wait until the last one has let go."""
        await self._runner.stop()
        self._lock.release(self._product.name)

    def find(self, effect: effects.FindTarget) -> None:
        """Start looking the target up."""
        record = self._outside.state.record
        self._runner.start(effect.job, staging_ends(effect.job), lambda: self._staging.find(effect, self._line, record))

    def fill(self, effect: effects.FillSlot) -> None:
        """Start filling the slot."""
        self._runner.start(effect.job, staging_ends(effect.job), lambda: self._staging.fill(effect, self._line))

    def cancel(self, effect: effects.CancelJob) -> None:
        """End a job, and what it runs."""
        self._runner.cancel(effect.job)

    def ask_go(self, effect: effects.AskGo) -> None:
        """Take the lock, ask the host's own lock, then ask the server."""
        self._when_free(effect, lambda: self._outside.ask_go(effect))

    def ask_lock(self, effect: effects.AskLock) -> None:
        """Take the lock for a local attempt; a person is not put off by the host's own lock."""
        if effect.by_host:
            self._when_free(effect, lambda: self._outside.post(events.LockGiven(effect.ask)))
            return
        trial = self._outside.trial()
        if trial or not self._lock.take(self._product.name):
            self._outside.post(events.LockBusy(effect.ask, trial))
        else:
            self._outside.post(events.LockGiven(effect.ask))

    def release(self, _effect: effects.ReleaseLock) -> None:
        """Give the lock back."""
        self._lock.release(self._product.name)

    def hold_lock(self, _effect: effects.HoldLock) -> None:
        """Hold the lock for an attempt that an earlier process left past Go."""
        if not self._lock.take(self._product.name):
            log.error("job_lock_is_taken", product=self._product.name)

    def run_step(self, effect: effects.RunStep) -> None:
        """Start a step."""
        defect = events.StepEnded(effect.job, Code.INTERNAL, DEFECT, by_itself=False)
        self._runner.start(effect.job, Ends(defect=defect), lambda: self._step(effect))

    def open_gate(self, effect: effects.OpenGate) -> None:
        """Let the process of a step run."""
        gate = self._gates.get(effect.job)
        if gate is not None:
            gate.set()

    def probe(self, effect: effects.Probe) -> None:
        """Start a look at the health."""
        defect = events.Probed(effect.job, healthy=False, message=DEFECT)
        self._runner.start(effect.job, Ends(defect=defect), lambda: self._probe(effect))

    def end_child(self, effect: effects.EndChild) -> None:
        """Start ending what an earlier process of this agent left."""
        defect = events.ChildGone(effect.job, gone=False)
        self._runner.start(effect.job, Ends(defect=defect), lambda: self._end_child(effect))

    def tidy(self, _effect: effects.Tidy) -> None:
        """Remove what nobody needs, behind whatever job runs now."""
        self._runner.start(NOBODY, Ends(), self._tidy)

    async def _step(self, effect: effects.RunStep) -> events.Event:
        try:
            return await self._doer.step(effect, partial(self._started, effect.job), self._outside.live_line)
        finally:
            self._gates.pop(effect.job, None)

    async def _probe(self, effect: effects.Probe) -> events.Event:
        try:
            return await self._doer.probe(effect, partial(self._started, effect.job))
        finally:
            self._gates.pop(effect.job, None)

    async def _started(self, job: int, child: Child) -> None:
        """Return when the process of a job is written down: it waits behind a gate of its own until then."""
        gate = self._gates[job] = asyncio.Event()
        self._outside.post(events.StepStarted(job, child))
        await gate.wait()

    async def _lock_started(self, job: int, child: Child) -> None:
        """Return when the lock's process is written down; an ask that is void meanwhile is written down by nobody.

        Raises:
            AgentError: LOCKED: it was not written down in time.
        """
        try:
            await within(GATE_SECONDS, self._started(job, child))
        except asyncio.TimeoutError as error:
            text = f"it was not written down within {GATE_SECONDS:g} s"
            raise AgentError(text, code=Code.LOCKED, remedy="the agent asks it again") from error
        finally:
            self._gates.pop(job, None)

    def _when_free(self, effect: effects.AskGo | effects.AskLock, then: Callable[[], None]) -> None:
        """Do what follows when nothing goes first, the lock is this product's, and the host's own lock is open."""
        first = self._outside.must_wait()
        if first:
            self._outside.post(events.LockBusy(effect.ask, first))
        elif not self._lock.take(self._product.name):
            self._outside.post(events.LockBusy(effect.ask))
        elif self._product.lock_command is None:
            then()
        else:
            self._runner.start(NOBODY, Ends(), lambda: self._ask_when_free(effect, then))

    async def _ask_when_free(
        self, effect: effects.AskGo | effects.AskLock, then: Callable[[], None]
    ) -> events.Event | None:
        """Ask the lock's command; an ask that grew old meanwhile is void by its own rule."""
        argv, user = self._product.lock_command or (), self._product.user or ""
        environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}
        started = partial(self._lock_started, lock_job(effect.ask))
        answer = await is_free(argv, environ, Path("/"), user, redact=self._product.redact, started=started)
        if answer.free:
            then()
            return None
        return events.LockBusy(effect.ask, answer.message, counts=True)

    @staticmethod
    async def _end_child(effect: effects.EndChild) -> events.Event:
        return events.ChildGone(effect.job, await end_child(effect.child))

    async def _tidy(self) -> None:
        try:
            await in_thread(partial(self._staging.tidy, self._outside.state.record))
        except AgentError as error:
            log.warning("tidying_failed", product=self._product.name, reason=str(error))


_DO: dict[type, Callable[[ProductHands, Any], None]] = {
    effects.FindTarget: ProductHands.find,
    effects.FillSlot: ProductHands.fill,
    effects.CancelJob: ProductHands.cancel,
    effects.AskGo: ProductHands.ask_go,
    effects.AskLock: ProductHands.ask_lock,
    effects.ReleaseLock: ProductHands.release,
    effects.HoldLock: ProductHands.hold_lock,
    effects.RunStep: ProductHands.run_step,
    effects.OpenGate: ProductHands.open_gate,
    effects.Probe: ProductHands.probe,
    effects.EndChild: ProductHands.end_child,
    effects.Tidy: ProductHands.tidy,
}
"""A test compares it, with the agent's own, with ``Effect``."""
