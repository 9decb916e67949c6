"""What the hands of one product reach beyond this host's disk: the desk, the session, the launcher."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent import convert
from fleetroll_agent.jobs.values import PRODUCT

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_agent.jobs.desk import Desk
    from fleetroll_agent.jobs.effects import AskGo
    from fleetroll_agent.jobs.events import Event
    from fleetroll_agent.jobs.state import State
    from fleetroll_agent.jobs.values import Attempt
    from fleetroll_agent.launcher.pipe import Message
    from fleetroll_agent.session.link import Link


class Outside:
    """One product's way out."""

    def __init__(
        self,
        product: str,
        desk: Desk,
        link: Link,
        launcher: Callable[[Message], None],
        leave: Callable[[str], None],
        before: Callable[[str], str],
        printed: Callable[[str, Attempt, str], None],
    ) -> None:
        """Speak for ``product``.

        Args:
            product: its name.
            desk: of all products.
            link: to the server.
            launcher: takes messages for it.
            leave: begins to leave.
            before: says what goes first on this host, in words.
            printed: is told what a command of an attempt printed.
        """
        self._product = product
        self._desk = desk
        self._link = link
        self._launcher = launcher
        self._leave = leave
        self._before = before
        self._printed = printed

    @property
    def state(self) -> State:
        """The product's durable state."""
        return self._desk.state(self._product)

    def post(self, event: Event) -> None:
        """Bring an event to the product's rules, in order; returns at once."""
        self._desk.post(self._product, event)

    def ask_go(self, ask: AskGo) -> None:
        """Send RequestGo; a session that is over takes none."""
        self._link.send(ask.session, convert.request_go(ask, self._product))

    def live_line(self, attempt: Attempt, line: str) -> None:
        """Pass a line of output on to whoever watches; may be lost."""
        self._link.live_line(self._product, attempt.generation, line)
        self._printed(self._product, attempt, line)

    def must_wait(self) -> str:
        """Say which other work of this host goes first; empty = none."""
        return self._before(self._product)

    def trial(self) -> str:
        """Say that the agent itself is on trial; empty = it is not."""
        return self._before(PRODUCT)

    def launcher(self, message: Message) -> None:
        """Send a message to the launcher."""
        self._launcher(message)

    def leave(self, reason: str) -> None:
        """Begin to leave so that the launcher starts what its record says."""
        self._leave(reason)
