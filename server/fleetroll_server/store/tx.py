"""What a job is given: one transaction, and what may only happen after it is durable."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import CursorResult, Executable
    from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class EventFact:
    """One fact for watchers: the columns of the event table that a job knows. Sequence and time come at the commit."""

    fleet_id: str
    kind: str
    actor_kind: str
    actor_id: str
    reason: str = ""
    code: str = ""
    rollout_id: str = ""
    agent_id: str = ""
    attempt_id: str = ""
    attempt_state: str = ""
    message: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


class Tx:
    """A job's view of the open transaction.

    A job MUST have no effect but through this object: it runs again when two servers collided, and what it emitted
    before is forgotten then.
    """

    __slots__ = ("_actions", "_events", "connection", "now")

    def __init__(self, connection: AsyncConnection, now: datetime) -> None:
        """Begin with nothing emitted."""
        self.connection = connection
        self.now = now
        self._events: list[EventFact] = []
        self._actions: list[Callable[[], object]] = []

    async def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[Any]:
        """Run a statement; with a sequence of parameters, once for each."""
        return await self.connection.execute(statement, parameters)

    def emit(self, event: EventFact) -> None:
        """Record a fact; it gets its sequence as the last thing before the commit."""
        self._events.append(event)

    def after_commit(self, action: Callable[[], object]) -> None:
        """Run ``action`` once the transaction is durable, in the order of these calls; never when it is not.

        Pushes to agents and watchers belong here. An action must not block; its error is logged and stops nobody.
        """
        self._actions.append(action)

    @property
    def events(self) -> Sequence[EventFact]:
        """Return what was emitted."""
        return self._events

    @property
    def actions(self) -> Sequence[Callable[[], object]]:
        """Return what waits for the commit."""
        return self._actions
