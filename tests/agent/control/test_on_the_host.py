"""A person at the command line of a host: the real commands, the real socket, a real daemon and a real service."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import reasons_pb2
from fleetroll_agent.jobs import staging
from tests.agent.fake_server.inprocess import InProcessHost
from tests.agent.fake_server.releases import Releases
from tests.faults.shop import Shop, artefact

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent.control.person import Person
    from tests.agent.fake_server.server import FakeServer


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    """Return a repository with the shop's releases."""
    folder, known = tmp_path_factory.mktemp("shop"), Releases()
    known.publish("1.0.0", artefact(folder, "1.0.0"), product="shop")
    known.publish("1.1.0", artefact(folder, "1.1.0"), product="shop")
    known.publish("2.0.0", artefact(folder, "2.0.0", fault="unhealthy"), ("beta",), product="shop")
    known.publish("2.0.1", artefact(folder, "2.0.1", fault="smoke"), ("beta",), product="shop")
    return known


@pytest.fixture
async def host(server: FakeServer, shop: Shop, tmp_path: Path) -> InProcessHost:
    """Return an enrolled host that keeps the shop; its daemon does not run."""
    enrolled = InProcessHost(tmp_path / "state", server)
    await enrolled.enrol()
    with (enrolled.folder / "agent.toml").open("a") as settings:
        settings.write(shop.settings())
    return enrolled


async def test_check_and_update_say_what_they_find_by_their_exit_codes(
    server: FakeServer, host: InProcessHost, shop: Shop, person: Person
) -> None:
    async with host.running():
        await server.until(lambda: server.sessions)
        await person.is_heard()
        assert await person.runs("check", "shop") == 10, person.err
        assert "1.1.0 is available" in person.out
        assert await person.runs("update", "shop", "--soak", "0.4s") == 0
        assert "shop succeeded; 1.1.0 runs" in person.out
        assert "backup: backup-1.1.0.db" in person.out
        assert await person.runs("check", "shop") == 0
        assert await person.runs("update", "shop") == 0
        assert "current" in person.out
        assert (await asyncio.to_thread(shop.page))["version"] == "1.1.0"


async def test_a_person_takes_a_version_back_and_the_server_does_not_bring_it_again(
    server: FakeServer, host: InProcessHost, shop: Shop, person: Person
) -> None:
    async with host.running():
        await person.is_heard()
        await person.runs("update", "shop", "--version", "1.0.0", "--soak", "0.2s", "--hold", "0s")
        server.assign("1.1.0", 1, product="shop", soak=0.3)
        await server.until(lambda: server.result(1, "shop"))
        exit_code, said = await person.asks("rollback", "shop", "--reason", "it leaks")
        assert (exit_code, said["result"], said["running_version"]) == (0, "SUCCEEDED", "1.0.0")
        server.assign("1.1.0", 1, product="shop", soak=0.3)
        server.assign("1.1.0", 2, product="shop", soak=0.3)
        await server.until(lambda: server.states(2, "shop")[-1:] == ["STAGED"])
        held = [told for told in server.agent.reports if told.generation == 2][-1]
        assert "rollback by root" in held.message
        assert "it leaks" in held.message
        assert (await asyncio.to_thread(shop.page))["version"] == "1.0.0"
        assert await person.runs("unhold", "shop") == 0
        await server.until(lambda: server.result(2, "shop"))
        assert (await asyncio.to_thread(shop.page))["version"] == "1.1.0"


async def test_each_end_has_its_exit_code(server: FakeServer, host: InProcessHost, shop: Shop, person: Person) -> None:
    async with host.running():
        await person.is_heard()
        await person.runs("update", "shop", "--version", "1.0.0", "--soak", "0.2s")
        assert await person.runs("update", "shop", "--version", "2.0.0") == 22
        assert "rolled back" in person.out
        assert await person.runs("update", "shop", "--version", "2.0.1") == 1
        assert "the frobnicator is missing" in person.out
        assert await person.runs("update", "shop", "--version", "9.9.9") == 21
        assert "NOT_LISTED" in person.out
        assert "publish it, or ask for a release that is listed" in person.out
        assert await person.runs("update", "shop", "--version", "2.0.0") == 21
        assert "BAD_DIGEST" in person.out


async def test_a_way_back_that_fails_has_an_exit_code_of_its_own(
    server: FakeServer, host: InProcessHost, shop: Shop, person: Person
) -> None:
    """The service can't be started any more, in either version: a person is needed."""
    settings, stuck = host.folder / "agent.toml", shop.home / "stuck"
    restart = 'restart = ["/bin/sh", "-c", "'
    text = settings.read_text()
    assert restart in text
    settings.write_text(text.replace(restart, f"{restart}test ! -e {stuck} || exit 1; "))
    async with host.running():
        await person.is_heard()
        assert await person.runs("update", "shop", "--version", "1.0.0", "--soak", "0.2s") == 0
        stuck.touch()
        assert await person.runs("update", "shop", "--version", "1.1.0", "--soak", "0.2s") == 23
        assert "rollback failed" in person.out


async def test_without_a_server_check_says_so_and_without_an_agent_too(
    server: FakeServer, host: InProcessHost, person: Person
) -> None:
    assert await person.runs("check", "shop") == 20
    assert "start it with: fleetroll-agent run" in person.err
    await server.stop()
    async with host.running() as daemon:
        assert daemon is not None
        await person.is_heard()
        assert await person.runs("check", "shop") == 20


