"""Readmission on the host: a new key for its agent; a string of another host changes nothing on either side."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent import enrol
from fleetroll_agent.enrol import Wish
from fleetroll_agent.identity.store import IdentityStore
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError, RequestError
from fleetroll_common.values.ids import SystemIds
from tests.agent.fake_server.hosts import RealHost
from tests.agent.fake_server.inprocess import PYTHON

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent.fake_server.server import FakeServer

VERSION = "1.1.0"
REFUSED = 21


@pytest.fixture(autouse=True)
def few_pythons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for interpreters in the system's own folders: a developer's wrappers take seconds each."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


def wish(server: FakeServer, folder: Path, token: str = "", agent_id: str = "") -> Wish:
    server.script.names = [VERSION]
    join = server.join_string(token) if token else server.join_string()
    return Wish(join, folder, "host-1", "stable", PYTHON, {"site": "a"}, agent_id)


async def enrolled(server: FakeServer, folder: Path) -> str:
    """Enrol a host; return its id."""
    await enrol.enroll(wish(server, folder))
    return identity(folder).load().enrolment.agent_id


def identity(folder: Path) -> IdentityStore:
    return IdentityStore(folder / "identity", SystemIds())


def files(folder: Path) -> dict[str, bytes]:
    """Return every file of a host's identity."""
    return {path.name: path.read_bytes() for path in (folder / "identity").iterdir()}


def known(server: FakeServer) -> tuple[object, ...]:
    """Return what the server holds of keys, and what was spent."""
    return server.uses, {name: agent.row for name, agent in server.agents.items()}


async def test_readmission_makes_a_new_key_for_the_same_agent(server: FakeServer, tmp_path: Path) -> None:
    agent_id = await enrolled(server, tmp_path / "a")
    before = identity(tmp_path / "a").load()
    await enrol.readmit(wish(server, tmp_path / "a", f"readmit:{agent_id}"))
    after = identity(tmp_path / "a").load()
    assert after.enrolment.agent_id == before.enrolment.agent_id
    assert after.keys.current != before.keys.current
    assert None not in (before.keys.since, after.keys.since)
    assert before.keys.since != after.keys.since, "the age of each key counts from its making"


@pytest.mark.parametrize("torn", [False, True])
async def test_on_a_wrong_host_nothing_changes_on_either_side_and_the_right_one_still_uses_the_string(
    server: FakeServer, tmp_path: Path, torn: bool
) -> None:
    """Also where the wrong host's key is damaged."""
    right, wrong = await enrolled(server, tmp_path / "a"), await enrolled(server, tmp_path / "b")
    if torn:
        (tmp_path / "b" / "identity" / "key").write_bytes(b"torn")
    before, there = files(tmp_path / "b"), known(server)
    for _ in range(2):
        with pytest.raises(RequestError) as caught:
            await enrol.readmit(wish(server, tmp_path / "b", f"readmit:{right}"))
        assert (caught.value.code, caught.value.details) == (Code.INVALID_ARGUMENT, {"field": "agent_id"})
        said = str(caught.value)
        assert all(part in said for part in (right, wrong, "nothing was changed", "use it on that agent's host"))
    assert (files(tmp_path / "b"), known(server)) == (before, there)
    key = identity(tmp_path / "a").load().keys
    await enrol.readmit(wish(server, tmp_path / "a", f"readmit:{right}"))
    assert identity(tmp_path / "a").load().keys != key


async def test_a_host_that_waits_for_a_lost_answer_keeps_its_key_when_a_wrong_string_is_typed(
    server: FakeServer, tmp_path: Path
) -> None:
    right, other = await enrolled(server, tmp_path / "a"), await enrolled(server, tmp_path / "b")
    server.script.lose_enrolments = 1
    with pytest.raises(AgentError):
        await enrol.readmit(wish(server, tmp_path / "a", f"readmit:{right}"))
    with pytest.raises(RequestError):
        await enrol.readmit(wish(server, tmp_path / "a", f"readmit:{other}"))
    spent = server.uses
    await enrol.readmit(wish(server, tmp_path / "a", f"readmit:{right}"))
    assert server.uses == spent, "the answer was repeated for the same key"


