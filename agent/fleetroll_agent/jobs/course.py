"""What differs between the kinds of products: everything behind Go, and what stands in the way before it.

The rules of :mod:`.machine` are the same for all: assignments, staging, the permit. A course says how the permit is
used, how a product goes back, and how long that takes. It is a value without state of its own: what it knows is in the
:class:`~fleetroll_agent.jobs.state.State` that it is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fleetroll_agent.jobs.effects import Effects
    from fleetroll_agent.jobs.events import TargetFound
    from fleetroll_agent.jobs.state import Result, State
    from fleetroll_agent.jobs.values import Attempt, Moment, Said
    from fleetroll_common.values.codes import Code

    Handler = Callable[[State, Any, Moment], Result]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why this host does not take what it was offered: how the attempt ends, by which code, in words."""

    said: Said
    code: Code
    message: str


class Course(Protocol):
    """How one product is applied. Every method is pure."""

    @property
    def handlers(self) -> Mapping[type, Handler]:
        """Return the handlers of the events that only this kind of product gets."""

    def resume(self, state: State, moment: Moment) -> Result:
        """Find out, at the start of a process, where an attempt past Go stands, and go on with it."""

    def refusal(self, state: State, found: TargetFound) -> Refusal | None:
        """Return why what the signed metadata lists is not taken here; None when it is."""

    def failed_before(self, state: State, sha256: str) -> str:
        """Say how a digest failed on this host; empty when it did not."""

    def excuses(self, state: State) -> Effects:
        """Return what must be done about earlier ways back before the digest is judged."""

    def use_go(self, state: State, moment: Moment) -> Result:
        """Enter APPLYING: the permit was checked, and is used by this very write."""

    def is_switched(self, attempt: Attempt) -> bool:
        """Tell whether the switch of the attempt was begun: from then on only a recall takes it back."""

    def way_back(self, state: State, moment: Moment) -> Result:
        """Go back where the switch was begun, as soon as that is safe: a recall was written down."""

    def must_end(self, state: State) -> bool:
        """Tell whether something runs that no later process could begin again: a process that leaves waits for it."""

    def leave(self, state: State) -> State:
        """Write down what the end of this process means for a step that runs: nobody crashed."""

    def due(self, state: State, moment: Moment) -> Result:
        """Do what is due by the clock."""

    def next_due(self, state: State) -> float | None:
        """Return the boot second at which :meth:`due` has something to do; None while only events matter."""

    def time_left(self, state: State, moment: Moment) -> float | None:
        """Return how many seconds from now an attempt past Go allows itself; None = the server's default."""
