"""A release that holds for its soak, is kept, and then falls again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.launcher.limits import CRASH_LIMIT
from tests.attacks.zoo import mistakes
from tests.attacks.zoo.breeding import OLD, breed
from tests.attacks.zoo.enclosure import enclosure, still_here

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


async def test_a_release_that_crashes_after_its_commit_is_taken_back_late_and_once(tmp_path: Path) -> None:
    """After more crashes than the limit the version before runs, and the release is bad here."""
    releases = breed(tmp_path, [mistakes.CRASHES_LATER])
    async with enclosure(releases, tmp_path) as zoo:
        met = await zoo.meet(mistakes.CRASHES_LATER, end="ROLLED_BACK")
        assert met.states[-2:] == ("SUCCEEDED", "ROLLED_BACK")
        assert met.code == "CRASHED_AFTER_COMMIT"
        assert f"{CRASH_LIMIT + 1} crashes within 600 s after the commit" in met.report.message
        assert "no_memory_left" in met.report.output_tail
        assert (met.report.running_version, met.report.unproven) == (OLD, False)
        assert (met.boot["last"]["reason"], met.boot["previous"]) == ("late", None)
        assert met.boot["bad"] == [met.report.sha256.hex()]
        still_here(met)
        again = await zoo.meet(mistakes.CRASHES_LATER)
        assert (again.states[-1], again.code) == ("FAILED", "BAD_DIGEST")
