"""Who calls: set by the interceptor for the time of one call, read by whoever decides or writes down who decided."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError


class Role(StrEnum):
    """What people and programs may do; ordered."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """Return a number that is higher for the role that may do more."""
        return list(Role).index(self)


SCOPES = frozenset(
    {
        "releases.read",
        "releases.write",
        "rollouts.read",
        "rollouts.write",
        "agents.read",
        "agents.write",
        "policy.read",
        "policy.write",
        "access.read",
        "access.write",
        "audit.read",
        "alerts.write",
        "server.read",
        "server.write",
    }
)


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of an API token.

    Attributes:
        actor_kind: ``token``.
        actor_id: the token's id.
        role: of the token.
        scopes: of the token; empty means every scope of its role.
        fleet_ids: fleets that it sees; empty means all.
    """

    actor_kind: str
    actor_id: str
    role: Role
    scopes: frozenset[str] = frozenset()
    fleet_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentCaller:
    """An agent in a live session."""

    agent_id: str
    fleet_id: str
    epoch: int


Anyone = Caller | AgentCaller | None

_current: ContextVar[Anyone] = ContextVar("fleetroll_caller", default=None)


def set_caller(caller: Anyone) -> None:
    """Remember who calls for the rest of this call's task."""
    _current.set(caller)


def current_caller() -> Caller:
    """Return who calls an admin RPC.

    Raises:
        RequestError: UNAUTHENTICATED: nobody does; only a wrong declaration in the contract could lead here.
    """
    caller = _current.get()
    if not isinstance(caller, Caller):
        raise RequestError("this call needs an API token", code=Code.UNAUTHENTICATED)
    return caller


def current_agent() -> AgentCaller:
    """Return the agent that calls an agents' RPC.

    Raises:
        RequestError: UNAUTHENTICATED: none does; only a wrong declaration in the contract could lead here.
    """
    caller = _current.get()
    if not isinstance(caller, AgentCaller):
        raise RequestError("this call needs a session", code=Code.UNAUTHENTICATED)
    return caller
