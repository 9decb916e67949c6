"""Whom a token is for, as a rule of two values."""

from __future__ import annotations

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.ids import SequentialIds
from fleetroll_server.identity.addressee import MAX_AGENT_ID_CHARS, check_addressee

AGENT, OTHER = SequentialIds("a").new("agent"), SequentialIds("b").new("agent")
REMEDY_BYTES = 127
"""The longest remedy that an agent reads."""


@pytest.mark.parametrize("agent", [AGENT, ""])
def test_the_agent_that_a_token_names_and_a_new_host_for_a_join_token_are_let_through(agent: str) -> None:
    check_addressee(agent, agent)


@pytest.mark.parametrize(
    ("token_agent", "agent_id", "says", "remedy"),
    [
        (AGENT, OTHER, [repr(OTHER), AGENT], "that agent's host"),
        (AGENT, AGENT.upper(), [AGENT], "that agent's host"),
        (AGENT, AGENT[:-1], [AGENT], "that agent's host"),
        (AGENT, "", ["none was given", AGENT], "fleetroll-agent readmit"),
        ("", AGENT, [repr(AGENT), "makes a new agent"], "without --agent-id"),
    ],
)
def test_every_other_host_is_refused_with_field_value_and_remedy(
    token_agent: str, agent_id: str, says: list[str], remedy: str
) -> None:
    with pytest.raises(RequestError) as caught:
        check_addressee(token_agent, agent_id)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert caught.value.details == {"field": "agent_id", "value": agent_id}
    assert caught.value.message.startswith("agent_id: ")
    assert all(part in caught.value.message for part in says)
    assert remedy in caught.value.remedy
    assert len(caught.value.remedy.encode()) <= REMEDY_BYTES


def test_every_agents_id_has_room_in_the_field() -> None:
    assert len(AGENT) <= MAX_AGENT_ID_CHARS
