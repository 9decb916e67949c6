"""What the end of an attempt means to the shell: a refusal is one only where somebody refused."""

from __future__ import annotations

import pytest

from fleetroll_agent.control.exits import exit_of
from fleetroll_agent.jobs.values import Outcome, Said
from fleetroll_common.values.codes import Code

CURRENT = "ALREADY_UP_TO_DATE ALREADY_AT_TARGET"
UNREACHABLE = "UNAVAILABLE DOWNLOAD_FAILED"
REFUSED = """
    INVALID_ARGUMENT UNAUTHENTICATED NOT_FOUND UNIMPLEMENTED
    IDENTITY_FORKED IDENTITY_REVOKED IDENTITY_UNKNOWN PROTOCOL_UNSUPPORTED HOST_DELETED HOST_REVOKED
    BAD_SIGNATURE UNSIGNED UPSTREAM_SIGNATURE METADATA_ROLLBACK METADATA_FREEZE METADATA_MIXED METADATA_ENDLESS
    METADATA_INVALID WRONG_PRODUCT NOT_LISTED HOSTILE_ARCHIVE VERSION_MISMATCH ENTRY_MISSING BAD_DIGEST
    YANKED DIGEST_REVOKED
    UPDATE_IN_PROGRESS HELD HELD_LOCALLY NOT_ALLOWED OVERRIDE_NOT_ALLOWED NO_ARTIFACT WRONG_PLATFORM CONTAINER
    WINDOW WINDOW_TOO_SHORT BUDGET LOCKED CLOCK_SKEW TOO_SOON QUARANTINED SUSPENDED PAUSED
    NOT_OPTED_IN OPTED_OUT BELOW_SUPPORTED BELOW_FLOOR PINNED CHANNEL_NOT_ALLOWED
"""
FAILED = """
    PERMISSION_DENIED ALREADY_EXISTS CONFLICT INTERNAL STORE_FAILED STALE_DECISION REVISION WAVE_NOT_PASSED
    ROLLOUT_STATE ROLLOUT_ACTIVE NO_HOSTS THRESHOLD_MISSING
    TOKEN_UNKNOWN TOKEN_EXPIRED TOKEN_USED_UP TOKEN_REVOKED STALE_HELLO TOO_MANY_HANDSHAKES RECONNECT DRAINING RECOVERY
    NO_FIRST_VERSION HOST_NOT_FOUND HOST_OFFLINE SEND_FAILED DISK_FULL CHECK_IN
    SUPERSEDED CANCELLED_BY KILLED HOST_OFFLINE_AT_DISPATCH DISPATCH_FAILED WRONG_HASH SELF_TEST_FAILED
    HOST_WENT_OFFLINE NEVER_CAME_BACK CAME_BACK_OTHER HEALTH_FAILED HEALTH_TIMEOUT START_FAILED STEP_FAILED EXITED HUNG
    LOST_CONTACT REBOOTED TRIAL_ENDED RECALLED CRASHED_AFTER_COMMIT OWN_PATH_UNRESOLVED NO_INTERPRETER UNPROVEN
    REPORT_INVALID REPORT_ILLEGAL EXPIRED LATE
"""
EXITS = {
    Code(name): exit_code
    for exit_code, names in ((0, CURRENT), (20, UNREACHABLE), (21, REFUSED), (1, FAILED))
    for name in names.split()
}
"""Every code has its place here: a new one is put where names.md wants it, or this fails."""


def ended(said: Said, code: Code | None) -> int:
    """Return the exit code of an attempt that ended so."""
    return exit_of(Outcome(1, 0, "1.1.0", said, code=code, local=1))


@pytest.mark.parametrize("code", Code)
def test_each_code_of_a_failure_has_its_exit_code(code: Code) -> None:
    assert ended(Said.FAILED, code) == EXITS[code]


def test_a_failure_without_a_code_is_anything_else() -> None:
    assert ended(Said.FAILED, None) == 1


@pytest.mark.parametrize("code", [None, *Code])
@pytest.mark.parametrize(
    ("said", "exit_code"),
    [(Said.SUCCEEDED, 0), (Said.ROLLED_BACK, 22), (Said.ROLLBACK_FAILED, 23), (Said.SKIPPED, 21)],
)
def test_what_became_of_the_host_comes_before_why(said: Said, exit_code: int, code: Code | None) -> None:
    assert ended(said, code) == exit_code


@pytest.mark.parametrize("code", [None, *Code])
def test_what_was_cancelled_was_refused_by_nobody(code: Code | None) -> None:
    usual = 1 if code is None else EXITS[code]
    assert ended(Said.CANCELLED, code) == (1 if usual == 21 else usual)
