"""The judge of disturbed shops is judged: what a kill allows, line by line, and a host that is wrong in one thing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fleetroll_agent.jobs.journal import Entry
from fleetroll_agent.jobs.values import Attempt, Outcome, ProductRecord, Report, Said, Stage, Step
from fleetroll_agent.jobs.work import Work
from fleetroll_agent.launcher.values import Record, SlotRef
from fleetroll_common.values.codes import Code
from tests.crash.real.beside import TEN_YEARS_SECONDS, noted, says_why
from tests.crash.real.host import FIRST
from tests.crash.real.kill import Kill
from tests.crash.real.verdicts import GOES_ON
from tests.crash.shop.kills import FAILED, UNPROVEN, legal

BOOT = Record(seq=3, current=SlotRef("1.0.0-00000000", "1.0.0", "0" * 64, "/python", "cp311"))


def past_go(step: Step, stage: Stage = Stage.APPLYING, **work: Any) -> ProductRecord:
    return ProductRecord(
        "shop", highest=FIRST, attempt=Attempt(FIRST, "2.0.0", stage=stage, step=step, work=Work(**work))
    )


def kill(product: ProductRecord, role: str = "agent", victim: str = "self") -> Kill:
    return Kill(1, role, "", "rename:x", "kill-before", victim, 10, (10,), BOOT, product)


ENDED = ProductRecord("shop", highest=FIRST, outcomes=(Outcome(1, FIRST, "2.0.0", Said.ROLLED_BACK, unproven=True),))


@pytest.mark.parametrize(
    ("product", "kind", "result"),
    [
        (ProductRecord("shop"), "slots", GOES_ON),
        (ProductRecord("shop", highest=FIRST, attempt=Attempt(FIRST, "2.0.0", stage=Stage.STAGED)), "slots", GOES_ON),
        (past_go(Step.CHECK, tries=1), "slots", GOES_ON),
        (past_go(Step.CHECK, tries=3), "slots", FAILED),
        (past_go(Step.BACKUP, tries=1), "slots", FAILED),
        (past_go(Step.MIGRATE, tries=1, migrated=True), "slots", UNPROVEN),
        (past_go(Step.SMOKE, tries=1), "slots", FAILED),
        (past_go(Step.SWITCH, tries=1, switched=True), "file", GOES_ON),
        (past_go(Step.SWITCH, tries=1, switched=True), "command", UNPROVEN),
        (past_go(Step.RESTART, tries=3, switched=True), "slots", UNPROVEN),
        (past_go(Step.HEALTH, Stage.SOAKING, tries=3, switched=True), "slots", GOES_ON),
        (past_go(Step.RESTORE, migrated=True, going_back=True), "slots", GOES_ON),
        (ENDED, "slots", UNPROVEN),
    ],
)
def test_what_a_kill_allows(product: ProductRecord, kind: str, result: str) -> None:
    assert legal(kill(product), kind) == {result}


def test_an_agent_that_outlives_its_launcher_may_have_come_on() -> None:
    assert legal(kill(past_go(Step.SMOKE), victim="parent"), "slots") == {GOES_ON, FAILED, UNPROVEN}


def session(ahead: float) -> dict[str, Any]:
    return {"event": "session_open", "clock_ahead_seconds": ahead}


@pytest.mark.parametrize("lines", [(), (session(0),), (session(-301),), ({"event": "stream_ended"},)])
def test_a_clock_under_which_no_session_began_proves_nothing(lines: tuple[dict[str, Any], ...]) -> None:
    assert not noted(lines, TEN_YEARS_SECONDS)
    assert noted((*lines, session(TEN_YEARS_SECONDS)), TEN_YEARS_SECONDS)


def test_a_staged_attempt_has_to_say_that_it_waits_for_the_clocks() -> None:
    staged = Attempt(FIRST, "2.0.0", stage=Stage.STAGED)
    said = Entry(1, "shop", Report(1, 0.0, FIRST, Said.STAGED))
    assert not says_why(staged, [said])
    assert not says_why(staged, [replace(said, report=replace(said.report, generation=6, code=Code.CLOCK_SKEW))])
    assert says_why(staged, [said, replace(said, report=replace(said.report, code=Code.CLOCK_SKEW))])
    assert says_why(replace(staged, stage=Stage.APPLYING), [said])
