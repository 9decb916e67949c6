"""Does what the rules ask for: each effect becomes a message, a task, or a lock. Answers come back as events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import structlog

from fleetroll_agent.jobs import effects, events
from fleetroll_agent.jobs.runner import NOBODY, Ends, Runner
from fleetroll_agent.jobs.state import boot_record
from fleetroll_agent.launcher import pipe
from fleetroll_agent.launcher.values import Attempt, Authority, Origin, SlotRef
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_agent.jobs.agent_update import AgentUpdate
    from fleetroll_agent.jobs.artefacts import Line
    from fleetroll_agent.jobs.lock import JobLock
    from fleetroll_agent.jobs.state import State

log = structlog.get_logger(__name__)

DEFECT = "the agent met a defect of its own; its log says which"


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
    """Does what the rules of the agent itself want."""

    def __init__(self, outside: Outside, line: Line, update: AgentUpdate, lock: JobLock, live_slot: str) -> None:
        """Keep the parts; ``live_slot`` is the name of this process's own slot."""
        self._outside = outside
        self._line = line
        self._update = update
        self._lock = lock
        self._live_slot = live_slot
        self._runner = Runner(outside.post)

    def do(self, wanted: effects.Effects) -> None:
        """Do what is wanted in its order; nothing here waits."""
        for effect in wanted:
            log.debug("effect", kind=type(effect).__name__)
            _DO[type(effect)](self, effect)

    async def stop(self) -> None:
        """End every job and wait until the last one has let go."""
        await self._runner.stop()
        self._lock.release()

    def find(self, effect: effects.FindTarget) -> None:
        """Start looking the target up."""
        self._runner.start(effect.job, _ends(effect), lambda: self._update.find(effect, self._line))

    def fill(self, effect: effects.FillSlot) -> None:
        """Start filling the slot."""
        self._runner.start(effect.job, _ends(effect), lambda: self._update.fill(effect, self._line))

    def self_test(self, effect: effects.RunSelfTest) -> None:
        """Start the self-test, with the Python that the launcher would use."""
        python = boot_record(self._outside.state).current.python
        self._runner.start(effect.job, _ends(effect), lambda: self._update.self_test(effect, python))

    def cancel(self, effect: effects.CancelJob) -> None:
        """End a job; one that has ended is no matter."""
        self._runner.cancel(effect.job)

    def ask_go(self, effect: effects.AskGo) -> None:
        """Take the lock, then ask."""
        if self._lock.take():
            self._outside.ask_go(effect)
        else:
            self._outside.post(events.LockBusy(effect.ask))

    def ask_lock(self, effect: effects.AskLock) -> None:
        """Take the lock for a person's attempt."""
        taken = self._lock.take()
        self._outside.post(events.LockGiven(effect.ask) if taken else events.LockBusy(effect.ask))

    def release(self, _effect: effects.ReleaseLock) -> None:
        """Give the lock back."""
        self._lock.release()

    def arm(self, effect: effects.Arm) -> None:
        """Ask the launcher for the trial."""
        try:
            slot = self._update.slot(effect.version, effect.sha256)
        except FleetrollError as error:
            self._outside.post(events.ArmDropped(effect.generation, error.code, effect.local))
            return
        python = boot_record(self._outside.state).current.python
        reference = SlotRef(slot.path.name, effect.version, effect.sha256, python, slot.interpreter_abi)
        asked = (effect.soak_seconds, max(effect.soak_seconds, effect.lease_seconds), effect.retry_bad)
        authority = Authority.LOCAL if effect.by_host else Authority.SERVER
        self._outside.launcher(pipe.arm(_attempt(effect.generation, effect.local), reference, authority, *asked))

    def promote(self, effect: effects.PassPromote) -> None:
        """Pass the Promote on."""
        self._outside.launcher(pipe.promote(_attempt(effect.generation, effect.local), effect.sha256))

    def recall(self, effect: effects.PassRecall) -> None:
        """Ask for the way back."""
        self._outside.launcher(pipe.recall(_attempt(effect.generation, effect.local)))

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
        self._runner.start(NOBODY, Ends(), self._tidy)

    async def _tidy(self) -> None:
        state = self._outside.state
        attempt = state.record.attempt
        wanted = None if attempt is None or not attempt.sha256 else (attempt.version, attempt.sha256)
        await self._update.tidy(boot_record(state), self._live_slot, wanted)


def _ends(effect: effects.FindTarget | effects.FillSlot | effects.RunSelfTest) -> Ends:
    """Return what it means when the work of ``effect`` is cut off, or meets a defect."""
    if isinstance(effect, effects.RunSelfTest):
        return Ends(defect=events.SelfTested(effect.job, Code.INTERNAL, DEFECT))
    return staging_ends(effect.job)


def staging_ends(job: int) -> Ends:
    """Return what it means when finding, fetching or unpacking is cut off, or meets a defect."""
    return Ends(
        cut=events.StagingFailed(job, Code.DOWNLOAD_FAILED, "the session ended", transient=True),
        defect=events.StagingFailed(job, Code.INTERNAL, DEFECT),
    )


def _attempt(generation: int, local: int = 0) -> Attempt:
    return Attempt(Origin.LOCAL, local) if local else Attempt(Origin.SERVER, generation)


_DO: dict[type, Callable[[Hands, Any], None]] = {
    effects.FindTarget: Hands.find,
    effects.FillSlot: Hands.fill,
    effects.CancelJob: Hands.cancel,
    effects.AskGo: Hands.ask_go,
    effects.AskLock: Hands.ask_lock,
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
