"""The agent's update to a good version is struck at every point by every fault; no promise breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crash.agent.bench import Bench
from tests.crash.agent.scenarios import AGENT
from tests.crash.products.proofs import prove_on

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.counts import Counts

LEAST = 1000


@pytest.mark.long
@pytest.mark.crash
@pytest.mark.timeout(86400)
def test_no_fault_at_any_point_of_a_good_update_breaks_a_promise(tmp_path: Path, counts: Counts, full: bool) -> None:
    """Whatever strikes whenever, a version starts, one agent runs, and the server learns the truth once."""
    with Bench(tmp_path / "host", full=full).standing() as bench:
        prove_on(bench, AGENT, counts, LEAST, full=full)
