"""A rollout as lines of text: waves, bars, states, gate. Pure: the same rollout gives the same lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll.v1 import reasons_pb2, rollouts_pb2, types_pb2
from fleetroll_cli.checks import check_line
from fleetroll_cli.names import attempt_state, code_name, local_time, rollout_state, wave_state
from fleetroll_cli.output import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

BAR_CELLS = 30
_DONE = (types_pb2.ATTEMPT_STATE_SUCCEEDED,)
_BAD = (
    types_pb2.ATTEMPT_STATE_FAILED,
    types_pb2.ATTEMPT_STATE_ROLLED_BACK,
    types_pb2.ATTEMPT_STATE_ROLLBACK_FAILED,
    types_pb2.ATTEMPT_STATE_LOST,
)
_WAITING = (
    types_pb2.ATTEMPT_STATE_PENDING,
    types_pb2.ATTEMPT_STATE_EXCUSED,  # of an earlier attempt alone: its host waits for another one
    types_pb2.ATTEMPT_STATE_UNSPECIFIED,
)
_LEFT_OUT = (
    types_pb2.ATTEMPT_STATE_CANCELLED,
    types_pb2.ATTEMPT_STATE_SKIPPED,
    types_pb2.ATTEMPT_STATE_EXPIRED,
)
_MARKS = (
    dict.fromkeys(_DONE, "#") | dict.fromkeys(_BAD, "!") | dict.fromkeys(_LEFT_OUT, "-") | dict.fromkeys(_WAITING, ".")
)
_PAUSED = (reasons_pb2.REASON_CODE_PAUSED, reasons_pb2.REASON_CODE_SUSPENDED, reasons_pb2.REASON_CODE_INTERNAL)
"""Stops of late hosts that end when a person resumes; the contract says which."""
_KNOWN = frozenset(reasons_pb2.ReasonCode.values())
"""Nothing is advised about what only a newer server knows."""
_STOPPED = {"paused": "paused", "stopped": "not offered any more"}
_AT_ITS_END = {rollouts_pb2.WAVE_STATE_PASSED: "passed with ", rollouts_pb2.WAVE_STATE_FAILED: "failed with "}


def lines_of(rollout: rollouts_pb2.Rollout) -> list[str]:
    """Return what ``show`` and ``watch`` print."""
    return [*head_of(rollout), *(_wave(wave) for wave in rollout.waves), *map(check_line, rollout.gate_checks)]


def head_of(rollout: rollouts_pb2.Rollout) -> list[str]:
    """Return the same without the waves: what a decision prints."""
    head = f"{rollout.id}  {plain(rollout.product)} {plain(rollout.version)}  {rollout_state(rollout.state).upper()}"
    words = _words(rollout.state_decision)
    lines = [f"{head}  {words}" if words else head]
    if rollout.parent_id:
        lines.append(f"takes back {plain(rollout.parent_id)}, each host to the version that it had before")
    if rollout.revert_id:
        lines.append(f"taken back by {plain(rollout.revert_id)}")
    if rollout.waiting_for:
        lines.append(f"waits for {plain(rollout.waiting_for)}{_until(rollout)}")
    if rollout.HasField("approved"):
        lines.append(
            f"approved by {plain(rollout.approved.actor.id)}: {plain(rollout.approved.reason, 500)}".rstrip(": ")
        )
    if rollout.HasField("late"):
        lines.append(_late(rollout.late))
    if rollout.late.HasField("stopped"):
        lines.extend(_after_late_stop(rollout))
    return lines


def _until(rollout: rollouts_pb2.Rollout) -> str:
    """Return when what a rollout waits for comes by itself, or comes too late."""
    if rollout.state == rollouts_pb2.ROLLOUT_STATE_SCHEDULED:
        return f": {local_time(rollout, 'start_at')}"
    if rollout.state == rollouts_pb2.ROLLOUT_STATE_AWAITING_APPROVAL:
        return f", until {local_time(rollout, 'approve_by')}"
    return ""


def why_of(rollout: rollouts_pb2.Rollout) -> str:
    """Return one cell of a list: why the rollout is in its state; once completed, why its late hosts are stopped."""
    if rollout.late.HasField("stopped"):
        return f"late hosts {_stop_word(rollout.late)}: {_words(rollout.late.stopped)}".removesuffix(": ")
    return rollout.state_decision.reason


def next_for(hosts: Iterable[rollouts_pb2.RolloutHost]) -> str:
    """Return what to do about hosts that refuse the artefact itself, on one line; empty when there is none."""
    bad = sum(host.attempt.code == reasons_pb2.REASON_CODE_BAD_DIGEST for host in hosts)
    if not bad:
        return ""
    many = "1 host" if bad == 1 else f"{bad} hosts"
    return f"next: BAD_DIGEST: {many} went back from this artefact before: publish a mended version, or use --retry-bad"


def _words(why: types_pb2.Decision) -> str:
    """Return code and reason of a decision."""
    return ": ".join(word for word in (code_name(why.code), plain(why.reason, 500)) if word)


def _stop_word(late: rollouts_pb2.LateHosts) -> str:
    """Return whether a stop is for a person to end, or for good."""
    return "paused" if late.stopped.code in _PAUSED else "stopped"


def _after_late_stop(rollout: rollouts_pb2.Rollout) -> list[str]:
    """Return what a person may do about late hosts that are offered no more; nothing after a person's cancel."""
    late, name = rollout.late, plain(rollout.id)
    if late.stopped.code in _PAUSED:
        lift = "lift the kill switch, then " if late.stopped.code == reasons_pb2.REASON_CODE_SUSPENDED else ""
        return [f"next: {lift}fleetroll rollout resume {name}, or cancel it"] if late.left else []
    if late.stopped.code == reasons_pb2.REASON_CODE_CANCELLED_BY or late.stopped.code not in _KNOWN:
        return []
    return ["next: start a new rollout, of a mended release if this one is to blame: it takes these hosts along"]


