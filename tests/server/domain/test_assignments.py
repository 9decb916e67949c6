"""A host's word against what is believed: every reported state in every current one, by report and by hello.

In the tables a word is the state that follows, ``=`` is history, ``x`` is rejected and stored; ``!`` is a host past Go
without a grant, ``~`` a kept version that went back late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.assignments import (
    History,
    Judgement,
    Rejected,
    Step,
    judge_hello,
    judge_report,
)
from fleetroll_server.domain.states import ATTEMPT_TRANSITIONS, BEFORE_GO, FINAL, PAST_GO, AttemptState, Trigger

if TYPE_CHECKING:
    from collections.abc import Callable

A = AttemptState
SAID = (
    *("offered", "downloading", "staged", "applying", "trial", "soaking"),
    *("succeeded", "failed", "rolled_back", "rollback_failed", "cancelled", "skipped"),
)
SERVERS_ALONE = sorted(set(A) - {A(word) for word in SAID})

WENT_ON_ALONE = "applying! trial! soaking! x failed x x cancelled skipped"
RESULTS = "succeeded failed rolled_back rollback_failed cancelled x"
KEPT = "= = = = = = = = rolled_back~ = = ="
HISTORY = "= = = = = = = = = = = ="
ENDED_BY_SERVER = "= = = x x x x = x x = ="

REPORTS = {
    "pending": f"downloading downloading staged {WENT_ON_ALONE}",
    "offered": f"downloading downloading staged {WENT_ON_ALONE}",
    "downloading": f"= downloading staged {WENT_ON_ALONE}",
    "staged": f"= = staged {WENT_ON_ALONE}",
    # An old STAGED is no proof that a Go is unused: it was written before.
    "granted": f"= = = applying trial soaking {RESULTS}",
    "applying": f"= = = applying trial soaking {RESULTS}",
    # Trial and soak are two kinds of products: the other's word is impossible.
    "trial": f"= = = = trial x {RESULTS}",
    "promoted": f"= = = = = = {RESULTS}",
    "soaking": f"= = = = x soaking {RESULTS}",
    "lost": f"= = = applying trial soaking {RESULTS}",
    "succeeded": KEPT,
    "failed": HISTORY,
    "rolled_back": HISTORY,
    "rollback_failed": "= = = = = = x x x = x x",
    "cancelled": ENDED_BY_SERVER,
    "skipped": ENDED_BY_SERVER,
    "expired": ENDED_BY_SERVER,
}
HELLOS: dict[str, str] = {
    "pending": f"downloading downloading staged {WENT_ON_ALONE}",
    "offered": f"downloading downloading staged {WENT_ON_ALONE}",
    "downloading": f"downloading downloading staged {WENT_ON_ALONE}",
    "staged": f"downloading downloading staged {WENT_ON_ALONE}",
    # Said now, in the newest session: every earlier Go is unused and dead.
    "granted": f"downloading downloading staged applying trial soaking {RESULTS}",
    "lost": f"downloading downloading staged applying trial soaking {RESULTS}",
    # A Go that was used can't be unused.
    "applying": f"x x x applying trial soaking {RESULTS}",
    "trial": f"x x x x trial x {RESULTS}",
    "promoted": f"x x x x promoted x {RESULTS}",
    "soaking": f"x x x x x soaking {RESULTS}",
    **{str(state): REPORTS[state] for state in sorted(FINAL)},
}


def shown(state: AttemptState, judgement: Judgement) -> str:
    """Write a judgement as the tables do."""
    if isinstance(judgement, Rejected):
        assert judgement.code is Code.REPORT_ILLEGAL
        return "x"
    if isinstance(judgement, History):
        return "="
    mark = "!" if judgement.uncharged else "~" if judgement.late else ""
    return str(ATTEMPT_TRANSITIONS[state][judgement.trigger]) + mark


@pytest.mark.parametrize("state", list(A))
def test_each_report_does_what_the_design_says_in_each_state(state: AttemptState) -> None:
    found = [shown(state, judge_report(state, A(word), code=None)) for word in SAID]
    assert dict(zip(SAID, found, strict=True)) == dict(zip(SAID, REPORTS[state].split(), strict=True))


@pytest.mark.parametrize("state", list(A))
def test_each_hello_does_what_the_design_says_in_each_state(state: AttemptState) -> None:
    found = [shown(state, judge_hello(state, A(word), code=None)) for word in SAID]
    assert dict(zip(SAID, found, strict=True)) == dict(zip(SAID, HELLOS[state].split(), strict=True))


@pytest.mark.parametrize("state", list(A))
@pytest.mark.parametrize("word", SERVERS_ALONE)
def test_states_that_are_the_servers_alone_are_believed_of_nobody(state: AttemptState, word: AttemptState) -> None:
    assert judge_report(state, word, code=None) == Rejected(Code.REPORT_ILLEGAL)
    assert judge_hello(state, word, code=None) == Rejected(Code.REPORT_ILLEGAL)


@pytest.mark.parametrize("state", sorted(PAST_GO))
@pytest.mark.parametrize("word", [A.OFFERED, A.DOWNLOADING, A.STAGED])
def test_a_report_from_before_go_never_frees_a_go(state: AttemptState, word: AttemptState) -> None:
    assert judge_report(state, word, code=None) == History()


@pytest.mark.parametrize("state", [A.GRANTED, A.LOST])
def test_a_hello_that_says_staged_frees_a_go(state: AttemptState) -> None:
    assert judge_hello(state, A.STAGED, code=None) == Step(Trigger.STAGE)


@pytest.mark.parametrize("judge", [judge_report, judge_hello])
@pytest.mark.parametrize("state", sorted(BEFORE_GO | PAST_GO))
def test_what_the_kill_switch_stopped_goes_back_into_the_queue_of_an_open_rollout(
    judge: Callable[..., Judgement], state: AttemptState
) -> None:
    assert judge(state, A.CANCELLED, code=Code.KILLED) == Step(Trigger.REQUEUE)
    assert judge(state, A.CANCELLED, code=Code.KILLED, is_open=False) == Step(Trigger.END_BY_HOST)
    assert judge(state, A.CANCELLED, code=Code.CANCELLED_BY) == Step(Trigger.END_BY_HOST)


def test_only_a_cancelled_attempt_is_taken_for_killed() -> None:
    assert judge_report(A.APPLYING, A.ROLLED_BACK, code=Code.KILLED) == Step(Trigger.ROLL_BACK)


def test_a_lost_host_is_heard_whatever_it_says_of_a_used_go() -> None:
    for word in set(SAID) - {"offered", "downloading", "staged", "skipped"}:
        assert isinstance(judge_report(A.LOST, A(word), code=None), Step)
