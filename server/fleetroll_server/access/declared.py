"""What the contract declares about each RPC: the one source of who may call what. Without it nothing is served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll.v1 import options_pb2
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError
from fleetroll_server.access.caller import SCOPES, Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

UNDECLARED_BUT_OPEN = frozenset(
    {
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.health.v1.Health/List",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    }
)
"""Methods of gRPC's own services, which carry none of our options: health tells up or down, reflection what any copy of
the contract tells. Nothing else is served without a declaration."""

OWN_PROOF = frozenset({"/fleetroll.v1.AgentStreamService/Connect"})
"""Methods for agents that prove who they are by themselves: the stream's handshake comes before there is a token."""

_PEOPLE = {
    options_pb2.ROLE_VIEWER: Role.VIEWER,
    options_pb2.ROLE_OPERATOR: Role.OPERATOR,
    options_pb2.ROLE_ADMIN: Role.ADMIN,
}


@dataclass(frozen=True, slots=True)
class Public:
    """Anybody may call."""


@dataclass(frozen=True, slots=True)
class AgentOnly:
    """An agent in a live session may call."""


@dataclass(frozen=True, slots=True)
class PeopleOnly:
    """The holder of an API token with at least this role, and this scope, may call."""

    role: Role
    scope: str


Rule = Public | AgentOnly | PeopleOnly


def declared_rules(services: Iterable[ServiceDescriptor]) -> Mapping[str, Rule]:
    """Return the rule of each method by its full path, those of health and reflection included.

    Raises:
        FleetrollError: a method declares nothing, or something that makes no sense (a defect of the contract).
    """
    rules: dict[str, Rule] = dict.fromkeys(UNDECLARED_BUT_OPEN, Public())
    for service in services:
        for method in service.methods:
            path = f"/{service.full_name}/{method.name}"
            rules[path] = Public() if path in OWN_PROOF else _rule(path, method)
    return rules


def _rule(path: str, method: MethodDescriptor) -> Rule:
    """Read one method's option."""
    access = method.GetOptions().Extensions[options_pb2.access]
    if access.role in _PEOPLE and access.scope in SCOPES:
        return PeopleOnly(_PEOPLE[access.role], access.scope)
    if access.role == options_pb2.ROLE_PUBLIC and not access.scope:
        return Public()
    if access.role == options_pb2.ROLE_AGENT and not access.scope:
        return AgentOnly()
    role = options_pb2.Role.Name(access.role)
    message = f"{path} declares role {role} with scope {access.scope!r}: it can't be served"
    raise FleetrollError(message, code=Code.INTERNAL, remedy="declare role and scope in the contract", method=path)
