"""Checks of a gate: bad ones fail it, missing ones pause it, and only a fresh good reading lets a wave pass."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.checks import CheckState, Kind, Reading, stale, unsaid, with_checks
from fleetroll_server.domain.checkspec import (
    MAX_CHECKS,
    CheckSpec,
    CommandCheck,
    HttpCheck,
    PrometheusCheck,
    Question,
    check_all,
)
from fleetroll_server.domain.gates import GateResult, Verdict

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
SPEC = CheckSpec("api", HttpCheck("https://shop.example/health"), in_a_row=3)
PASS = GateResult(Verdict.PASS, None, "0 bad of 3 attempted")
FAIL = GateResult(Verdict.FAIL, Code.WAVE_NOT_PASSED, "1 bad of 1 attempted")


def after(*kinds: Kind, at: datetime = NOW) -> CheckState:
    """Return a check after these readings."""
    state = CheckState(SPEC)
    for kind in kinds:
        state = state.read(Reading(kind, "status 500", at))
    return state


def test_no_check_changes_nothing() -> None:
    assert with_checks(PASS, (), NOW) is PASS


def test_a_wave_waits_until_every_check_was_read() -> None:
    result = with_checks(PASS, (after(Kind.GOOD), CheckState(SPEC)), NOW)
    assert result.verdict is Verdict.OPEN
    assert "check api: not read yet" in result.evidence


def test_a_good_reading_of_before_the_last_host_ended_says_nothing_about_it() -> None:
    assert with_checks(PASS, (after(Kind.GOOD),), NOW + timedelta(seconds=1)).verdict is Verdict.OPEN
    assert with_checks(PASS, (after(Kind.GOOD),), NOW).verdict is Verdict.PASS


def test_bad_readings_in_a_row_fail_the_wave_with_what_they_said() -> None:
    for kinds in ((Kind.BAD,), (Kind.BAD, Kind.BAD)):
        assert with_checks(PASS, (after(*kinds),), NOW).verdict is Verdict.OPEN
    result = with_checks(PASS, (after(Kind.BAD, Kind.BAD, Kind.BAD),), NOW)
    assert (result.verdict, result.code) == (Verdict.FAIL, Code.WAVE_NOT_PASSED)
    assert result.evidence == "check api: bad, 3 in a row: status 500"


def test_also_while_hosts_are_under_way() -> None:
    open_still = GateResult(Verdict.OPEN, None, "2 of 3 ended")
    assert with_checks(open_still, (after(*[Kind.BAD] * 3),), NOW).verdict is Verdict.FAIL
    assert with_checks(open_still, (after(*[Kind.MISSING] * 3),), NOW).verdict is Verdict.INCONCLUSIVE
    assert with_checks(open_still, (after(Kind.GOOD),), NOW) is open_still


def test_a_reading_of_another_kind_begins_the_count_anew() -> None:
    assert with_checks(PASS, (after(Kind.BAD, Kind.BAD, Kind.GOOD, Kind.BAD),), NOW).verdict is Verdict.OPEN
    assert with_checks(PASS, (after(Kind.BAD, Kind.BAD, Kind.MISSING, Kind.BAD),), NOW).verdict is Verdict.OPEN


def test_missing_readings_in_a_row_are_a_persons_to_judge() -> None:
    result = with_checks(PASS, (after(*[Kind.MISSING] * 3),), NOW)
    assert (result.verdict, result.code) == (Verdict.INCONCLUSIVE, Code.WAVE_NOT_PASSED)


def test_what_hosts_and_bad_checks_say_comes_before_what_is_missing() -> None:
    missing, bad = after(*[Kind.MISSING] * 3), after(*[Kind.BAD] * 3)
    assert with_checks(FAIL, (missing,), NOW) is FAIL
    assert with_checks(PASS, (missing, bad), NOW).verdict is Verdict.FAIL


def test_a_resume_forgets_what_was_read() -> None:
    assert after(*[Kind.BAD] * 3).begun_anew() == CheckState(SPEC)


@given(st.lists(st.sampled_from(Kind), max_size=30), st.integers(-100, 100))
def test_nothing_but_a_good_reading_that_is_new_enough_lets_a_wave_pass(kinds: list[Kind], moved: int) -> None:
    state = after(*kinds)
    result = with_checks(PASS, (state,), NOW + timedelta(seconds=moved))
    assert (result.verdict is Verdict.PASS) is (bool(kinds) and kinds[-1] is Kind.GOOD and moved <= 0)
    assert (result.verdict is Verdict.PASS) is (unsaid((state,), NOW + timedelta(seconds=moved)) == "")


@pytest.mark.parametrize(("age", "fresh"), [(0, True), (75, True), (76, False), (-75, True), (-76, False)])
def test_a_reading_ages_and_one_of_the_future_says_as_little(age: int, *, fresh: bool) -> None:
    """Two intervals of 30 s, 10 s for the answer and 5 s for the sweep."""
    assert (stale((after(Kind.GOOD),), NOW + timedelta(seconds=age)) == "") is fresh
    assert stale((CheckState(SPEC),), NOW) == "check api: not read yet"


@pytest.mark.parametrize(
    "question",
    [
        HttpCheck("http://shop.example:8080/health", (200, 404), "ok"),
        PrometheusCheck("https://prometheus.example", "rate(errors_total[5m])", "<=", 0.05),
        CommandCheck("smoke"),
    ],
)
def test_what_is_stored_is_read_again(question: Question) -> None:
    spec = CheckSpec("api", question, 60.0, 5.0, 2)
    assert CheckSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("field", "build"),
    [
        ("gate_checks.name", lambda: CheckSpec("", SPEC.question)),
        ("gate_checks.name", lambda: CheckSpec("API", SPEC.question)),
        ("gate_checks[api].command", lambda: CheckSpec("api")),
        ("gate_checks[api].interval_seconds", lambda: CheckSpec("api", SPEC.question, 4.9)),
        ("gate_checks[api].interval_seconds", lambda: CheckSpec("api", SPEC.question, float("nan"))),
        ("gate_checks[api].timeout_seconds", lambda: CheckSpec("api", SPEC.question, 30, 61)),
        ("gate_checks[api].in_a_row", lambda: CheckSpec("api", SPEC.question, in_a_row=0)),
        ("gate_checks[api].url", lambda: CheckSpec("api", HttpCheck("ftp://shop.example"))),
        ("gate_checks[api].url", lambda: CheckSpec("api", HttpCheck("https://"))),
        ("gate_checks[api].url", lambda: CheckSpec("api", HttpCheck("https://[bad"))),
        ("gate_checks[api].url", lambda: CheckSpec("api", HttpCheck("https://a.example/\nx"))),
        ("gate_checks[api].url", lambda: CheckSpec("api", HttpCheck("https://me:word@a.example"))),
        ("gate_checks[api].statuses", lambda: CheckSpec("api", HttpCheck("https://a.example", (99,)))),
        ("gate_checks[api].contains", lambda: CheckSpec("api", HttpCheck("https://a.example", (), "x" * 501))),
        ("gate_checks[api].query", lambda: CheckSpec("api", PrometheusCheck("https://a.example", "", "<", 1))),
        ("gate_checks[api].operator", lambda: CheckSpec("api", PrometheusCheck("https://a.example", "up", "!=", 1))),
        (
            "gate_checks[api].threshold",
            lambda: CheckSpec("api", PrometheusCheck("https://a.example", "up", "<", float("inf"))),
        ),
        ("gate_checks.name", lambda: check_all([SPEC, SPEC], {})),
        ("gate_checks", lambda: check_all([SPEC] * (MAX_CHECKS + 1), {})),
        ("gate_checks[api].command", lambda: check_all([CheckSpec("api", CommandCheck("rm"))], {"smoke": ("true",)})),
    ],
)
def test_what_can_not_be_asked_is_refused_by_name(field: str, build: object) -> None:
    with pytest.raises(RequestError) as refused:
        build()  # type: ignore[operator]
    assert refused.value.code is Code.INVALID_ARGUMENT
    assert refused.value.details["field"] == field
    assert refused.value.message.startswith(f"{field}: ")
    assert refused.value.remedy


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(RequestError) as refused:
        CheckSpec("api", HttpCheck("https://me:hidden-word@a.example"))
    assert "hidden-word" not in str(refused.value.message) + str(refused.value.details)
