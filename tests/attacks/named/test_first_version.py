"""The first version of a host is named by the server: what its publisher rules binds that too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent.first_slot import check_ruled
from fleetroll_agent.jobs.artefacts import described
from fleetroll_common.trust.listing import ListedTarget
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.product_policy import ProductPolicy, Revoked, Withdrawn
from fleetroll_common.values.version import Version
from fleetroll_publishing.roles import read_repository
from tests.agent.fake_server.hosts import RealHost
from tests.agent.fake_server.server import FakeServer
from tests.faults import rulings
from tests.faults.jobs import boot_record

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent.fake_server.releases import Releases
    from tests.attacks.named.scene import Stock

ONE_ONE = Version.parse("1.1.0")


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ({"floor": Version.parse("2.0.0")}, "BELOW_FLOOR"),
        ({"floor": Version.parse("2.0.0"), "intermediates": (ONE_ONE,)}, "BELOW_FLOOR"),
        ({"yanked": (Withdrawn(ONE_ONE, "it forgets its key"),)}, "YANKED"),
        ({"revoked": True}, "DIGEST_REVOKED"),
    ],
)
async def test_a_first_version_that_is_ruled_out(
    stock: Stock, tmp_path: Path, rules: dict[str, Any], code: str
) -> None:
    """Nothing of it is fetched, and the host is left without a version rather than with this one."""
    releases = stock.releases()
    if rules.get("revoked"):
        rules = {"revoked": (Revoked(releases.digests["agent/1.1.0"], ONE_ONE, "not ours"),)}
    releases.files = rulings.ruled(releases.files, releases.signers, ProductPolicy("agent", 1, **rules))
    async with FakeServer(releases) as server:
        server.script.names = ["1.1.0"]
        host = RealHost(tmp_path / "state")
        exit_code, out, err = await host.enroll(server.join_string())
        assert exit_code != 0
        assert code in out + err
        assert server.fetched == []
        assert not (host.state / "boot.json").exists()


def test_a_host_that_is_enrolled_again_jumps_over_nothing_and_keeps_its_floor(stock: Stock) -> None:
    releases = stock.releases()
    offered = next(target for target in _listed(releases) if target.path.startswith("agent/1.1.0/"))
    found = described(offered)
    known = boot_record()
    check_ruled(found, known, "1.1.0")
    for remembered, policy, code in (
        ("1.1.1", None, Code.BELOW_FLOOR),
        ("", ProductPolicy("agent", 1, intermediates=(Version.parse("1.0.5"),)), Code.BELOW_SUPPORTED),
    ):
        with pytest.raises(RequestError) as caught:
            check_ruled(type(found)(found.target, found.custom, policy), known, remembered)
        assert caught.value.code is code


def _listed(releases: Releases) -> list[ListedTarget]:
    """Return what the agent's publisher lists."""
    role = read_repository(releases.files).product("agent")
    return [
        ListedTarget(path, one.length, one.hashes["sha256"], one.unrecognized_fields["custom"])
        for path, one in role.targets.items()
    ]
