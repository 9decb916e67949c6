"""A readmission string over the wire: for one host; on every other one it changes nothing, at the server either."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import sqlalchemy as sa

from fleetroll_common.values.ids import SequentialIds
from fleetroll_common.wire.joinstring import JoinString
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import (
    AgentRow,
    EnrolmentRow,
    EventRow,
    JoinTokenRow,
    RetiredKeyRow,
    table_of,
)
from tests.server.rpc.test_enrolment import enroll, join, readmit

if TYPE_CHECKING:
    from collections.abc import Callable

TABLES = (AgentRow, EnrolmentRow, EventRow, JoinTokenRow, RetiredKeyRow)
NOBODY = SequentialIds().new("agent")


async def stored(server: Any) -> dict[str, list[Any]]:
    """Return all rows that an enrolment can touch."""
    found = {}
    async with server.services.store.read() as connection:
        for model in TABLES:
            table = table_of(model)
            rows = await connection.execute(every_fleet(sa.select(table), "all that is stored"))
            found[table.name] = sorted(map(repr, rows))
    return found


async def two_agents(server: Any, host: Callable[..., Any]) -> tuple[str, str]:
    """Enrol hosts 1 and 2; return their ids."""
    made = (await join(server, max_uses=2)).join_string
    first, second = host(1).request(made), host(2).request(made)
    return (await enroll(server, first)).agent_id, (await enroll(server, second)).agent_id


@pytest.mark.parametrize("who", ["the other agent", "nobody", "no agent of that id"])
async def test_on_a_wrong_host_it_is_refused_and_changes_nothing_and_the_right_one_still_uses_it(
    server: Any, host: Callable[..., Any], refusal: Any, who: str
) -> None:
    right, other = await two_agents(server, host)
    said = {"the other agent": other, "nobody": "", "no agent of that id": NOBODY}[who]
    join_string = await readmit(server, right)
    ended: list[str] = []
    server.services.sessions.close = lambda agent_id, _last: ended.append(agent_id)
    before = await stored(server)
    for _ in range(2):
        why = await refusal(enroll(server, host(3).request(join_string, agent_id=said)))
        assert (why.status, why.code) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
        assert why.facts == {"field": "agent_id", "value": said}
        assert right in why.message
        assert "host" in why.remedy
    assert (await stored(server), ended) == (before, [])
    assert (await enroll(server, host(4).request(join_string, agent_id=right))).agent_id == right
    assert ended == [right]
    assert await stored(server) != before


async def test_a_join_string_makes_no_agent_for_a_host_that_is_one(
    server: Any, host: Callable[..., Any], refusal: Any
) -> None:
    right, _other = await two_agents(server, host)
    join_string = (await join(server)).join_string
    before = await stored(server)
    why = await refusal(enroll(server, host(3).request(join_string, agent_id=right)))
    assert (why.code, why.facts) == ("INVALID_ARGUMENT", {"field": "agent_id", "value": right})
    assert "without --agent-id" in why.remedy
    assert await stored(server) == before
    assert (await enroll(server, host(3).request(join_string))).agent_id not in {right, _other}


@pytest.mark.parametrize("said", ["", NOBODY])
async def test_a_lost_answer_is_repeated_whatever_the_host_says_that_it_is_by_now(
    server: Any, host: Callable[..., Any], said: str
) -> None:
    right, _other = await two_agents(server, host)
    join_string = await readmit(server, right)
    first = await enroll(server, host(3).request(join_string, agent_id=right))
    before = await stored(server)
    again = await enroll(server, host(3).request(join_string, agent_id=said))
    assert again.SerializeToString(deterministic=True) == first.SerializeToString(deterministic=True)
    assert await stored(server) == before


async def test_whoever_holds_a_token_that_is_over_is_told_no_agents_id(
    server: Any, host: Callable[..., Any], refusal: Any
) -> None:
    right, _other = await two_agents(server, host)
    join_string = await readmit(server, right)
    server.clock.advance(timedelta(days=2).total_seconds())
    why = await refusal(enroll(server, host(3).request(join_string)))
    assert (why.code, right in why.message) == ("TOKEN_EXPIRED", False)
    secret = JoinString.decode(join_string).token
    assert secret not in why.message


@pytest.mark.parametrize("said", ["a" * 65, "a\x1bb"])
async def test_an_id_that_is_none_is_refused_before_the_token_is_looked_at(
    server: Any, host: Callable[..., Any], refusal: Any, said: str
) -> None:
    join_string = (await join(server)).join_string
    before = await stored(server)
    why = await refusal(enroll(server, host(1).request(join_string, agent_id=said)))
    assert (why.code, why.facts["field"]) == ("INVALID_ARGUMENT", "agent_id")
    assert await stored(server) == before