async def test_a_disk_that_keeps_the_refused_key_hides_no_refusal(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = await enrolled(server, tmp_path / "a")
    await enrolled(server, tmp_path / "b")
    before = identity(tmp_path / "b").load()

    def refuse(_store: IdentityStore) -> None:
        raise AgentError("the disk refused", code=Code.INTERNAL)

    monkeypatch.setattr(IdentityStore, "give_up", refuse)
    with pytest.raises(RequestError, match=right):
        await enrol.readmit(wish(server, tmp_path / "b", f"readmit:{right}"))
    assert identity(tmp_path / "b").load() == before


async def test_an_answer_about_another_agent_is_not_taken(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that looks at no id, or lies, makes this host no other one."""
    await enrolled(server, tmp_path / "a")
    before = identity(tmp_path / "a").load()

    async def other(*_asked: object) -> object:
        return replace(before.enrolment, agent_id="agent-other")

    monkeypatch.setattr(enrol, "ask_to_enrol", other)
    with pytest.raises(FleetrollError) as caught:
        await enrol.readmit(wish(server, tmp_path / "a", "readmit:agent-other"))
    assert caught.value.code is Code.CONFLICT
    assert identity(tmp_path / "a").load() == before


async def test_a_fresh_machine_takes_no_identity_over_unasked_and_takes_it_up_when_told(
    server: FakeServer, tmp_path: Path
) -> None:
    agent_id = await enrolled(server, tmp_path / "lost")
    there, fresh = known(server), tmp_path / "fresh"
    with pytest.raises(RequestError) as caught:
        await enrol.enroll(wish(server, fresh, f"readmit:{agent_id}"))
    assert (caught.value.code, caught.value.details) == (Code.INVALID_ARGUMENT, {"field": "agent_id"})
    assert f"for {agent_id} alone" in str(caught.value)
    assert "--agent-id" in caught.value.remedy
    assert (known(server), files(fresh), identity(fresh).is_enrolled()) == (there, {}, False)
    said = await enrol.enroll(wish(server, fresh, f"readmit:{agent_id}", agent_id))
    assert f"enrolled as {agent_id}" in said
    assert f"agent {VERSION} is installed" in said
    assert len(server.agents) == 1
    assert identity(fresh).load().keys != identity(tmp_path / "lost").load().keys


async def test_a_lost_answer_of_taking_up_is_asked_for_again(server: FakeServer, tmp_path: Path) -> None:
    agent_id = await enrolled(server, tmp_path / "lost")
    server.script.lose_enrolments = 1
    with pytest.raises(AgentError):
        await enrol.enroll(wish(server, tmp_path / "fresh", f"readmit:{agent_id}", agent_id))
    spent = server.uses
    await enrol.enroll(wish(server, tmp_path / "fresh", f"readmit:{agent_id}"))
    assert (server.uses, identity(tmp_path / "fresh").load().enrolment.agent_id) == (spent, agent_id)


async def test_a_join_string_with_an_agents_id_makes_nothing(server: FakeServer, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="makes a new agent") as caught:
        await enrol.enroll(wish(server, tmp_path / "fresh", agent_id="agent-x"))
    assert "without --agent-id" in caught.value.remedy
    assert (server.uses, server.agents, files(tmp_path / "fresh")) == (0, {}, {})


async def test_a_host_that_is_an_agent_is_made_no_other_one_by_the_option(server: FakeServer, tmp_path: Path) -> None:
    mine, other = await enrolled(server, tmp_path / "a"), await enrolled(server, tmp_path / "b")
    before, there = files(tmp_path / "a"), known(server)
    for command in (enrol.enroll, enrol.readmit):
        with pytest.raises(RequestError, match=f"this host is {mine}") as caught:
            await command(wish(server, tmp_path / "a", f"readmit:{other}", other))
        assert "leave --agent-id out" in caught.value.remedy
    assert (files(tmp_path / "a"), known(server)) == (before, there)
    assert "nothing was changed" in await enrol.enroll(wish(server, tmp_path / "a", f"readmit:{mine}", mine))


@pytest.mark.parametrize("name", ["agent.json", "key", "ratchet.json", "receipt", "ca.pem", "root.json"])
async def test_a_readmission_is_the_way_out_of_a_damaged_file(server: FakeServer, tmp_path: Path, name: str) -> None:
    """Where the file that says who this host is is damaged, a person says it."""
    agent_id = await enrolled(server, tmp_path / "a")
    before = identity(tmp_path / "a").load()
    path = tmp_path / "a" / "identity" / name
    path.write_bytes(path.read_bytes()[:-30])
    unknown = name == "agent.json"
    with pytest.raises(RequestError, match="add --agent-id") if unknown else contextlib.nullcontext() as caught:
        await enrol.readmit(wish(server, tmp_path / "a", f"readmit:{agent_id}"))
    if caught is not None:
        assert (caught.value.details["field"], server.uses) == ("agent_id", 1)
        await enrol.readmit(wish(server, tmp_path / "a", f"readmit:{agent_id}", agent_id))
    after = identity(tmp_path / "a").load()
    assert after.enrolment == before.enrolment
    assert after.keys.current != before.keys.current


async def test_the_command_line_says_in_one_line_whose_string_it_is(server: FakeServer, tmp_path: Path) -> None:
    server.script.names = [VERSION]
    host, fresh = RealHost(tmp_path / "a"), RealHost(tmp_path / "fresh")
    assert (await host.enroll(server.join_string()))[0] == 0
    agent_id = server.agent.agent_id
    code, out, err = await fresh.enroll(server.join_string(f"readmit:{agent_id}"))
    (line,) = [line for line in err.splitlines() if line.startswith("fleetroll-agent: ")]
    assert (code, out, "Traceback" in err) == (REFUSED, "", False)
    assert line.endswith(
        "(INVALID_ARGUMENT); on its host run fleetroll-agent readmit; on a machine that takes its place, "
        "enroll with --agent-id"
    )
    code, _out, err = await host.call(
        "readmit",
        server.join_string(f"readmit:{agent_id}").encode(),
        "--state",
        str(host.state),
        "--agent-id",
        "agent-x",
    )
    assert (code, "this host is" in err) == (REFUSED, True)
    server.script.names = [VERSION]
    code, out, err = await fresh.enroll(server.join_string(f"readmit:{agent_id}"), "--agent-id", agent_id)
    assert (code, f"enrolled as {agent_id}" in out) == (0, True), err
