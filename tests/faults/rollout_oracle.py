"""What must hold of a rollout at every moment, said in other words than the domain's own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fleetroll_server.domain import summary
from fleetroll_server.domain.charges import Holding
from fleetroll_server.domain.states import AttemptState, RolloutState
from tests.faults.rollout_rows import OUT_OF_COUNT, SCOPES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleetroll_server.domain.late import StopLate
    from tests.faults.rollout_outages import Recorded
    from tests.faults.rollout_rows import HostRow, Rows

_BEFORE = {"pending", "offered", "downloading", "staged"}
_OUT = {"granted", "applying", "trial", "promoted", "soaking"}
_RESULTS = {"succeeded", "failed", "rolled_back", "rollback_failed", "cancelled", "skipped", "expired"}
_BROKEN = {"lost", "rolled_back", "rollback_failed"}


def check(rows: Rows) -> None:
    """Assert everything that holds between two steps."""
    _check_states(rows)
    _check_counters(rows)
    _check_budgets(rows)
    _check_deadlines(rows)


def check_pass(rows: Rows, number: int) -> None:
    """Assert that a wave that has just passed may pass: what is unknown counts as failed."""
    hosts = rows.of_wave(number)
    unknown = [h.name for h in hosts if not _ended(h) and not _waits(h)]
    assert not unknown, f"wave {number} passed while {unknown} had not ended"
    assert not gate_fails(rows, number), f"wave {number} passed against its gate"
    if rows.waves[number - 1].passed_by_person:
        return
    assert [h for h in hosts if h.state is AttemptState.SUCCEEDED], f"wave {number} passed without a success"
    tried = [h for h in hosts if h.attempted or h.state.value in {*_BROKEN, "failed"}]
    assert len(tried) >= max(1, min(rows.limits.min_sample, len(hosts))), f"wave {number} passed untried"


def gate_fails(rows: Rows, number: int) -> bool:
    """Tell whether the wave's gate says FAIL; hosts that a person forgave are left out."""
    hosts = [h for h in rows.of_wave(number) if not h.forgiven]
    groups = {name for host in hosts for name in host.cohorts}
    late = sum(_bad(h for h in rows.of_wave(n) if not h.forgiven) for n in range(1, number))
    bad, tried = _bad(hosts) + late, _tried(hosts) + late
    if bad >= rows.limits.max_failed or _surely_above(bad, tried, rows.limits.failure_limit):
        return True
    for group in groups:
        members = [host for host in hosts if group in host.cohorts]
        bad, tried = _bad(members), _tried(members)
        if tried >= 2 and bad == tried:
            return True
        if tried >= 3 and bad >= 2 and _surely_above(bad, tried, rows.limits.failure_limit):
            return True
    return False


def _surely_above(bad: int, tried: int, limit: float) -> bool:
    """Tell whether the rate is above the limit by more than 1.645 standard deviations at the limit (score test)."""
    if not bad or limit >= 1:
        return False
    return bad / tried - limit > 1.6448536269514722 * math.sqrt(limit * (1 - limit) / tried)


def _ended(host: HostRow) -> bool:
    return host.state.value in _RESULTS or host.state is AttemptState.LOST


def _waits(host: HostRow) -> bool:
    return host.state.value in _BEFORE and host.waiting in OUT_OF_COUNT


def _is_bad(host: HostRow) -> bool:
    return host.state.value in {*_BROKEN, "failed"}


def _bad(hosts: Iterable[HostRow]) -> int:
    return sum(1 for host in hosts if _is_bad(host))


def _tried(hosts: Iterable[HostRow]) -> int:
    return sum(1 for host in hosts if host.attempted or _is_bad(host))


def _check_states(rows: Rows) -> None:
    for host in rows.hosts.values():
        known = (host.state.value in _BEFORE, host.state.value in _OUT, _ended(host))
        assert sum(known) == 1, f"{host.name} is {host.state}"


