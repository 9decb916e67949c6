"""Releases that do not even load: the self-test in their slot ends them, and nothing is switched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.attacks.zoo import mistakes
from tests.attacks.zoo.breeding import breed
from tests.attacks.zoo.enclosure import Enclosure, enclosure, refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# A machine that is busy with other things makes these slow, never wrong.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]

WORDS = {
    mistakes.NO_MODULE: ("SELF_TEST_FAILED", "No module named 'frobnicator_client'"),
    mistakes.NO_LIBRARY: ("SELF_TEST_FAILED", "_sodium"),
    mistakes.OTHER_MACHINE: ("SELF_TEST_FAILED", "zstandard"),
    mistakes.OTHER_STAMP: ("VERSION_MISMATCH", "the program reports '1.0.5', its release is 2.3.0"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def zoo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Enclosure]:
    """One host for all of them."""
    releases = breed(tmp_path_factory.mktemp("releases"), [*WORDS, mistakes.GOOD])
    async with enclosure(releases, tmp_path_factory.mktemp("host")) as made:
        yield made


@pytest.mark.parametrize("version", WORDS)
async def test_a_release_that_does_not_load_is_ended_by_its_self_test(zoo: Enclosure, version: str) -> None:
    """Without a module or a library, built for another machine, or built as another version."""
    refused(await zoo.meet(version), *WORDS[version])


async def test_a_host_that_refused_them_all_takes_the_next_good_release(zoo: Enclosure) -> None:
    """Nothing of them is left that would be in its way."""
    met = await zoo.meet(mistakes.GOOD, end="SUCCEEDED")
    assert met.boot["current"]["version"] == mistakes.GOOD
    assert met.boot["bad"] == []
