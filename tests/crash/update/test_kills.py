"""What a kill allows is the rules of a trial: each line is one place of the kill and all that may become of it."""

from __future__ import annotations

from typing import Any

import pytest

from fleetroll_agent.jobs.values import Attempt as JobAttempt
from fleetroll_agent.jobs.values import Outcome as JobOutcome
from fleetroll_agent.jobs.values import ProductRecord, Said, Stage, Step
from fleetroll_agent.launcher.values import (
    Attempt,
    Authority,
    Ended,
    Origin,
    Outcome,
    Reason,
    Record,
    SlotRef,
    Trial,
)
from tests.crash.real.host import FIRST, LAUNCHER, SUCCEEDED
from tests.crash.real.kill import Kill
from tests.crash.real.verdicts import GOES_ON, check_result
from tests.crash.update.kills import BAD, FAILED, RENAME, UNPROVEN, in_its_last_moment, legal
from tests.crash.update.world import NEW, NEW_AGENT, OLD, OLD_AGENT

OLD_SLOT, NEW_SLOT = (SlotRef(f"{v}-{d * 8}", v, d * 64, "/python", "cp311") for v, d in ((OLD, "0"), (NEW, "1")))
MINE = Attempt(Origin.SERVER, FIRST)
BEFORE = Record(seq=3, current=OLD_SLOT)


def trial(tries_left: int, *, promoted: bool = False) -> Record:
    starts = 2 - tries_left
    known = Trial(NEW_SLOT, MINE, Authority.SERVER, 1.0, 9.0, 0.0, 99.0, tries_left, starts=starts, promoted=promoted)
    return BEFORE._replace(trial=known)


def ended(how: Ended, reason: Reason = Reason.NONE) -> Record:
    return BEFORE._replace(last=Outcome(MINE, NEW, "1" * 64, how, reason))


def at(stage: Stage, step: Step | None = None) -> ProductRecord:
    return ProductRecord(highest=FIRST, attempt=JobAttempt(FIRST, NEW, stage=stage, step=step))


def kill(boot: Record, product: ProductRecord, role: str = NEW_AGENT, victim: str = "self") -> Kill:
    return Kill(1, role, "", "rename:x", "kill-before", victim, 10, (10,), boot, product)


ARM, TRIAL = at(Stage.APPLYING, Step.ARM), at(Stage.TRIAL)
NOTHING: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("struck", "said", "words"),
    [
        (kill(BEFORE, ProductRecord(), OLD_AGENT), "", {GOES_ON}),
        (kill(BEFORE, at(Stage.ACCEPTED), OLD_AGENT), "", {GOES_ON}),
        (kill(BEFORE, at(Stage.STAGED), LAUNCHER), "", {GOES_ON}),
        (kill(BEFORE, at(Stage.APPLYING, Step.SELF_TEST), OLD_AGENT), "beat", {FAILED}),
        (kill(BEFORE, ARM, OLD_AGENT), "beat", {FAILED}),
        (kill(BEFORE, ARM, OLD_AGENT), "arm", {FAILED, GOES_ON}),
        (kill(BEFORE, ARM, OLD_AGENT, "self+parent"), "arm", {FAILED, GOES_ON}),
        (kill(BEFORE, ARM, LAUNCHER), "arm", {FAILED}),
        (kill(BEFORE, ARM, LAUNCHER, "child"), "arm", {FAILED, GOES_ON}),
        (kill(trial(2), ARM, OLD_AGENT), "arm", {GOES_ON}),
        (kill(trial(2), ARM, LAUNCHER), "arm", {GOES_ON}),
        (kill(trial(1), ARM), "beat", {GOES_ON}),
        (kill(trial(0), ARM), "beat", {BAD}),
        (kill(trial(1), TRIAL), "hello", {BAD}),
        (kill(trial(1, promoted=True), TRIAL), "hello", {BAD, SUCCEEDED}),
        (kill(trial(1), TRIAL), "hello promote", {BAD, SUCCEEDED}),
        (kill(trial(1), TRIAL, LAUNCHER), "hello promote", {GOES_ON}),
        (kill(trial(0), TRIAL, LAUNCHER), "hello", {UNPROVEN}),
        (kill(trial(0, promoted=True), TRIAL, LAUNCHER), "hello promote", {UNPROVEN}),
        (kill(trial(0, promoted=True), TRIAL, NEW_AGENT, "parent"), "hello promote", {UNPROVEN, SUCCEEDED}),
        (kill(trial(0, promoted=True), TRIAL, LAUNCHER, "child"), "hello promote", {BAD, SUCCEEDED}),
        (kill(ended(Ended.COMMITTED), TRIAL, LAUNCHER), "", {SUCCEEDED}),
        (kill(ended(Ended.ROLLED_BACK, Reason.BAD), TRIAL, LAUNCHER), "", {BAD}),
        (kill(ended(Ended.ROLLED_BACK, Reason.UNPROVEN), TRIAL, LAUNCHER), "", {UNPROVEN}),
    ],
)
def test_a_kill_allows_what_the_rules_say(struck: Kill, said: str, words: set[str]) -> None:
    assert struck.generation in (0, FIRST)
    assert legal(struck, set(said.split())) == words


