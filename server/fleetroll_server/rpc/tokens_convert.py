"""Tokens on the wire, without their secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll.v1 import options_pb2, tokens_pb2
from fleetroll_server.access.caller import Role
from fleetroll_server.rpc import convert, requests

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

    from fleetroll_server.identity.jointokens import JoinToken

_ROLES = {
    options_pb2.ROLE_VIEWER: Role.VIEWER,
    options_pb2.ROLE_OPERATOR: Role.OPERATOR,
    options_pb2.ROLE_ADMIN: Role.ADMIN,
}
_ROLES_TO_WIRE = {role.value: wire for wire, role in _ROLES.items()}


def role_from_wire(wire: options_pb2.Role.ValueType) -> Role:
    """Return a role that a token may have.

    Raises:
        RequestError: INVALID_ARGUMENT: it is none of a person's (caller's fault).
    """
    if wire not in _ROLES:
        raise requests.invalid("role", "it is not viewer, operator or admin")
    return _ROLES[wire]


def join_token_to_wire(token: JoinToken) -> tokens_pb2.JoinToken:
    """Return a join token."""
    row = token.row
    wire = tokens_pb2.JoinToken(
        id=row["id"],
        fleet_id=row["fleet_id"],
        labels=row["labels"],
        max_uses=row["max_uses"],
        uses=row["uses"],
        revoked=row["revoked"],
        created=convert.decision(row["actor_kind"], row["actor_id"], row["created_at"], row["reason"]),
        agent_ids=token.agent_ids,
    )
    convert.set_instant(wire.expires_at, row["expires_at"])
    return wire


def api_token_to_wire(row: RowMapping) -> tokens_pb2.ApiToken:
    """Return an API token."""
    wire = tokens_pb2.ApiToken(
        id=row["id"],
        name=row["name"],
        role=_ROLES_TO_WIRE[row["role"]],
        scopes=row["scopes"],
        fleet_ids=row["fleet_ids"],
        revoked=row["revoked"],
        created=convert.decision(row["actor_kind"], row["actor_id"], row["created_at"], row["reason"]),
    )
    convert.set_instant(wire.expires_at, row["expires_at"])
    return wire


def own_token_to_wire(row: RowMapping) -> tokens_pb2.ApiToken:
    """Return an API token for its holder: who made it, and why, is for those who may list tokens."""
    wire = api_token_to_wire(row)
    wire.ClearField("created")
    return wire
