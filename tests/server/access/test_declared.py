"""What the contract has to declare before anything is served."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from fleetroll.v1 import options_pb2
from fleetroll_common.values.errors import FleetrollError
from fleetroll_server.access.caller import SCOPES, Caller, Role
from fleetroll_server.access.declared import AgentOnly, PeopleOnly, Public, declared_rules
from fleetroll_server.rpc.contract import SERVICES


class Declares:
    """A method as the reader sees it, with options of this pool."""

    def __init__(self, role: int | None, scope: str = "") -> None:
        self.full_name, self.name = "planted.Planted", "Call"
        self.methods = [self]
        self._options = descriptor_pb2.MethodOptions()
        if role is not None:
            self._options.Extensions[options_pb2.access].CopyFrom(options_pb2.Access(role=role, scope=scope))  # type: ignore[arg-type]

    def GetOptions(self) -> descriptor_pb2.MethodOptions:
        return self._options


@pytest.mark.parametrize(
    ("role", "scope"),
    [
        (None, ""),
        (options_pb2.ROLE_UNSPECIFIED, "agents.read"),
        (options_pb2.ROLE_ADMIN, ""),
        (options_pb2.ROLE_ADMIN, "agents.everything"),
        (options_pb2.ROLE_PUBLIC, "agents.read"),
        (options_pb2.ROLE_AGENT, "agents.read"),
    ],
)
def test_a_method_that_declares_nothing_useful_keeps_the_server_from_starting(role: int | None, scope: str) -> None:
    planted: Any = Declares(role, scope)
    with pytest.raises(FleetrollError) as caught:
        declared_rules([planted])
    assert caught.value.details["method"] == "/planted.Planted/Call"


def test_each_kind_of_declaration_is_read() -> None:
    for planted, rule in (
        (Declares(options_pb2.ROLE_PUBLIC), Public()),
        (Declares(options_pb2.ROLE_AGENT), AgentOnly()),
        (Declares(options_pb2.ROLE_OPERATOR, "rollouts.write"), PeopleOnly(Role.OPERATOR, "rollouts.write")),
    ):
        services: Any = [planted]
        assert declared_rules(services)["/planted.Planted/Call"] == rule


def test_the_whole_contract_is_declared() -> None:
    rules = declared_rules(SERVICES)
    ours = [path for path in rules if path.startswith("/fleetroll.")]
    assert len(ours) == sum(len(found.methods) for found in SERVICES) > 25


def test_roles_are_ordered_and_scopes_are_spelled_as_documented() -> None:
    assert [role.value for role in sorted(Role, key=lambda role: role.rank)] == ["viewer", "operator", "admin"]
    assert {scope.partition(".")[2] for scope in SCOPES} == {"read", "write"}
    assert Caller("token", "t", Role.ADMIN).fleet_ids == ()
