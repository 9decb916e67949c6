"""The agent's update to each kind of bad version is struck at every point by every fault; no promise breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crash.agent.bench import Bench
from tests.crash.agent.scenarios import BAD
from tests.crash.products.proofs import prove_on

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.counts import Counts

LEAST = 1500
NAMES = (BAD, "agent, then bad")


@pytest.mark.long
@pytest.mark.crash
@pytest.mark.timeout(86400)
def test_no_fault_at_any_point_of_a_bad_update_breaks_a_promise(tmp_path: Path, counts: Counts, full: bool) -> None:
    """Whatever strikes whenever, the bad version goes, and what ran before runs again."""
    with Bench(tmp_path / "host", full=full).standing() as bench:
        prove_on(bench, BAD, counts, LEAST, full=full, results=("FAILED", "ROLLED_BACK"), names=NAMES)
