"""Who goes back, and why somebody can't: every rule by its name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.version import Version
from fleetroll_server.domain.eligible import ReleaseFacts
from fleetroll_server.domain.reverting import LEGAL, Mode, Returning, is_meant, objection
from fleetroll_server.domain.states import BAD, BEFORE_GO, FINAL, PAST_GO, AttemptState

NOW = datetime(2026, 5, 1, tzinfo=UTC)
LINUX = Platform("linux", "x86_64", "cp311")
KNOWN = ReleaseFacts("agent", "1.0.0", {LINUX: "a" * 64})
HOST = Returning(AttemptState.SUCCEEDED, True, "1.1.0", "1.0.0", LINUX, NOW - timedelta(days=1))


def why(host: Returning, known: ReleaseFacts | None = KNOWN, floor: str = "") -> Code | None:
    found = objection(host, "1.1.0", known, Version.parse(floor) if floor else None, NOW)
    return None if found is None else found.code


def test_a_host_that_was_kept_goes_back() -> None:
    assert why(HOST) is None
    assert why(HOST, floor="1.0.0") is None, "at the floor is not below it"


@pytest.mark.parametrize(
    ("host", "known", "floor", "code"),
    [
        (replace(HOST, revoked=True), KNOWN, "", Code.HOST_REVOKED),
        (replace(HOST, keeps=False), KNOWN, "", Code.NOT_OPTED_IN),
        (replace(HOST, claimed_by="r7"), KNOWN, "", Code.UPDATE_IN_PROGRESS),
        (replace(HOST, running="1.0.0"), KNOWN, "", Code.ALREADY_AT_TARGET),
        (replace(HOST, running="1.2.0"), KNOWN, "", Code.NOT_ALLOWED),
        (replace(HOST, before=""), None, "", Code.NOT_ALLOWED),
        (HOST, None, "", Code.NO_ARTIFACT),
        (replace(HOST, platform=None), KNOWN, "", Code.NO_ARTIFACT),
        (HOST, replace(KNOWN, revoked=True), "", Code.DIGEST_REVOKED),
        (HOST, KNOWN, "1.0.1", Code.BELOW_FLOOR),
        (replace(HOST, changed_at=NOW - LEGAL - timedelta(seconds=1)), KNOWN, "", Code.NOT_ALLOWED),
    ],
)
def test_each_reason_not_to_go_back_has_its_code(
    host: Returning, known: ReleaseFacts | None, floor: str, code: Code
) -> None:
    assert why(host, known, floor) is code


def test_seven_days_to_the_second_are_legal() -> None:
    assert why(replace(HOST, changed_at=NOW - LEGAL)) is None


@pytest.mark.parametrize("state", sorted(PAST_GO))
def test_what_a_host_past_go_runs_is_not_asked(state: AttemptState) -> None:
    assert why(replace(HOST, state=state, running="1.0.0", changed_at=None)) is None


def test_the_floor_is_said_by_its_number() -> None:
    found = objection(HOST, "1.1.0", KNOWN, Version.parse("2.0.0"), NOW)
    assert found is not None
    assert found.message == "cannot go back: floor 2.0.0"


@pytest.mark.parametrize("state", AttemptState)
def test_only_who_got_go_is_meant_and_in_mode_failed_only_who_went_bad(state: AttemptState) -> None:
    got_go = state in PAST_GO | FINAL
    assert is_meant(Mode.FAILED, state, attempted=got_go) is (state in BAD)
    assert is_meant(Mode.ALL, state, attempted=got_go) is got_go
    for mode in (Mode.FAILED, Mode.WAVE, Mode.ALL):
        if state in BEFORE_GO:
            assert not is_meant(mode, state, attempted=False)
