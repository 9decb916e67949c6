"""The open sessions of this process, one per agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_server.gateway.session import Session, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fleetroll.v1 import agent_stream_pb2 as stream_pb2


class SessionRegistry:
    """Who is connected here. Everything that is pushed to an agent goes through here, after its commit."""

    def __init__(self) -> None:
        """Start with nobody."""
        self._sessions: dict[str, Session] = {}

    def __len__(self) -> int:
        """Return how many agents are connected."""
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        """Iterate over a snapshot of the sessions."""
        return iter(tuple(self._sessions.values()))

    def add(self, session: Session) -> None:
        """Make ``session`` the agent's one session; an older one ends, be it this or the known one."""
        known = self._sessions.get(session.key.agent_id)
        if known is not None and known.key.epoch > session.key.epoch:
            session.end(refusal(Code.RECONNECT, "a newer session of this agent is open"))
            return
        if known is not None:
            known.end()
        self._sessions[session.key.agent_id] = session

    def remove(self, session: Session) -> None:
        """Forget ``session``, unless a newer one has taken its place."""
        if self._sessions.get(session.key.agent_id) is session:
            del self._sessions[session.key.agent_id]

    def get(self, agent_id: str) -> Session | None:
        """Return the agent's session here."""
        return self._sessions.get(agent_id)

    def is_online(self, agent_id: str) -> bool:
        """Tell whether the agent has a session in this process."""
        return agent_id in self._sessions

    def send(self, agent_id: str, message: stream_pb2.ConnectResponse) -> bool:
        """Queue a message for the agent; False when it has no session here."""
        session = self._sessions.get(agent_id)
        return session is not None and session.send(message)

    def close(self, agent_id: str, last: stream_pb2.ConnectResponse) -> bool:
        """End the agent's session with ``last``; False when it has none here."""
        session = self._sessions.get(agent_id)
        if session is None:
            return False
        session.end(last)
        return True

    def close_all(self, last: stream_pb2.ConnectResponse) -> int:
        """End every session with ``last``; return how many it were."""
        sessions = tuple(self)
        for session in sessions:
            session.end(last)
        return len(sessions)

    def broadcast(self, message: stream_pb2.ConnectResponse, wanted: Callable[[Session], bool]) -> int:
        """Queue one message, built once, for each wanted session; return how many took it."""
        return sum(1 for session in self if wanted(session) and session.send(message))
