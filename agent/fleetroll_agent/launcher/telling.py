"""What the launcher tells others of its state: the status file, the service manager, and its own place.

The watchdog of the service manager is for a launcher that hangs; of the agent the launcher takes care itself. So it is
fed by the agent's beats, which come through the whole chain, and by a wait without a child that the rules have bounded
and stated, such as ``no_interpreter``: killing the launcher would bring no interpreter back.
"""

import time
from typing import Callable, Dict

from fleetroll_agent.launcher import own
from fleetroll_agent.launcher.notify import Notifier
from fleetroll_agent.launcher.state import After, Phase, State
from fleetroll_agent.launcher.status import StatusFile, describe

_SLACK_SECONDS = 5.0
"""By which a busy machine may miss the end of a wait."""
_EXTENSION_USEC = "180000000"
"""The service manager's own limit for a start (180 s), from now: see the unit's TimeoutStartSec."""
_PATIENCE_SECONDS = 10.0
"""Between two looks where no service manager names another time."""


def feeds(state: State, at: float) -> bool:
    """Tell whether the launcher may say that it lives: beats come, or the rules have bounded a wait without a child."""
    if state.phase is Phase.RUNNING:
        return at - state.beat_at < state.limits.hang
    return state.phase is Phase.WAITING and at <= state.restart_at + _SLACK_SECONDS


def leaving(state: State) -> bool:
    """Tell whether the launcher is on its way out."""
    return state.phase is Phase.DONE or (state.phase is Phase.ENDING and state.after is After.EXIT)


class Teller:
    """Tells what changed. Never raises."""

    def __init__(
        self,
        status: StatusFile,
        notifier: Notifier,
        program: own.Own,
        note: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Join the parts; nothing is told yet."""
        self._status = status
        self._notifier = notifier
        self._program = program
        self._note = note
        self._clock = clock
        self._ready = False
        self._stopping = False
        self._extended = 0.0
        self._fed_at = float("-inf")
        self._shown = ""
        self._proved = not own.on_trial(program)

    @property
    def patience(self) -> float:
        """Return after how many seconds at the latest :meth:`look` is wanted again."""
        return self._notifier.interval or _PATIENCE_SECONDS

    def tell(self, state: State, child_pid: int) -> None:
        """Write the status after a step, and say what it means for the service."""
        told = describe(state, child_pid, self._program.name)
        self._status.write(told)
        words: Dict[str, str] = {}
        shown = "{} {} {}".format(told["status"], told["version"], told["detail"]).strip()
        if shown != self._shown:
            words["STATUS"] = self._shown = shown
        if state.phase is Phase.RUNNING and not self._ready:
            self._ready = True
            words["READY"] = "1"
        if leaving(state) and not self._stopping:
            self._stopping = True
            words["STOPPING"] = "1"
        if leaving(state) and state.kill_at > max(self._extended, self._clock() + state.limits.grace):
            self._extended = state.kill_at
            left = state.kill_at - self._clock() + 2 * state.limits.grace
            words["EXTEND_TIMEOUT_USEC"] = str(int(left * 1e6))
        if words:
            self._notifier.send(**words)
        self.look(state)

    def look(self, state: State) -> None:
        """Feed the watchdog when that is due and deserved."""
        at = self._clock()
        if not feeds(state, at) or at - self._fed_at < self.patience:
            return
        self._fed_at = at
        if self._notifier.interval:
            self._notifier.send(WATCHDOG="1")
        if not self._ready:
            self._notifier.send(EXTEND_TIMEOUT_USEC=_EXTENSION_USEC)
        if state.phase is Phase.RUNNING and not self._proved:
            self._proved = own.keep(self._program)
            if self._proved:
                self._note("the launcher {} is kept".format(self._program.name))
