"""The launcher's loop: wait for one thing, step, act. One thread, one child, no sleep."""

import random
import selectors
import time
from typing import Callable, Optional

from fleetroll_agent.launcher.beginning import begin
from fleetroll_agent.launcher.core import step
from fleetroll_agent.launcher.errors import PipeError
from fleetroll_agent.launcher.events import Actions, Arm, ChildExited, Event, Moment, Stop, Tick
from fleetroll_agent.launcher.executor import Executor
from fleetroll_agent.launcher.limits import Limits
from fleetroll_agent.launcher.output import Output
from fleetroll_agent.launcher.pipe import HOST_REFUSES_EXIT, WRONG_NAME_EXIT, Lines, parse, to_event
from fleetroll_agent.launcher.posix import PosixFamily, how_it_ended
from fleetroll_agent.launcher.signals import Signals
from fleetroll_agent.launcher.state import Phase, State
from fleetroll_agent.launcher.telling import Teller
from fleetroll_agent.launcher.timers import next_deadline
from fleetroll_agent.launcher.values import Record

_TREE_CHECK_SECONDS = 0.02
"""Between two looks at a tree that is being ended; it takes milliseconds."""


class Loop:
    """Runs one launcher to its end."""

    def __init__(
        self,
        record: Record,
        boot_id: str,
        limits: Limits,
        executor: Executor,
        family: PosixFamily,
        output: Output,
        teller: Teller,
        note: Callable[[str], None],
    ) -> None:
        """Join the parts; nothing is started."""
        self._executor = executor
        self._family = family
        self._output = output
        self._teller = teller
        self._note = note
        self._lines = Lines()
        self._selector = selectors.DefaultSelector()
        self._watched = (-1, -1, -1)
        self._ended_at: Optional[float] = None
        self._begin = (record, boot_id, limits)
        self.state: Optional[State] = None

    def run(self, signals: Signals) -> None:
        """Start what the record says and go on until asked to stop."""
        self._selector.register(signals.handle, selectors.EVENT_READ)
        state, actions = begin(self._begin[0], self._begin[1], self._begin[2], self._moment())
        state = self._apply(state, actions)
        while state.phase is not Phase.DONE:
            state = self._turn(state, signals)
        self._selector.close()

    def _turn(self, state: State, signals: Signals) -> State:
        """Wait, then look at everything once: a stop first, messages before the exit that they preceded."""
        self._selector.select(self._patience(state))
        if signals.stop_asked():
            state = self._step(state, Stop())
        state = self._hear(state)
        self._family.flush()
        self._family.tidy()
        if self._family.ended():
            # A service manager stops launcher and child at once: its word to us comes before the child's end.
            if signals.stop_asked():
                state = self._step(state, Stop())
            state = self._bury(state)
        deadline = next_deadline(state)
        if deadline is not None and time.monotonic() >= deadline:
            state = self._step(state, Tick())
        self._teller.look(state)
        self._watch()
        return state

    def _patience(self, state: State) -> float:
        if self._family.ended():
            return _TREE_CHECK_SECONDS
        deadline = next_deadline(state)
        if deadline is None:
            return self._teller.patience
        return min(max(deadline - time.monotonic(), 0.0), self._teller.patience)

    def _step(self, state: State, event: Event) -> State:
        state, actions = step(state, event, self._moment())
        return self._apply(state, actions)

    def _apply(self, state: State, actions: Actions) -> State:
        """Do ``actions`` and whatever their failures ask for; returns when nothing is left to do."""
        event = self._executor.do(actions)
        self._watch()
        while event is not None:
            state, actions = step(state, event, self._moment())
            event = self._executor.do(actions)
            self._watch()
        self._teller.tell(state, self._family.pid)
        return state

    def _moment(self) -> Moment:
        return Moment(time.monotonic(), random.random(), self._output.tail())  # noqa: S311 (spreads restarts)

    def _hear(self, state: State) -> State:
        """Read what the child wrote: once per turn, so that a flood of messages can't hide a deadline."""
        self._output.add(self._family.read_output())
        return self._take(state, self._family.read_messages())

    def _take(self, state: State, data: bytes) -> State:
        for line in self._lines.feed(data):
            event = self._event(line)
            if event is not None:
                state = self._step(state, event)
        return state

    def _event(self, line: bytes) -> Optional[Event]:
        try:
            event = to_event(parse(line))
        except PipeError as error:
            self._note(str(error))
            return None
        if isinstance(event, Arm):
            return event._replace(obstacle=self._executor.obstacle(event.slot))
        return event

    def _bury(self, state: State) -> State:
        """Tell the core that the child is gone, once its last words were heard and nothing of its tree lives."""
        state = self._drain(state)
        now = time.monotonic()
        self._ended_at = now if self._ended_at is None else self._ended_at
        code = self._family.gone(give_up=now - self._ended_at > state.limits.grace)
        if code is None:
            return state
        self._ended_at = None
        self._watch()
        how = how_it_ended(code)
        self._note("the agent ended: {}".format(how))
        whose = {"host_refuses": code == HOST_REFUSES_EXIT, "wrong_name": code == WRONG_NAME_EXIT}
        return self._step(state, ChildExited(how, **whose))

    def _drain(self, state: State) -> State:
        while True:
            output = self._family.read_output()
            self._output.add(output)
            messages = self._family.read_messages()
            state = self._take(state, messages)
            if not output and not messages:
                return state

    def _watch(self) -> None:
        """Keep the selector in step with the child's descriptors."""
        family = self._family
        outgoing = family.outgoing if family.waiting else -1
        wanted = (family.messages, family.output, outgoing)
        if wanted == self._watched:
            return
        if wanted[0] != self._watched[0] and wanted[0] >= 0:
            self._lines = Lines()
            self._output.start()
        for handle in self._watched:
            if handle >= 0:
                self._selector.unregister(handle)
        for handle in wanted:
            if handle >= 0:
                self._selector.register(handle, selectors.EVENT_WRITE if handle == outgoing else selectors.EVENT_READ)
        self._watched = wanted
