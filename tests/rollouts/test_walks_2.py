"""Half of the walks. There is another half, for another process: test_walks_1.py."""

from __future__ import annotations

import pytest

from tests.rollouts.volume import walk_part


@pytest.mark.long
@pytest.mark.timeout(24 * 3600)
@pytest.mark.parametrize("part", [3, 4])
def test_whatever_hosts_people_and_time_do_rollouts_stay_sound_and_end(part: int, *, full: bool) -> None:
    walk_part(part, full=full)
