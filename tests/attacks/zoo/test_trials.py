"""Releases that start well and are no good all the same: their trial ends them."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from fleetroll_agent.launcher.child import data_limit
from tests.attacks.zoo import mistakes
from tests.attacks.zoo.breeding import breed
from tests.attacks.zoo.enclosure import Enclosure, enclosure, taken_back

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]

LOST = {
    mistakes.NEVER_CONNECTS: ("no contact with the server within the lease of 5 s", False),
    mistakes.NEVER_READS: ("not that it heard anything of its server after that, within the lease of 5 s", True),
    mistakes.LIES_TO_LAUNCHER: ("heard its server, but got no promote within the lease of 5 s", True),
}
DATA_LIMIT = data_limit(os.cpu_count() or 1, max(resource.getrlimit(resource.RLIMIT_STACK)[0], 8 << 20))
"""The launcher's own: the greedy release takes all it gets, and sets none itself."""
ENDED = {
    mistakes.CRASHES: ("EXITED", "signal SIG"),
    mistakes.EATS_MEMORY: ("EXITED", f"MemoryError: stopped by the limit of {DATA_LIMIT} bytes: True"),
}
STAMPS = {mistakes.LIES_TO_LAUNCHER: mistakes.STAMPED}
"""What a release calls itself where that is not its version."""
LEASE_SECONDS = 5.0
"""From the first healthy beat: a busy machine says hello within it."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def zoo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Enclosure]:
    """One host for all of them."""
    releases = breed(tmp_path_factory.mktemp("releases"), [*LOST, *ENDED, mistakes.DEAF])
    async with enclosure(releases, tmp_path_factory.mktemp("host")) as made:
        yield made


@pytest.mark.parametrize("version", ENDED)
async def test_a_release_that_ends_after_its_hello_is_taken_back_at_once(zoo: Enclosure, version: str) -> None:
    """It crashes, or eats its memory."""
    met = await zoo.meet(version, soak=20.0)
    taken_back(met, *ENDED[version], heard=True)


async def test_a_release_that_hears_no_stop_is_killed_and_taken_back(zoo: Enclosure) -> None:
    """It is not healthy, and neither the launcher's word nor SIGTERM moves it."""
    killed = zoo.said().count("the agent ended: signal SIGKILL")
    met = await zoo.meet(mistakes.DEAF, soak=20.0)
    taken_back(met, "HEALTH_FAILED", "not healthy", heard=True)
    assert zoo.said().count("the agent ended: signal SIGKILL") == killed + 1


@pytest.mark.parametrize("version", LOST)
async def test_a_release_without_a_promote_is_taken_back_unproven(zoo: Enclosure, version: str) -> None:
    """It never gets through, reads nothing, or is another one than it was signed as: its server never keeps that."""
    words, heard = LOST[version]
    met = await zoo.meet(version, lease=LEASE_SECONDS)
    taken_back(met, "LOST_CONTACT", words, heard=heard, unproven=True)
    assert set(met.spoken) == ({(version, STAMPS.get(version, version))} if heard else set())
