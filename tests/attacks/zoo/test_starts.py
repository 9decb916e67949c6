"""Releases that load, pass their self-test, and never get as far as their server: back after two starts at most."""

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

WORDS = {
    mistakes.NO_LIBRARY_AT_START: "libfrobnicator.so.9",
    mistakes.OTHER_FOLDER: "which is no slot of",
    mistakes.OTHER_IDENTITY: "not enrolled",
    mistakes.EXITS_WITH_0: "exit code 0",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def zoo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Enclosure]:
    """One host for all of them."""
    releases = breed(tmp_path_factory.mktemp("releases"), [*WORDS, mistakes.LIES_TO_SELF_TEST])
    async with enclosure(releases, tmp_path_factory.mktemp("host")) as made:
        yield made


@pytest.mark.parametrize("version", WORDS)
async def test_a_release_that_never_gets_to_its_server_is_taken_back_after_two_starts(
    zoo: Enclosure, version: str
) -> None:
    """It misses a library, looks into the wrong folder, or ends at once."""
    met = await zoo.meet(version)
    taken_back(met, "START_FAILED", WORDS[version], heard=False)
    assert "failed in each of its 2 starts" in met.report.message


async def test_a_release_that_deceives_its_self_test_is_taken_back_by_its_name(zoo: Enclosure) -> None:
    """It calls itself another version as soon as it runs on trial, and a second start would change nothing."""
    met = await zoo.meet(mistakes.LIES_TO_SELF_TEST)
    words = "this program calls itself 1.0.5, its release is 3.3.0"
    taken_back(met, "VERSION_MISMATCH", words, heard=False)
    assert met.report.message == "the new version calls itself another one than its release, 3.3.0"
    assert zoo.said().count("started 3.3.0 ") == 1
