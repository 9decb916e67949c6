"""Several products that have work at once: agent.toml's ``order`` says which of them asks for its permit first."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import reasons_pb2
from fleetroll_agent.jobs.events import HoldSet
from tests.agent.fake_server.inprocess import InProcessHost
from tests.agent.fake_server.releases import Releases

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent.fake_server.server import FakeServer

NAMES = ("till", "tool")


@pytest.fixture(scope="module")
def releases() -> Releases:
    """Return a repository with a release of each product."""
    known = Releases()
    for name in NAMES:
        known.import_manifest(name, "1.0.0")
    return known


async def keeping_both(server: FakeServer, tmp_path: Path, order: str) -> InProcessHost:
    """Return an enrolled host that keeps both products, by commands that change nothing."""
    host = InProcessHost(tmp_path / "state", server)
    await host.enrol()
    path = host.folder / "agent.toml"
    tables = [
        f'[products.{name}]\nkind = "command"\nmin_update_interval_seconds = 0\n'
        f'[products.{name}.health]\ncommand = ["/bin/true"]\ninterval_seconds = 0.1\nstart_seconds = 1\n'
        f"[products.{name}.hooks]\n"
        + "".join(f'{step} = ["/bin/true"]\n' for step in ("backup", "pull", "smoke", "switch"))
        for name in NAMES
    ]
    path.write_text(path.read_text().replace("[host]\n", f"[host]\n{order}") + "".join(tables))
    return host


def asked(server: FakeServer) -> list[str]:
    """Return the products that asked for a permit, in their order; asking again is no other one."""
    asks = [heard.request_go.product for heard in server.session.heard if heard.HasField("request_go")]
    return [name for name, _ in groupby(asks)]


def waits(server: FakeServer) -> list[tuple[str, str]]:
    """Return which product said that something else of its host goes first, and what."""
    locked = [told for told in server.agent.reports if told.code == reasons_pb2.REASON_CODE_LOCKED]
    return [(told.product, told.message) for told in locked]


@pytest.mark.parametrize(("first", "second"), [NAMES, NAMES[::-1]], ids=["as in the file", "against the file"])
async def test_what_is_named_first_gets_its_permit_first_and_ends_before_the_other_one_asks(
    server: FakeServer, tmp_path: Path, first: str, second: str
) -> None:
    """The other one is assigned first, and may well be staged first: it waits, and says for what."""
    host = await keeping_both(server, tmp_path, f'order = ["{first}", "{second}"]\n')
    server.script.grant = False
    server.assign("1.0.0", 1, product=second)
    server.assign("1.0.0", 1, product=first)
    async with host.running():
        await server.until(lambda: waits(server))
        assert waits(server) == [(second, f"{first} is updated first")]
        await server.until(lambda: asked(server))
        server.script.grant = True
        await server.until(lambda: server.result(1, second))
    assert asked(server) == [first, second]
    ends = [told.product for told in server.agent.reports if told == server.result(1, told.product)]
    assert ends == [first, second]


async def test_what_is_named_first_and_held_by_a_person_keeps_nobody_waiting(
    server: FakeServer, tmp_path: Path
) -> None:
    host = await keeping_both(server, tmp_path, 'order = ["till", "tool"]\n')
    async with host.running() as daemon:
        await server.until(lambda: server.sessions)
        daemon._desk.post("till", HoldSet("root", 2e9))
        server.assign("1.0.0", 1, product="till")
        await server.until(lambda: "STAGED" in server.states(1, "till"))
        server.assign("1.0.0", 1, product="tool")
        await server.until(lambda: server.result(1, "tool"))
    assert (asked(server), waits(server)) == (["tool"], [])


async def test_without_an_order_nobody_waits_for_another_ones_end(server: FakeServer, tmp_path: Path) -> None:
    host = await keeping_both(server, tmp_path, "")
    for name in NAMES:
        server.assign("1.0.0", 1, product=name)
    async with host.running():
        await server.until(lambda: all(server.result(1, name) for name in NAMES))
    assert not [said for said in waits(server) if "is updated first" in said[1]]
