"""An update of a product of kind ``command`` is struck at every point by every fault; no promise breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crash.products.proofs import prove

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.counts import Counts


@pytest.mark.long
@pytest.mark.crash
@pytest.mark.timeout(86400)
def test_no_fault_at_any_point_breaks_a_promise(tmp_path: Path, counts: Counts, full: bool) -> None:
    """Whatever strikes whenever, one whole version is active and the server learns the truth once."""
    prove("command", tmp_path, counts, full=full)
