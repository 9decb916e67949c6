"""Releases that stop moving: before their first beat, or after their hello."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.attacks.zoo import mistakes
from tests.attacks.zoo.breeding import breed
from tests.attacks.zoo.enclosure import Enclosure, enclosure, taken_back

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def zoo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Enclosure]:
    """One host for both, whose launcher does not wait for long."""
    releases = breed(tmp_path_factory.mktemp("releases"), [mistakes.HANGS_AT_START, mistakes.HANGS])
    async with enclosure(releases, tmp_path_factory.mktemp("host"), start=8.0, hang=6.0) as made:
        yield made


async def test_a_release_that_hangs_before_its_first_beat_is_taken_back_after_two_starts(zoo: Enclosure) -> None:
    """Each start has the start limit, and then it is ended."""
    met = await zoo.meet(mistakes.HANGS_AT_START)
    taken_back(met, "START_FAILED", "no beat within 8 s of its start", heard=False)
    assert "/dev/frobnicator" in met.report.output_tail
    assert "failed in each of its 2 starts" in met.report.message


async def test_a_release_that_hangs_after_its_hello_is_killed_and_taken_back_at_once(zoo: Enclosure) -> None:
    """Its loop stands still, so it hears no stop either: the launcher's SIGKILL ends it."""
    killed = zoo.said().count("the agent ended: signal SIGKILL")
    met = await zoo.meet(mistakes.HANGS, soak=20.0)
    taken_back(met, "HUNG", "no beat for 6 s", heard=True)
    assert "waiting_for_lock" in met.report.output_tail
    assert zoo.said().count("the agent ended: signal SIGKILL") == killed + 1
