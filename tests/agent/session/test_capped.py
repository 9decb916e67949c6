"""The cap of agent.toml holds where bytes come in: over the stream's connection and from a mirror, on real sockets."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.fetch import MirrorSource
from fleetroll_agent.jobs.values import Said
from fleetroll_agent.parts import assemble
from tests.faults.served import served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fleetroll_agent.jobs.artefacts import Ways
    from tests.agent.fake_server.inprocess import InProcessHost
    from tests.agent.fake_server.releases import Releases
    from tests.agent.fake_server.server import FakeServer

CAP_KIB = 400
CAP = CAP_KIB * 1024
"""The releases have over 600,000 bytes that no compression makes less: a second and a half under this cap."""


def write_settings(host: InProcessHost, cap_kib: int, mirrors: str = "") -> None:
    """Let agent.toml say how downloads are made, and nothing else of its own."""
    path = host.folder / "agent.toml"
    rest = path.read_text().partition("[download]\n")[0]
    path.write_text(f"{rest}[download]\nbandwidth_kib_per_second = {cap_kib}\nmirrors = [{mirrors}]\n")


@pytest.fixture(params=["server", "mirror"])
def mirrors(request: pytest.FixtureRequest, releases: Releases, tmp_path: Path) -> Iterator[str]:
    """Give what agent.toml says of mirrors: none, or one that has every artefact."""
    with ExitStack() as stack:
        if request.param == "server":
            yield ""
            return
        for path, data in releases.artefacts.items():
            (tmp_path / "web" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "web" / path).write_bytes(data)
        yield f'"{stack.enter_context(served(tmp_path / "web"))}/{{path}}"'


async def seconds_to_stage(server: FakeServer, host: InProcessHost, version: str, generation: int) -> float:
    """Let a fresh process fetch a release; return how long that took by the host's own journal."""
    server.assign(version, generation)
    async with host.running():
        await server.until(lambda: "STAGED" in server.states(generation))
    at = {told.said: told.occurred_at for told in host.journal() if told.generation == generation}
    return at[Said.STAGED] - at[Said.DOWNLOADING]


async def test_a_download_keeps_to_the_cap_of_agent_toml(
    server: FakeServer, host: InProcessHost, releases: Releases, mirrors: str
) -> None:
    """Against one of the same size without a cap, so that it is no slow machine that keeps to it."""
    server.script.grant = False
    (path,) = (path for path in releases.artefacts if "/1.1.0/" in path)
    write_settings(host, CAP_KIB, mirrors)
    capped = await seconds_to_stage(server, host, "1.1.0", 7)
    write_settings(host, 0, mirrors)
    free = await seconds_to_stage(server, host, "1.2.0", 8)
    assert bool(server.fetched) is not bool(mirrors), "the bytes came from where they should"
    rate = len(releases.artefacts[path]) / capped
    assert CAP / 4 < rate < CAP * 1.1
    assert free < capped / 2


def test_one_pacer_with_the_cap_serves_the_agent_and_its_products_and_every_mirror_knows_it(
    host: InProcessHost,
) -> None:
    write_settings(host, CAP_KIB, '"https://one.example/{path}", "https://two.example/{path}"')
    parts = assemble(host.folder, host.slot)
    assert parts.ways.pacer is not None
    assert parts.ways.pacer.bytes_per_second == CAP
    assert parts.shared.ways is parts.ways
    assert parts.update._artefacts._ways is parts.ways
    assert caps(parts.ways) == [CAP, CAP]
    write_settings(host, 0, '"https://one.example/{path}"')
    free = assemble(host.folder, host.slot).ways
    assert (free.pacer, caps(free)) == (None, [None])


def caps(ways: Ways) -> list[int | None]:
    return [mirror._cap for mirror in ways.mirrors if isinstance(mirror, MirrorSource)]
