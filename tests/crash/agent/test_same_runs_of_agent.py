"""Cases of the agent's own update that are counted as one run are one, whichever of its two processes is struck."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crash.agent.bench import Bench
from tests.crash.agent.scenarios import AGENT, BAD
from tests.crash.products.sameness import PAIRS, compared

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.crash
@pytest.mark.parametrize("kind", [AGENT, BAD])
def test_cases_that_are_counted_as_one_run_go_the_same_way(kind: str, tmp_path: Path) -> None:
    with Bench(tmp_path / "host").standing() as bench:
        found = compared(bench, kind)
    assert found == {fault: PAIRS for fault in bench.faults if fault not in {"EIO", "read-only"}}
