"""The launcher's pure core on a bench: events go in, actions are kept, writes may be made to fail, time is a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_agent.launcher.beginning import begin
from fleetroll_agent.launcher.core import step
from fleetroll_agent.launcher.events import (
    Action,
    Actions,
    Arm,
    Beat,
    ChildExited,
    Event,
    Exit,
    Hello,
    Moment,
    Persist,
    PersistFailed,
    Promote,
    Send,
    Spawn,
    Tick,
)
from fleetroll_agent.launcher.limits import Limits
from fleetroll_agent.launcher.timers import next_deadline
from fleetroll_agent.launcher.values import Attempt, Authority, Origin, Outcome, Record, SlotRef

if TYPE_CHECKING:
    from fleetroll_agent.launcher.state import State

BOOT = "11111111-1111-1111-1111-111111111111"
LIMITS = Limits()
SERVER_1 = Attempt(Origin.SERVER, 1)


def slot(version: str) -> SlotRef:
    """Return a slot whose digest is its version's last figure, 64 times."""
    return SlotRef(f"{version}-{version[-3]}", version, version[2] * 64, "/usr/bin/python3.11", "cp311")


OLD, NEW = slot("1.0.0"), slot("1.1.0")


def first(seq: int = 1) -> Record:
    """Return the record of a host that runs OLD."""
    return Record(seq=seq, current=OLD, boot_id=BOOT)


class Bench:
    """Steps the core and plays the part of disk and process.

    Attributes:
        disk: the record as it is durable.
        children: how many children live; more than one is an error of the core.
        done: every action that was carried out, in order.
        fail_writes: writes raise.
        ended: the launcher ended.
    """

    def __init__(self, record: Record | None = None, at: float = 1000.0, boot_id: str = BOOT) -> None:
        self.at = at
        self.disk = record or first()
        self.children = 0
        self.running: SlotRef | None = None
        self.done: list[Action] = []
        self.fail_writes = False
        self.ended = False
        self.random01 = 0.0
        self.tail = ""
        self.state: State
        self.start(boot_id)

    def start(self, boot_id: str = BOOT) -> None:
        """Start a launcher on what is on disk; one that ran before was killed, and its child with it."""
        self.children, self.running, self.ended = 0, None, False
        self.state, actions = begin(self.disk, boot_id, LIMITS, self.moment())
        self._do(actions)

    def moment(self) -> Moment:
        return Moment(self.at, self.random01, self.tail)

    def tell(self, *events: Event) -> Bench:
        """Give events at this instant."""
        for event in events:
            if isinstance(event, ChildExited):
                self.children, self.running = 0, None
            self.state, actions = step(self.state, event, self.moment())
            self._do(actions)
        return self

    def wait(self, seconds: float) -> Bench:
        """Let time pass; every deadline on the way gets its Tick."""
        until = self.at + seconds
        for _tick in range(10_000):
            deadline = next_deadline(self.state)
            if deadline is None or deadline > until:
                self.at = until
                return self
            self.at = max(self.at, deadline)
            self.tell(Tick())
        raise AssertionError("ticks do not bring the core on")

    def beats(self, seconds: float, *, healthy: bool = True, every: float = 2.0) -> Bench:
        """Let the child beat for a while, first now."""
        until = self.at + seconds
        while self.at <= until:
            self.tell(Beat(healthy))
            self.wait(every)
        return self

    def arm(self, attempt: Attempt = SERVER_1, **changes: Any) -> Bench:
        """Ask for a trial of NEW: soak 10 s, lease 60 s, authority by origin."""
        request = Arm(attempt, NEW, Authority(attempt.origin.value), 10.0, 60.0, obstacle="")
        return self.tell(request._replace(**changes))

    def trial(self, attempt: Attempt = SERVER_1, **changes: Any) -> Bench:
        """Bring a fresh launcher to the first start of a trial."""
        return self.tell(Beat(healthy=True)).arm(attempt, **changes).tell(ChildExited("exit code 75"))

    def promote(self, attempt: Attempt = SERVER_1, digest: str = NEW.digest) -> Bench:
        return self.tell(Promote(attempt, digest))

    def committed(self) -> Bench:
        """Bring a fresh launcher to a committed NEW."""
        self.trial().tell(Beat(healthy=True), Hello()).promote()
        return self.beats(12.0)

    def sent(self, kind: str) -> list[dict[str, Any]]:
        """Return the messages of one type that were sent."""
        return [action.message for action in self.done if isinstance(action, Send) and action.message["type"] == kind]

    def starts(self, of: SlotRef) -> int:
        return sum(isinstance(action, Spawn) and action.slot.digest == of.digest for action in self.done)

    def kinds(self) -> list[str]:
        """Return the names of the actions since the last call, writes with their purpose, messages with their type."""
        names = [_name(action) for action in self.done]
        self.done.clear()
        return names

    def _do(self, actions: Actions) -> None:
        for action in actions:
            if isinstance(action, Persist) and self.fail_writes:
                self.tell(PersistFailed(action.purpose, "the disk is full"))
                return
            self._one(action)

    def _one(self, action: Action) -> None:
        self.done.append(action)
        if isinstance(action, Persist):
            assert action.record.seq > self.disk.seq
            self.disk = action.record
        elif isinstance(action, Spawn):
            assert self.children == 0, "a second child"
            self.children, self.running = 1, action.slot
        elif isinstance(action, Exit):
            assert self.children == 0, "the launcher left a child behind"
            self.ended = True


def _name(action: Action) -> str:
    if isinstance(action, Persist):
        return f"Persist {action.purpose.value}"
    if isinstance(action, Send):
        return f"Send {action.message['type']}"
    return type(action).__name__


def last(bench: Bench) -> Outcome:
    """Return the latest outcome on disk; there must be one."""
    assert bench.disk.last is not None
    return bench.disk.last


def way_back(bench: Bench) -> tuple[str, str, bool]:
    """Return reason, code and whether it counts, of a trial that ended with OLD running."""
    if bench.children and bench.running != OLD:
        bench.tell(ChildExited("signal SIGTERM"))
    assert bench.running == OLD
    assert bench.disk.trial is None
    assert bench.disk.current == OLD
    outcome = last(bench)
    assert (outcome.attempt, outcome.ended) == (SERVER_1, "rolled_back")
    return outcome.reason.value, outcome.code, outcome.counted