def test_an_attempt_that_had_ended_stays_as_it_ended() -> None:
    outcome = JobOutcome(4, FIRST, NEW, Said.FAILED, unproven=True)
    struck = kill(BEFORE, ProductRecord(highest=FIRST, outcomes=(outcome,)), OLD_AGENT)
    assert legal(struck, NOTHING) == {FAILED}


@pytest.mark.parametrize(
    ("victim", "after", "words"),
    [
        ("parent", [("staged", "send:x"), ("applying self_test", "fsync:products")], {FAILED}),
        ("parent", [("staged", "send:x"), ("staged", RENAME)], {GOES_ON, FAILED}),
        ("parent", [("staged", RENAME), ("staged #1", "fsync:products")], {GOES_ON}),
        ("parent", [], {GOES_ON}),
        ("self", [("applying self_test", "fsync:products")], {GOES_ON}),
    ],
)
def test_a_permit_that_is_used_without_a_launcher_is_lost(
    victim: str, after: list[tuple[str, str]], words: set[str]
) -> None:
    struck = kill(BEFORE, at(Stage.STAGED), OLD_AGENT, victim)
    lines = [{"state": state, "point": point} for state, point in after]
    assert in_its_last_moment(struck, legal(struck, NOTHING), lines) == words


@pytest.mark.parametrize(
    ("result", "allowed"),
    [
        ("FAILED", []),
        (UNPROVEN, []),
        (BAD, [{GOES_ON}]),
        (SUCCEEDED, [{FAILED}]),
        (SUCCEEDED, [{GOES_ON}, {BAD}]),
        ("FAILED", [{FAILED}]),
        (UNPROVEN, [{GOES_ON}, {BAD}]),
        (FAILED, [{FAILED, GOES_ON}, {BAD}]),
    ],
)
def test_a_result_that_no_kill_explains_is_refused(result: str, allowed: list[set[str]]) -> None:
    struck: Any = [kill(BEFORE, ProductRecord())] * len(allowed)
    with pytest.raises(AssertionError):
        check_result(result, struck, [frozenset(words) for words in allowed])


def test_a_result_that_a_kill_explains_passes() -> None:
    struck = [kill(BEFORE, ProductRecord())] * 2
    check_result(SUCCEEDED, [], [])
    check_result(SUCCEEDED, struck, [frozenset({GOES_ON}), frozenset({BAD, SUCCEEDED})])
    check_result(UNPROVEN, struck, [frozenset({GOES_ON}), frozenset({UNPROVEN})])
    check_result(FAILED, struck[:1], [frozenset({FAILED, GOES_ON})])