def _check_counters(rows: Rows) -> None:
    for wave in rows.waves:
        hosts = rows.of_wave(wave.number)
        counted = summary.count(host.view() for host in hosts)
        now = wave.counters
        for name in ("planned", "attempted", "bad", "ended", "waiting", "succeeded", "pending", "downloading"):
            assert getattr(now, name) == getattr(counted, name), f"wave {wave.number}: {name} drifted"
        assert (now.planned, now.bad, now.ended) == (len(hosts), _bad(hosts), sum(map(_ended, hosts)))
        assert now.waiting == sum(map(_waits, hosts))
        forgiven = [host for host in hosts if host.forgiven]
        assert 0 <= now.forgiven_bad <= len(forgiven), "more is forgiven than a person forgave"
        real = {group: _bad([h for h in hosts if group in h.cohorts and not h.forgiven]) for group in now.cohorts}
        gated = now.unforgiven_cohorts()
        assert all(gated[group][1] >= bad for group, bad in real.items()), "a cohort hides a bad host"


def _check_budgets(rows: Rows) -> None:
    out = [host.name for host in rows.hosts.values() if host.state.value in _OUT]
    charged = {name for name, _, _ in rows.charges}
    for scope in SCOPES:
        mine = {name: kind for (name, where, _), kind in rows.charges.items() if where == scope}
        in_use = sorted(name for name, kind in mine.items() if kind is Holding.IN_USE)
        assert in_use == sorted(out), f"{scope} holds {in_use}, past Go are {sorted(out)}"
        broken = len(mine) - len(in_use)
        stored = rows.budgets[scope]
        assert (stored.in_use, stored.broken) == (len(in_use), broken), f"{scope} was counted wrongly"
    lost = [h.name for h in rows.hosts.values() if h.state.value in _BROKEN and not h.forgiven]
    if rows.state in {RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.HALTED}:
        here = [name for name in lost if rows.waves[rows.hosts[name].wave - 1] is rows.current()]
        assert charged.issuperset(here), f"{here} are broken and hold nothing"
    if not rows.alerts:
        assert len(out) <= rows.limits.max_concurrent, f"{out} are past Go, {rows.limits.max_concurrent} may be"


def check_grant(rows: Rows, name: str) -> None:
    """Assert that the Go that was just given may be given."""
    late = rows.state is RolloutState.COMPLETED and rows.late_stop is None
    assert rows.state is RolloutState.RUNNING or late, f"Go for {name} while {rows.state}, {rows.late_stop}"
    if late:
        _check_late_grant(rows, name)
    assert not rows.killed, f"Go for {name} under the kill switch"
    assert name not in rows.quarantined, f"Go for {name} in quarantine"
    assert rows.now < rows.not_after, f"Go for {name} out of time"
    assert name in rows.sessions, f"Go for {name} without a session"
    for scope in SCOPES:
        own = rows.budgets[scope]
        assert own.in_use <= own.max_in_use, f"Go for {name}: {own}"
        assert own.in_use + own.broken <= own.max_out, f"Go for {name}: {own}"


def check_late_stop(rows: Recorded, stop: StopLate) -> None:
    """Assert that late hosts were stopped for harm that was done after the completion, or for a day without a move."""
    harm = [host.name for host in rows.hosts.values() if _is_bad(host) and not host.forgiven]
    assert harm or "nothing moved" in stop.reason, f"late hosts were stopped although none went bad: {stop.reason}"
    rows.judge_stuck(stop.code, stop.reason)


def _check_late_grant(rows: Rows, name: str) -> None:
    """Assert that late hosts go one by one, and none after as many bad ones as the limits allow."""
    out = [host.name for host in rows.hosts.values() if host.state.value in _OUT]
    assert out == [name], f"Go for the late {name} while {out} are past it"
    bad = [host.name for host in rows.hosts.values() if _is_bad(host) and not host.forgiven]
    assert len(bad) < rows.limits.max_failed, f"Go for the late {name} although {bad} went bad"


def _check_deadlines(rows: Rows) -> None:
    """Silence is never success: every state that waits for a host's word has an end."""
    running = rows.offers
    for host in rows.hosts.values():
        here = host.name in rows.sessions
        timed = host.state.value in _OUT - {"granted"} or (host.state is AttemptState.GRANTED and not here)
        timed |= here and (host.state.value == "downloading" or (host.state.value == "offered" and running))
        assert host.deadline is not None or not timed, f"{host.name} may stay {host.state} for ever"
