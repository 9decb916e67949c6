"""The gate on the screen is the gate that the server judges by: the same numbers, and over when it fails the wave."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from fleetroll.v1 import rollouts_pb2
from fleetroll_server.domain import decide
from fleetroll_server.domain.bake import Bake
from fleetroll_server.domain.gates import Verdict
from fleetroll_server.domain.limits import RolloutLimits
from fleetroll_server.domain.states import RolloutState, WaveState
from fleetroll_server.domain.summary import WaveCounters
from fleetroll_server.rpc.convert_rollouts import wave_to_wire
from fleetroll_tui import convert
from fleetroll_tui.model.counted import Counted
from fleetroll_tui.model.events import Rates
from fleetroll_tui.model.progress import gate
from fleetroll_tui.paint import Paint
from fleetroll_tui.screens.panels import rollout_lines
from fleetroll_tui.theme import PALETTES

if TYPE_CHECKING:
    from fleetroll_tui.model.values import Rollout

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PLANNED = 40


def counted(attempted: int, bad: int, forgiven: int) -> WaveCounters:
    return WaveCounters(
        planned=PLANNED, attempted=attempted, bad=bad, forgiven_bad=forgiven, ended=bad, pending=PLANNED - attempted
    )


@st.composite
def counters(draw: st.DrawFn) -> WaveCounters:
    attempted = draw(st.integers(0, PLANNED))
    bad = draw(st.integers(0, attempted))
    return counted(attempted, bad, draw(st.integers(0, bad)))


def row(number: int, state: WaveState, found: WaveCounters) -> dict[str, Any]:
    facts: dict[str, Any] = {"number": number, "state": state.value, "planned": PLANNED, "counters": asdict(found)}
    return facts | {"gate": "", "baked_seconds": 0.0, "opened_at": NOW, "ended_at": None}


def judged(passed: list[WaveCounters], current: WaveCounters, limits: RolloutLimits) -> decide.Summary:
    late = sum(each.unforgiven_bad for each in passed)
    wave = decide.WaveSummary(len(passed) + 1, WaveState.OPEN, current, Bake(0.0), NOW)
    return decide.Summary(RolloutState.RUNNING, False, limits, wave, NOW + timedelta(days=1), late)


def told(passed: list[WaveCounters], current: WaveCounters, limits: RolloutLimits) -> Rollout:
    """The rollout as the console has it, over the wire."""
    wire = rollouts_pb2.Rollout(id="ro", state=rollouts_pb2.ROLLOUT_STATE_RUNNING)
    wire.limits.max_failed, wire.limits.failure_limit = limits.max_failed, limits.failure_limit
    for number, found in enumerate([*passed, current], 1):
        state = WaveState.PASSED if number <= len(passed) else WaveState.OPEN
        wire.waves.append(wave_to_wire(row(number, state, found), {}))  # type: ignore[arg-type]
    return convert.rollout(wire)


@given(st.lists(counters(), max_size=3), counters(), st.integers(1, 12), st.sampled_from([0.02, 0.1, 0.5]))
def test_the_console_counts_what_the_server_judges(
    passed: list[WaveCounters], current: WaveCounters, max_failed: int, failure_limit: float
) -> None:
    limits = RolloutLimits(max_failed=max_failed, failure_limit=failure_limit)
    server = decide.gate(judged(passed, current, limits))
    rollout = told(passed, current, limits)
    assert rollout.wave is not None
    found = gate(rollout, rollout.wave)
    assert server is not None
    if server.verdict is not Verdict.FAIL or "attempted, stops at" in server.evidence:
        assert server.evidence.startswith(f"{found.bad} bad of {found.attempted} attempted")
    assert found.over == (server.verdict is Verdict.FAIL)


def words(rollout: Rollout) -> str:
    paint = Paint(PALETTES["dark"], ascii_only=False)
    lines = rollout_lines(rollout, paint, NOW.timestamp(), 100, origins=Counter(), rates=Rates(Counted()))
    return "\n".join("".join(text for text, _ in line) for line in lines)


def test_a_wave_that_a_person_let_go_on_is_not_at_its_limit() -> None:
    limits = RolloutLimits(max_failed=1)
    assert "1 bad of 3 tried (33.3 %) ✖ limit reached" in words(told([], counted(3, 1, 0), limits))
    assert "0 bad of 2 tried (0.0 %), 1 forgiven, halts at" in words(told([], counted(3, 1, 1), limits))


def test_what_went_bad_behind_the_wave_brings_it_close_to_its_limit() -> None:
    limits = RolloutLimits(max_failed=2, failure_limit=0.5)
    shown = words(told([counted(4, 2, 1)], counted(3, 0, 0), limits))
    assert "1 bad of 4 tried (25.0 %) ▲ close, 1 of waves before, halts at 2" in shown
