"""A rollout as lines of text: waves, bars, states, gate. Pure: the same rollout gives the same lines."""

from __future__ import annotations

from fleetroll.v1 import rollouts_pb2, types_pb2
from fleetroll_cli.names import attempt_state, code_name, rollout_state, wave_state
from fleetroll_cli.output import plain

BAR_CELLS = 30
_DONE = (types_pb2.ATTEMPT_STATE_SUCCEEDED,)
_BAD = (
    types_pb2.ATTEMPT_STATE_FAILED,
    types_pb2.ATTEMPT_STATE_ROLLED_BACK,
    types_pb2.ATTEMPT_STATE_ROLLBACK_FAILED,
    types_pb2.ATTEMPT_STATE_LOST,
)
_WAITING = (types_pb2.ATTEMPT_STATE_PENDING, types_pb2.ATTEMPT_STATE_UNSPECIFIED)


def lines_of(rollout: rollouts_pb2.Rollout) -> list[str]:
    """Return what ``show`` and ``watch`` print."""
    head = f"{rollout.id}  {plain(rollout.product)} {plain(rollout.version)}  {rollout_state(rollout.state).upper()}"
    why = rollout.state_decision
    words = [word for word in (code_name(why.code), plain(why.reason, 500)) if word]
    lines = [head if not words else f"{head}  {': '.join(words)}"]
    if rollout.waiting_for:
        lines.append(f"waits for {plain(rollout.waiting_for)}")
    lines.extend(_wave(wave) for wave in rollout.waves)
    return lines


def _wave(wave: rollouts_pb2.Wave) -> str:
    """Return one line of a wave."""
    counts = ", ".join(f"{count.hosts} {attempt_state(count.state)}" for count in wave.counts if count.hosts)
    gate = f"  {plain(wave.gate)}" if wave.gate else ""
    return f"wave {wave.number}  {wave_state(wave.state):8}  {_bar(wave)}  {counts or 'no hosts'}{gate}"


def _bar(wave: rollouts_pb2.Wave) -> str:
    """Return a bar: # succeeded, ! bad, > on its way, . waiting; every state of at least one host is seen."""
    shares = {"#": 0, "!": 0, ">": 0, ".": 0}
    for count in wave.counts:
        mark = "#" if count.state in _DONE else "!" if count.state in _BAD else "." if count.state in _WAITING else ">"
        shares[mark] += count.hosts
    cells = _cells(shares)
    return f"[{''.join(mark * cells[mark] for mark in shares).ljust(BAR_CELLS, '.')}]"


def _cells(shares: dict[str, int]) -> dict[str, int]:
    """Share the bar's cells; whoever has a host has a cell, at the cost of the largest share."""
    total = sum(shares.values()) or 1
    cells = {mark: max(1, hosts * BAR_CELLS // total) if hosts else 0 for mark, hosts in shares.items()}
    largest = max(cells, key=lambda mark: cells[mark])
    cells[largest] += BAR_CELLS - sum(cells.values()) if any(shares.values()) else 0
    return cells
