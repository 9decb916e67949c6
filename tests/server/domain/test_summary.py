"""Counters: what each step changes equals a count from nothing, and what a person forgave hides nothing new."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from fleetroll_server.domain.states import BAD, BEFORE_GO, FINAL, PAST_GO, AttemptState
from fleetroll_server.domain.summary import HostView, WaveCounters, count, shared_cohorts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

A = AttemptState
COHORTS = st.sampled_from([(), ("os=linux",), ("os=linux", "site=ams"), ("site=fra",)])


@st.composite
def views(draw: st.DrawFn, cohorts: tuple[str, ...]) -> HostView:
    """A host as the engine may show it: whoever is past Go was attempted."""
    state = draw(st.sampled_from(list(A)))
    attempted = state in PAST_GO or (state in FINAL and draw(st.booleans()))
    return HostView(state, draw(st.booleans()), attempted, cohorts, shut=draw(st.booleans()))


@st.composite
def walks(draw: st.DrawFn) -> list[list[HostView]]:
    """Several hosts, each with the views it goes through."""
    return [draw(st.lists(views(draw(COHORTS)), min_size=1, max_size=6)) for _ in range(draw(st.integers(1, 6)))]


def mixed(hosts: list[list[HostView]], chance: Random) -> Iterator[tuple[int, HostView]]:
    """Give each host's further views in their order, the hosts mixed."""
    left = [list(reversed(host[1:])) for host in hosts]
    while any(left):
        index = chance.choice([i for i, views_ in enumerate(left) if views_])
        yield index, left[index].pop()


@settings(max_examples=200, deadline=None)
@given(walks(), st.randoms(use_true_random=False))
def test_counting_step_by_step_equals_counting_from_nothing(hosts: list[list[HostView]], chance: Random) -> None:
    counters = count(host[0] for host in hosts)
    now = [host[0] for host in hosts]
    for index, view in mixed(hosts, chance):
        counters = counters.moved(now[index], view)
        now[index] = view
    recounted = count(now)
    assert replace(counters, cohorts={}) == replace(recounted, cohorts={})
    assert {name: pair for name, pair in counters.cohorts.items() if pair != (0, 0)} == recounted.cohorts


@settings(max_examples=200, deadline=None)
@given(walks(), st.randoms(use_true_random=False), st.integers(0, 20))
def test_after_a_resume_no_new_bad_host_is_hidden(
    hosts: list[list[HostView]], chance: Random, resumed_after: int
) -> None:
    counters, now = count(host[0] for host in hosts), [host[0] for host in hosts]
    forgiven: set[int] = set()
    for number, (index, view) in enumerate(mixed(hosts, chance)):
        if number == resumed_after:
            counters = counters.forgive()
            forgiven = {i for i, host in enumerate(now) if host.is_bad}
        counters = counters.moved(now[index], view)
        now[index] = view
        forgiven -= set() if view.is_bad else {index}
    new = [host for i, host in enumerate(now) if host.is_bad and i not in forgiven]
    assert counters.unforgiven_bad >= len(new)
    for name, (_, bad) in counters.unforgiven_cohorts().items():
        assert bad >= sum(1 for host in new if name in host.cohorts)


@given(walks())
def test_what_is_stored_is_what_is_read(hosts: list[list[HostView]]) -> None:
    counters = count(host[-1] for host in hosts)
    for kept in (counters, counters.forgive(), replace(counters, left_at=datetime(2026, 3, 1, tzinfo=UTC))):
        assert WaveCounters.from_json(json.loads(json.dumps(kept.to_json()))) == kept


def test_counters_of_an_older_row_have_nothing_forgiven() -> None:
    counters = count([HostView(A.FAILED, attempted=True, cohorts=("os=linux",))])
    stored = counters.to_json()
    del stored["forgiven_bad"], stored["forgiven_cohorts"]
    assert WaveCounters.from_json(stored) == counters


def test_each_state_counts_as_the_design_says() -> None:
    for state in A:
        counters = count([HostView(state, attempted=state in PAST_GO)])
        assert counters.bad == (state in BAD)
        assert counters.ended == (state in FINAL or state is A.LOST)
        assert counters.attempted == (state in PAST_GO or state in BAD)
        assert counters.succeeded == (state is A.SUCCEEDED)
        assert counters.pending == (state is A.PENDING)
        assert counters.downloading == (state in {A.OFFERED, A.DOWNLOADING})
        assert counters.planned == 1


def test_skipped_cancelled_and_expired_hosts_are_neither_bad_nor_attempted() -> None:
    counters = count(HostView(state) for state in (A.SKIPPED, A.CANCELLED, A.EXPIRED))
    assert (counters.bad, counters.attempted, counters.ended) == (0, 0, 3)