async def test_a_place_that_is_not_there_is_asked_once_and_said_at_once(
    server: FakeServer, host: InProcessHost, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who named it waits for an answer, and is there to try again: another try would be seen, and not waited for."""
    wait = staging._wait
    monkeypatch.setattr(staging, "_wait", lambda state, event, moment, _seconds: wait(state, event, moment, 0.01))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        place = f"https://127.0.0.1:{closed.getsockname()[1]}/repo"
    async with host.running():
        await server.until(lambda: server.sessions)
        await person.is_heard()
        assert await person.runs("update", "shop", "--version", "1.1.0", "--from", place) == 20
    assert [told.said.value for told in host.journal()] == ["OFFERED", "FAILED"]
    assert "Connection refused" in person.out
    assert f"see to {place} and the way there; then run it again (UNAVAILABLE)" in person.out


async def test_what_is_asked_wrongly_is_refused_by_name(
    server: FakeServer, host: InProcessHost, person: Person
) -> None:
    async with host.running():
        await server.until(lambda: server.sessions)
        await person.is_heard()
        assert await person.runs("update", "till") == 21
        assert "product: 'till' is not kept here" in person.err
        assert await person.runs("update") == 21
        assert "name one of agent, shop" in person.err
        assert await person.runs("rollback", "shop") == 21
        assert "no version before this one" in person.err


async def test_a_version_that_is_none_is_wrong_usage(person: Person) -> None:
    """It is known before anybody is asked: no agent runs here."""
    with pytest.raises(SystemExit) as ended:
        await person.runs("update", "shop", "--version", "one")
    assert ended.value.code == 2
    assert "'one' is not a semantic version; write it like 1.4.2" in person.usage()


async def test_a_hold_keeps_its_reason_and_its_time(server: FakeServer, host: InProcessHost, person: Person) -> None:
    async with host.running():
        await server.until(lambda: server.sessions)
        await person.is_heard()
        assert await person.runs("hold", "shop", "--for", "12h", "--reason", "inventory") == 0
        await server.until(lambda: len(server.sessions) == 2)
        (held,) = server.session.hello.overrides
        assert (held.product, held.kind, held.actor.id, held.reason) == ("shop", "hold", "root", "inventory")
        server.assign("1.0.0", 1, product="shop")
        await server.until(lambda: server.states(1, "shop")[-1:] == ["STAGED"])
        assert "inventory" in [told for told in server.agent.reports if told.generation == 1][-1].message


async def test_an_assignment_that_may_end_a_hold_ends_it(
    server: FakeServer, host: InProcessHost, shop: Shop, person: Person
) -> None:
    """What it brings is installed, and what the host says of itself has no hold any more."""
    async with host.running():
        await server.until(lambda: server.sessions)
        await person.is_heard()
        assert await person.runs("hold", "shop", "--reason", "inventory") == 0
        await server.until(lambda: len(server.sessions) == 2)
        server.assign("1.0.0", 1, product="shop")
        await server.until(lambda: server.states(1, "shop")[-1:] == ["STAGED"])
        server.assign("1.0.0", 2, product="shop", override_local=True)
        await server.until(lambda: server.result(2, "shop"))
        assert server.states(2, "shop")[-1] == "SUCCEEDED"
        assert await person.runs("unhold", "shop") == 0
        assert "was not held" in person.out
        await server.until(lambda: len(server.sessions) == 3)
        assert list(server.session.hello.overrides) == []


async def test_where_agent_toml_forbids_it_no_assignment_ends_a_hold(
    server: FakeServer, host: InProcessHost, person: Person
) -> None:
    settings = host.folder / "agent.toml"
    settings.write_text(settings.read_text().replace('kind = "slots"', 'kind = "slots"\noverride_local = false'))
    async with host.running():
        await server.until(lambda: server.sessions)
        await person.is_heard()
        assert await person.runs("hold", "shop", "--reason", "inventory") == 0
        await server.until(lambda: len(server.sessions) == 2)
        server.assign("1.0.0", 1, product="shop", override_local=True)
        await server.until(lambda: server.result(1, "shop"))
        refused = server.result(1, "shop")
        assert refused is not None
        assert refused.code == reasons_pb2.REASON_CODE_OVERRIDE_NOT_ALLOWED
        assert "hold by root: agent.toml lets only this host end it" in refused.message
        assert await person.runs("unhold", "shop") == 0
        assert "is held no longer" in person.out


async def test_nobody_but_root_may_ask(server: FakeServer, host: InProcessHost, person: Person) -> None:
    """The socket is root's; whoever gets at it all the same is refused by who they are."""
    async with host.running():
        await server.until(lambda: server.sessions)
        await person.is_heard()
        assert (host.folder / "control.sock").stat().st_mode & 0o777 == 0o600
        if os.geteuid() != 0:
            pytest.fail("the tests of local control run as root")
        said = await asyncio.to_thread(_as_nobody, host.folder)
    assert b"PERMISSION_DENIED" in said


ASK_AS_NOBODY = """
import os, socket, sys
os.chmod(sys.argv[1], 0o711)
os.chmod(sys.argv[1] + "/control.sock", 0o666)
handle = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
line = socket.socket(socket.AF_UNIX)
line.connect(f"/proc/self/fd/{handle}/control.sock")
line.sendall(b'{"command": "check"}\\n')
sys.stdout.buffer.write(line.recv(4096))
"""


def _as_nobody(folder: Path) -> bytes:
    """Ask as another user, for whom somebody has opened the socket by mistake."""
    command = (sys.executable, "-c", ASK_AS_NOBODY, str(folder))
    done = subprocess.run(command, capture_output=True, timeout=20, check=False)
    return done.stdout + done.stderr
