"""A server changes a host to and fro, by releases that it may order: once per interval, not as often as it likes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.attacks.named.scene import RUNS, V_WANTED, WANTED, Stock, Tally, scene

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(180)

INTERVAL_SECONDS = 12.0
"""Room for the changes of a slow machine, of which each stops the service."""


async def test_up_and_down_a_required_stop(stock: Stock, tmp_path: Path, tally: Tally) -> None:
    """The way up to a stop that its publisher requires is free once; after a way back it is an update like others."""

    def settings(text: str) -> str:
        rule = "min_update_interval_seconds = "
        return text.replace(f"{rule}0\n", f"{rule}{INTERVAL_SECONDS:g}\n")

    async with scene(stock, tmp_path, tally, settings) as attacked:
        attacked.rule(intermediates=(V_WANTED,))
        await asyncio.sleep(INTERVAL_SECONDS)
        for version in (WANTED, RUNS, WANTED, RUNS):
            await attacked.installs(version)
        attacked.before = attacked.untouched()
        await attacked.waits("TOO_SOON")