def test_a_host_waits_only_before_go() -> None:
    for state in A:
        counters = count([HostView(state, waiting=True, attempted=state in PAST_GO)])
        assert counters.waiting == (state in BEFORE_GO)
        assert counters.pending == counters.downloading == 0


def test_a_host_is_shut_only_while_it_has_staged_and_waits_for_nothing_else() -> None:
    for state in A:
        shut, away = (HostView(state, waiting, state in PAST_GO, shut=True) for waiting in (False, True))
        assert count([shut]).shut == (state is A.STAGED)
        assert count([away]).shut == 0


def test_a_row_of_an_older_version_counts_right_after_the_first_step_of_a_shut_host() -> None:
    """It had been noted as waiting for its window, and was not counted."""
    shut, free = HostView(A.STAGED, shut=True), HostView(A.STAGED)
    older = replace(count([shut]), shut=0)
    assert older.moved(shut, free) == count([free])


def test_a_host_that_comes_back_well_takes_its_forgiveness_along() -> None:
    lost, runs, failed = (HostView(state, attempted=True) for state in (A.LOST, A.TRIAL, A.FAILED))
    counters = count([lost, runs]).forgive()
    assert counters.unforgiven_bad == 0
    assert counters.moved(lost, runs).unforgiven_bad == 0
    assert counters.moved(lost, runs).moved(runs, failed).unforgiven_bad == 1


def test_forgiving_leaves_what_is_known_and_is_not_more_than_once() -> None:
    counters = count([HostView(A.FAILED, attempted=True, cohorts=("os=linux",))])
    once = counters.forgive()
    assert once.forgive() == once
    assert (once.bad, once.cohorts) == (1, {"os=linux": (1, 1)})
    assert once.unforgiven_cohorts() == {"os=linux": (0, 0)}


def test_a_step_costs_the_same_in_a_wave_of_a_hundred_thousand_hosts() -> None:
    reads: list[str] = []

    class Watched(dict[str, tuple[int, int]]):
        def get(self, name: str, default: object = None) -> object:  # type: ignore[override]  # counts what is read
            reads.append(name)
            return super().get(name, default)

    counters = replace(WaveCounters(planned=100_000), cohorts=Watched({"os=linux": (50_000, 0)}))
    moved = counters.moved(HostView(A.STAGED, cohorts=("os=linux",)), HostView(A.FAILED, cohorts=("os=linux",)))
    assert (moved.planned, moved.bad, moved.ended) == (100_000, 1, 1)
    assert reads == ["os=linux"]


def test_a_wave_counts_only_cohorts_that_two_of_its_hosts_share() -> None:
    hosts = [("os=linux", "site=ams", "asset=1"), ("os=linux", "site=ams", "asset=2"), ("os=linux", "site=fra")]
    cohorts = shared_cohorts(hosts)
    assert cohorts == {"os=linux": (0, 0), "site=ams": (0, 0)}
    counters = WaveCounters(planned_cohorts=True, cohorts=cohorts)
    for host in hosts:
        counters = counters.moved(None, HostView(A.FAILED, attempted=True, cohorts=host))
    assert counters.cohorts == {"os=linux": (3, 3), "site=ams": (2, 2)}


def test_labels_of_one_host_each_make_no_step_of_ten_thousand_hosts_larger() -> None:
    hosts = [("os=linux", f"asset={number}") for number in range(10_000)]
    counters = WaveCounters(planned_cohorts=True, cohorts=shared_cohorts(hosts))
    for cohorts in hosts:
        counters = counters.moved(None, HostView(A.SUCCEEDED, attempted=True, cohorts=cohorts))
    assert counters.cohorts == {"os=linux": (10_000, 0)}, "all that a step copies and a gate reads"
    assert len(json.dumps(counters.forgive().to_json())) < 400, "bytes that each step writes"


def test_what_is_shared_counts_as_if_every_cohort_were_kept() -> None:
    hosts = [("os=linux", f"rack={number % 3}", f"asset={number}") for number in range(9)]
    planned = WaveCounters(planned_cohorts=True, cohorts=shared_cohorts(hosts))
    every = WaveCounters()
    for number, cohorts in enumerate(hosts):
        view = HostView(A.ROLLED_BACK if number % 3 == 0 else A.SUCCEEDED, attempted=True, cohorts=cohorts)
        planned, every = planned.moved(None, view), every.moved(None, view)
    shared = {name: pair for name, pair in every.cohorts.items() if not name.startswith("asset=")}
    assert planned.cohorts == shared
