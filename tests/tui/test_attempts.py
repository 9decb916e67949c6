"""A host's attempts: the list that was read, and what the watch told of the newest one since."""

from __future__ import annotations

from dataclasses import replace

from fleetroll_tui.model.values import Attempt, Product
from fleetroll_tui.session import Session
from tests.tui.driving import host

RUNS = Attempt("at-2", "ro-1", "1.4.2", "1.5.0", "applying", step="self_test")
BEFORE = Attempt("at-1", "ro-0", "1.4.1", "1.4.2", "succeeded", ended_at=5.0)


def shown(told: Attempt, *listed: Attempt) -> tuple[Attempt, ...]:
    session = Session(lambda: 0.0)
    one = host(1, products=(Product("web", "1.4.2", last_attempt=told),))
    session.take_attempts(one.id, "", listed)
    return session.attempts(one)


def test_the_newest_attempt_is_shown_as_it_was_told_last() -> None:
    told = replace(RUNS, step="restart")
    assert shown(told, RUNS, BEFORE) == (told, BEFORE)
    failed = replace(RUNS, state="failed", code="EXITED", message="it died", ended_at=9.0)
    assert shown(failed, RUNS, BEFORE) == (failed, BEFORE)


def test_output_stays_which_only_the_list_has() -> None:
    listed = replace(RUNS, output_tail="a last line")
    assert shown(replace(RUNS, step="restart"), listed)[0].output_tail == "a last line"


def test_a_list_that_knows_the_end_is_not_overruled_by_what_was_told_before() -> None:
    ended = replace(RUNS, state="failed", ended_at=9.0)
    assert shown(RUNS, ended, BEFORE) == (ended, BEFORE)


def test_an_attempt_that_is_not_listed_yet_comes_first() -> None:
    assert shown(RUNS, BEFORE) == (RUNS, BEFORE)
    assert shown(Attempt(""), BEFORE) == (BEFORE,)