def _late(late: rollouts_pb2.LateHosts) -> str:
    """Return one line of the late hosts: how many, what they wait for, or why they are offered no more."""
    if late.HasField("stopped"):
        why = _words(late.stopped)
        line = f"late hosts  {late.left} left, {_STOPPED[_stop_word(late)]}"
        return f"{line}  {why}" if why else line
    return f"late hosts  {late.left} left, one by one: {late.waiting} away or held, {late.under_way} under way"


def _wave(wave: rollouts_pb2.Wave) -> str:
    """Return one line of a wave. Its gate was judged once: beside counts that move on, it says of when it is."""
    counts = ", ".join(f"{count.hosts} {attempt_state(count.state)}" for count in wave.counts if count.hosts)
    gate = f"  {_AT_ITS_END.get(wave.state, '')}{plain(wave.gate)}" if wave.gate else ""
    return f"wave {wave.number}  {wave_state(wave.state):8}  {_bar(wave)}  {counts or 'no hosts'}{gate}"


def _bar(wave: rollouts_pb2.Wave) -> str:
    """Return a bar: # succeeded, ! bad, - ended without it, > on its way, . waiting; each with a host is seen."""
    shares = {"#": 0, "!": 0, "-": 0, ">": 0, ".": 0}
    for count in wave.counts:
        shares[_MARKS.get(count.state, ">")] += count.hosts
    cells = _cells(shares)
    return f"[{''.join(mark * cells[mark] for mark in shares).ljust(BAR_CELLS, '.')}]"


def _cells(shares: dict[str, int]) -> dict[str, int]:
    """Share the bar's cells; whoever has a host has a cell, at the cost of the largest share."""
    total = sum(shares.values()) or 1
    cells = {mark: max(1, hosts * BAR_CELLS // total) if hosts else 0 for mark, hosts in shares.items()}
    largest = max(cells, key=lambda mark: cells[mark])
    cells[largest] += BAR_CELLS - sum(cells.values()) if any(shares.values()) else 0
    return cells
