"""Does what the rules ask for: each effect becomes a message, a task, or a lock. Answers come back as events."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from fleetroll_agent.jobs import effects, events
from fleetroll_agent.jobs.state import boot_record
from fleetroll_agent.launcher import pipe
from fleetroll_agent.launcher.values import Attempt, Authority, Origin, SlotRef
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from fleetroll_agent.jobs.agent_update import AgentUpdate, Line
    from fleetroll_agent.jobs.lock import JobLock
    from fleetroll_agent.jobs.state import State

log = structlog.get_logger(__name__)

_TIDY = 0
"""Number of the job that no attempt waits for."""


class Outside(Protocol):
    """What effects reach beyond this host's disk."""

    @property
    def state(self) -> State:
        """The durable state."""

    def post(self, event: events.Event) -> None:
        """Bring an event to the rules, in order; returns at once."""

    def ask_go(self, ask: effects.AskGo) -> None:
        """Send RequestGo; a session that is over takes none."""

    def launcher(self, message: pipe.Message) -> None:
        """Send a message to the launcher."""

    def leave(self, reason: str) -> None:
        """Begin to leave so that the launcher starts what its record says."""


class Hands:
    """One per process. Jobs run one after the other: a cancelled one has let go of the disk before the next begins."""

    def __init__(self, outside: Outside, line: Line, update: AgentUpdate, lock: JobLock, live_slot: str) -> None:
        """Keep the parts; ``live_slot`` is the name of this process's own slot."""
        self._outside = outside
        self._line = line
        self._update = update
        self._lock = lock
        self._live_slot = live_slot
        self._jobs: dict[int, asyncio.Task[None]] = {}
        self._newest: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._unwanted: set[int] = set()
        self._stopping = False

    def do(self, wanted: effects.Effects) -> None:
        """Do what is wanted in its order; nothing here waits."""
        for effect in wanted:
            log.debug("effect", kind=type(effect).__name__)
            _DO[type(effect)](self, effect)

    async def stop(self) -> None:
        """End every job and wait until the last one has let go."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._lock.release()

    def find(self, effect: effects.FindTarget) -> None:
        """Start looking the target up."""
        self._start(effect.job, effect, lambda: self._update.find(effect, self._line))

    def fill(self, effect: effects.FillSlot) -> None:
        """Start filling the slot."""
        self._start(effect.job, effect, lambda: self._update.fill(effect, self._line))

    def self_test(self, effect: effects.RunSelfTest) -> None:
        """Start the self-test, with the Python that the launcher would use."""
        python = boot_record(self._outside.state).current.python
        self._start(effect.job, effect, lambda: self._update.self_test(effect, python))

    def cancel(self, effect: effects.CancelJob) -> None:
        """End a job; one that has ended is no matter."""
        task = self._jobs.get(effect.job)
        if task is not None:
            self._unwanted.add(effect.job)
            task.cancel()

    def ask_go(self, effect: effects.AskGo) -> None:
        """Take the lock, then ask."""
        if self._lock.take():
            self._outside.ask_go(effect)
        else:
            self._outside.post(events.LockBusy(effect.ask))

    def release(self, _effect: effects.ReleaseLock) -> None:
        """Give the lock back."""
        self._lock.release()

    def arm(self, effect: effects.Arm) -> None:
        """Ask the launcher for the trial."""
        try:
            slot = self._update.slot(effect.version, effect.sha256)
        except FleetrollError as error:
            self._outside.post(events.ArmDropped(effect.generation, error.code))
            return
        python = boot_record(self._outside.state).current.python
        reference = SlotRef(slot.path.name, effect.version, effect.sha256, python, slot.interpreter_abi)
        asked = (effect.soak_seconds, effect.lease_seconds, effect.retry_bad)
        self._outside.launcher(pipe.arm(_attempt(effect.generation), reference, Authority.SERVER, *asked))

    def promote(self, effect: effects.PassPromote) -> None:
        """Pass the Promote on."""
        self._outside.launcher(pipe.promote(_attempt(effect.generation), effect.sha256))

    def recall(self, effect: effects.PassRecall) -> None:
        """Ask for the way back."""
        self._outside.launcher(pipe.recall(_attempt(effect.generation)))

    def excuse(self, effect: effects.PassExcuse) -> None:
        """Ask for one way back not to be counted."""
        self._outside.launcher(pipe.excuse(_attempt(effect.generation), effect.sha256))

    def extend(self, effect: effects.ExtendLease) -> None:
        """Ask for more time."""
        self._outside.launcher(pipe.extend(effect.seconds))

    def leave(self, effect: effects.Leave) -> None:
        """Begin to leave."""
        self._outside.leave(effect.reason)

    def tidy(self, _effect: effects.Tidy) -> None:
        """Remove what nobody needs, behind whatever job runs now."""
        self._start(_TIDY, None, self._tidy)

    async def _tidy(self) -> None:
        state = self._outside.state
        attempt = state.record.attempt
        wanted = None if attempt is None or not attempt.sha256 else (attempt.version, attempt.sha256)
        await self._update.tidy(boot_record(state), self._live_slot, wanted)

    def _start(
        self, job: int, effect: effects.Effect | None, work: Callable[[], Coroutine[Any, Any, events.Event | None]]
    ) -> None:
        """Run ``work`` when the job before it has ended, however that one ended."""
        task = asyncio.ensure_future(self._run(self._newest, job, effect, work))
        self._newest = task
        self._jobs[job] = task
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._forget(job, done))

    def _forget(self, job: int, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._unwanted.discard(job)
        if self._jobs.get(job) is task:
            del self._jobs[job]

    async def _run(
        self,
        before: asyncio.Task[None] | None,
        job: int,
        effect: effects.Effect | None,
        work: Callable[[], Awaitable[events.Event | None]],
    ) -> None:
        if before is not None and not before.done():
            await asyncio.wait({before})
        try:
            event = await work()
        except asyncio.CancelledError:
            event = _cut(job, effect)
            if self._stopping or job in self._unwanted or event is None:
                raise
        except Exception:
            log.exception("job_failed", job=job)
            event = _defect(job, effect)
        if event is not None:
            self._outside.post(event)


def _cut(job: int, effect: effects.Effect | None) -> events.Event | None:
    """Return what it means when nobody here ended the work: the connection did, and gRPC says so by a cancellation."""
    if isinstance(effect, (effects.FindTarget, effects.FillSlot)):
        return events.StagingFailed(job, Code.DOWNLOAD_FAILED, "the session ended", transient=True)
    return None


def _defect(job: int, effect: effects.Effect | None) -> events.Event | None:
    """Return what a defect of this program means for the attempt: it ends, and what runs goes on running."""
    text = "the agent met a defect of its own; its log says which"
    if isinstance(effect, effects.RunSelfTest):
        return events.SelfTested(job, Code.INTERNAL, text)
    if isinstance(effect, (effects.FindTarget, effects.FillSlot)):
        return events.StagingFailed(job, Code.INTERNAL, text)
    return None


def _attempt(generation: int) -> Attempt:
    return Attempt(Origin.SERVER, generation)


_DO: dict[type, Callable[[Hands, Any], None]] = {
    effects.FindTarget: Hands.find,
    effects.FillSlot: Hands.fill,
    effects.CancelJob: Hands.cancel,
    effects.AskGo: Hands.ask_go,
    effects.ReleaseLock: Hands.release,
    effects.RunSelfTest: Hands.self_test,
    effects.Arm: Hands.arm,
    effects.PassPromote: Hands.promote,
    effects.PassRecall: Hands.recall,
    effects.PassExcuse: Hands.excuse,
    effects.ExtendLease: Hands.extend,
    effects.Leave: Hands.leave,
    effects.Tidy: Hands.tidy,
}
"""A test compares it with ``Effect``."""
