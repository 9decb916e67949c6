"""Decisions about a host take its name as ``show`` does, and go by its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from fleetroll.v1 import agents_pb2, rollouts_pb2
from fleetroll_cli.exits import Exit
from fleetroll_client import ServerRefusedError
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from tests.cli.commands import Commands

DECISIONS = {"revoke": "RevokeAgent", "readmit": "ReadmitAgent", "dismiss": "DismissAgent"}


@pytest.mark.parametrize("command", DECISIONS)
def test_a_name_is_resolved_before_the_decision(commands: Commands, command: str) -> None:
    rpc = DECISIONS[command]
    commands.answers["GetAgent"] = agents_pb2.GetAgentResponse(agent=agents_pb2.Agent(id="agent-1", name="web"))
    commands.answers[rpc] = getattr(agents_pb2, f"{rpc}Response")()
    assert commands.run("agents", command, "web", "--reason", "sold").code == Exit.OK
    assert commands.requests("GetAgent")[0].agent == "web"
    assert commands.requests(rpc)[0].agent_id == "agent-1"


@pytest.mark.parametrize("command", DECISIONS)
def test_a_name_of_several_hosts_is_refused_with_their_ids(commands: Commands, command: str) -> None:
    commands.answers["GetAgent"] = ServerRefusedError(
        "several", status=grpc.StatusCode.INVALID_ARGUMENT, code=Code.INVALID_ARGUMENT, remedy="", details={}
    )
    hosts = [agents_pb2.Agent(id=f"agent-{n}", name=name) for n, name in enumerate(("web", "web", "web-2"))]
    commands.answers["ListAgents"] = agents_pb2.ListAgentsResponse(agents=hosts)
    ended = commands.run("agents", command, "web", "--reason", "sold")
    assert ended.code == Exit.ERROR
    assert "agent-0, agent-1\n" in ended.err
    assert commands.requests(DECISIONS[command]) == []


def test_a_listing_says_when_there_are_more(commands: Commands) -> None:
    commands.answers["ListRollouts"] = rollouts_pb2.ListRolloutsResponse(
        rollouts=[rollouts_pb2.Rollout(id="r1")], next_cursor=b"x"
    )
    assert commands.run("rollout", "list").err == "there are more: these are the newest 1\n"
