"""Pictures of screens as they were approved. `pytest --snapshot-update tests/tui/test_snapshots.py` approves anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_tui.model.updates import Lost
from tests.tui import papers
from tests.tui.driving import MIDDLE, NARROW, WIDE, Ticks, console, played, press, settle, still

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.pilot import Pilot

SCENES: dict[str, tuple[tuple[int, int], Sequence[str], dict[str, Any]]] = {
    "overview": (WIDE, (), {}),
    "overview-narrow": (NARROW, (), {}),
    "rollout": (WIDE, ("2", "enter"), {}),
    "rollout-middle": (MIDDLE, ("2", "enter"), {}),
    "rollout-narrow": (NARROW, ("2", "enter"), {}),
    "rollout-light": (WIDE, ("2", "enter"), {"theme_name": "light"}),
    "rollout-ascii": (NARROW, ("2", "enter"), {"ascii_only": True}),
    "hosts-filtered": (NARROW, ("3", "slash", *"state:rolled_back|lost", "enter", "space"), {}),
    "host": (MIDDLE, ("3", "slash", *"00024", "enter", "enter"), {}),
    "continue": (NARROW, ("2", "j", "enter", "c"), {}),
    "halt": (NARROW, ("H",), {}),
}
PAPERS: dict[str, tuple[tuple[int, int], Sequence[str], dict[str, Any]]] = {
    "releases": (WIDE, ("4",), {}),
    "releases-narrow": (NARROW, ("4", "G", "k", "k"), {}),
    "release-light": (WIDE, ("4", "G", "k", "k", "enter"), {"theme_name": "light"}),
    "release-ascii": (NARROW, ("4", "G", "k", "k", "enter", "tab"), {"ascii_only": True}),
    "promote": (NARROW, ("4", "G", "k", "k", "P"), {}),
    "server": (WIDE, ("0",), {}),
    "recovery-narrow": (NARROW, ("0",), {}),
}
"""The screens of what is asked beside the watch: a recording has nothing of it."""


@pytest.mark.parametrize("name", SCENES)
def test_the_screen_looks_as_approved(name: str, snap_compare: Any) -> None:
    size, keys, options = SCENES[name]

    async def show(pilot: Pilot[int]) -> None:
        await settle(pilot)
        await press(pilot, *keys)
        await still(pilot)

    assert snap_compare(console(**options), run_before=show, terminal_size=size)


@pytest.mark.parametrize("name", PAPERS)
def test_what_is_asked_beside_the_watch_looks_as_approved(name: str, snap_compare: Any) -> None:
    size, keys, options = PAPERS[name]
    server = played()
    if name.startswith("recovery"):
        server.papers["recovery"] = papers.recovery()

    async def show(pilot: Pilot[int]) -> None:
        await settle(pilot)
        await press(pilot, *keys)
        await still(pilot)

    assert snap_compare(console(server, **options), run_before=show, terminal_size=size)


def test_a_stale_screen_looks_as_approved(snap_compare: Any) -> None:
    ticks = Ticks()
    app = console(ticks=ticks)
    app.server.recording = False

    async def show(pilot: Pilot[int]) -> None:
        await settle(pilot)
        await press(pilot, "2", "enter")
        ticks.at += 12
        app.session.take(Lost("UNAVAILABLE", "connection refused", tries=3))
        await still(pilot)

    assert snap_compare(app, run_before=show, terminal_size=NARROW)
