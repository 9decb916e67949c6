"""Cases that are counted as one run are one: what is struck at one of them goes on as what is struck at the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crash.products.bench import Bench
from tests.crash.products.sameness import PAIRS, compared
from tests.crash.products.scenarios import KINDS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.crash
@pytest.mark.parametrize("kind", KINDS)
def test_cases_that_are_counted_as_one_run_go_the_same_way(kind: str, tmp_path: Path) -> None:
    with Bench(tmp_path / "host").standing() as bench:
        found = compared(bench, kind)
    assert found == {fault: PAIRS for fault in bench.faults if fault not in {"EIO", "read-only"}}
