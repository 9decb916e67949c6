"""What an agent does with an update of itself in a container, as it is put together by its own daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import reasons_pb2
from fleetroll_agent.containers import SWITCH
from tests.agent.fake_server.hosts import ALLOWED

if TYPE_CHECKING:
    from tests.agent.fake_server.inprocess import InProcessHost
    from tests.agent.fake_server.server import FakeServer


@pytest.fixture(autouse=True)
def container(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this a container, wherever the tests run."""
    monkeypatch.setenv(SWITCH, "1")


@pytest.mark.parametrize("host_table", ["", "[host]\ncontainers = false\n"])
async def test_a_self_update_in_a_container_is_skipped_with_the_marker_and_what_to_do(
    server: FakeServer, host: InProcessHost, host_table: str
) -> None:
    """Nothing is fetched: the image is what gets replaced."""
    (host.folder / "agent.toml").write_text(host_table)
    async with host.running():
        await server.until(lambda: server.sessions)
        assert server.session.hello.container_marker == f"{SWITCH}=1"
        server.assign("1.1.0", 7)
        await server.until(lambda: server.states(7)[-1:] == ["SKIPPED"])
    assert server.states(7) == ["OFFERED", "SKIPPED"]
    last = server.agent.reports[-1]
    assert last.code == reasons_pb2.REASON_CODE_CONTAINER
    assert last.message == f"a container ({SWITCH}=1): build a newer image, or set host.containers in agent.toml"
    assert not list((host.folder / "cache").rglob("*.tar.zst*"))


async def test_a_self_update_in_a_container_is_taken_where_agent_toml_says_so(
    server: FakeServer, host: InProcessHost
) -> None:
    """The marker is reported all the same."""
    server.script.grant = False
    (host.folder / "agent.toml").write_text(ALLOWED)
    async with host.running():
        await server.until(lambda: server.sessions)
        assert server.session.hello.container_marker == f"{SWITCH}=1"
        server.assign("1.1.0", 7)
        await server.until(lambda: "STAGED" in server.states(7))
