"""From the assignment to STAGED: what is tried again, what waits, and what ends."""

from __future__ import annotations

import pytest

from fleetroll_agent.jobs import machine
from fleetroll_agent.jobs.effects import FillSlot, FindTarget
from fleetroll_agent.jobs.events import Assigned, SessionClosed, SessionOpened, SlotReady, StagingFailed, TargetFound
from fleetroll_agent.jobs.state import Running
from fleetroll_agent.jobs.values import Moment, Stage
from fleetroll_common.values.codes import Code
from tests.faults.jobs import NEW, OLD, Host, boot_record


def failed(host: Host, code: Code, *, transient: bool) -> None:
    host.tell(StagingFailed(host.last(FindTarget).job, code, "why", transient, host.state.session))


def test_a_download_begins_when_a_session_is_open(host: Host) -> None:
    host.tell(Assigned(7, "1.1.0"))
    assert host.count(FindTarget) == 0
    assert machine.next_deadline(host.state) is None
    assert isinstance(host.tell(SessionOpened(1))[-1], FindTarget)


def test_the_digest_is_known_before_a_byte_is_fetched(host: Host) -> None:
    host.tell(SessionOpened(1), Assigned(7, "1.1.0"))
    (fill,) = host.tell(TargetFound(host.last(FindTarget).job, NEW))
    assert fill == FillSlot(fill.job, 1, 7, "1.1.0", NEW)
    assert (host.attempt.stage, host.attempt.sha256) == (Stage.DOWNLOADING, NEW)


def test_tries_are_used_up_at_their_waits(host: Host) -> None:
    host.tell(SessionOpened(1), Assigned(7, "1.1.0"))
    for seconds in (30, 120):
        failed(host, Code.DOWNLOAD_FAILED, transient=True)
        assert host.wait(seconds - 1) == ()
        assert [type(effect) for effect in host.wait(1)] == [FindTarget]
    failed(host, Code.DOWNLOAD_FAILED, transient=True)
    assert host.attempt is None
    assert host.said[-1] == "7 FAILED DOWNLOAD_FAILED"


def test_metadata_that_has_expired_by_a_clock_in_doubt_waits_for_the_right_time(host: Host) -> None:
    host.tell(SessionOpened(1, skewed=True), Assigned(7, "1.1.0"))
    for _look in range(4):
        failed(host, Code.METADATA_FREEZE, transient=False)
        assert host.said[-1] == "7 DOWNLOADING CLOCK_SKEW"
        assert [type(effect) for effect in host.wait(120)] == [FindTarget]
    failed(host, Code.METADATA_FREEZE, transient=False)
    assert host.attempt.tries == 0
    assert isinstance(host.tell(SessionOpened(2))[-1], FindTarget)


def test_metadata_that_has_expired_by_a_clock_that_agrees_ends_the_attempt(host: Host) -> None:
    host.tell(SessionOpened(1), Assigned(7, "1.1.0"))
    failed(host, Code.METADATA_FREEZE, transient=False)
    assert host.said[-1] == "7 FAILED METADATA_FREEZE"


@pytest.mark.parametrize("allowed", [1, 2, 5])
def test_a_rollout_says_how_many_tries_there_are(host: Host, allowed: int) -> None:
    host.tell(SessionOpened(1), Assigned(7, "1.1.0", max_attempts=allowed))
    for seconds in (30, 120, 600, 600)[: allowed - 1]:
        failed(host, Code.DOWNLOAD_FAILED, transient=True)
        assert host.wait(seconds - 1) == ()
        assert [type(effect) for effect in host.wait(1)] == [FindTarget]
    failed(host, Code.DOWNLOAD_FAILED, transient=True)
    assert host.attempt is None
    assert host.count(FindTarget) == allowed


def test_the_tries_that_a_rollout_allows_survive_a_restart(host: Host) -> None:
    host.tell(SessionOpened(1), Assigned(7, "1.1.0", max_attempts=2))
    failed(host, Code.DOWNLOAD_FAILED, transient=True)
    again = host.restart()
    again.tell(SessionOpened(2))
    failed(again, Code.DOWNLOAD_FAILED, transient=True)
    assert again.said[-1] == "7 FAILED DOWNLOAD_FAILED"


@pytest.mark.parametrize(("random01", "seconds"), [(0.0, 24.0), (0.5, 30.0), (1.0, 36.0)])
def test_hosts_whose_downloads_failed_together_do_not_come_back_together(
    host: Host, random01: float, seconds: float
) -> None:
    host.tell(SessionOpened(1), Assigned(7, "1.1.0"))
    moment = Moment(boot_seconds=5000.0, random01=random01)
    event = StagingFailed(host.last(FindTarget).job, Code.DOWNLOAD_FAILED, "why", transient=True, session=1)
    state, _ = machine.step(host.state, event, moment)
    assert state.retry_at == pytest.approx(5000.0 + seconds)


def test_every_failed_try_is_journaled(host: Host) -> None:
    host.tell(SessionOpened(1), Assigned(7, "1.1.0"))
    failed(host, Code.DOWNLOAD_FAILED, transient=True)
    told = host.journal[-1]
    assert host.said[-1] == "7 DOWNLOADING DOWNLOAD_FAILED"
    assert told.retry_at == pytest.approx(told.occurred_at + 30)
    assert told.time_limit_seconds == 330


@pytest.mark.parametrize("code", [Code.WRONG_HASH, Code.UNSIGNED, Code.METADATA_ROLLBACK, Code.NOT_LISTED])
def test_a_lie_ends_the_attempt_at_once(host: Host, code: Code) -> None:
    host.tell(SessionOpened(1), Assigned(7, "1.1.0"))
    failed(host, code, transient=False)
    assert host.said[-1] == f"7 FAILED {code}"


def test_a_full_disk_waits_and_spends_no_try(host: Host) -> None:
    host.tell(SessionOpened(1), Assigned(7, "1.1.0"))
    for _ in range(5):
        failed(host, Code.DISK_FULL, transient=True)
        assert host.attempt.tries == 0
        host.wait(120)
    assert host.said[-1] == "7 DOWNLOADING DISK_FULL"
    assert host.count(FindTarget) == 6


def test_the_end_of_the_session_is_no_failed_try(host: Host) -> None:
    host.tell(SessionOpened(1), Assigned(7, "1.1.0"))
    job = host.last(FindTarget).job
    host.tell(SessionClosed(1), StagingFailed(job, Code.DOWNLOAD_FAILED, "cut", transient=True, session=1))
    assert (host.attempt.tries, host.count(FindTarget)) == (0, 1)
    assert isinstance(host.tell(SessionOpened(2))[-1], FindTarget)


def test_a_target_found_after_the_session_waits_for_the_next_one(host: Host) -> None:
    host.tell(SessionOpened(1), Assigned(7, "1.1.0"), SessionClosed(1))
    assert host.tell(TargetFound(1, NEW)) == ()
    assert isinstance(host.tell(SessionOpened(2))[-1], FindTarget)


def test_answers_of_another_job_are_late(host: Host) -> None:
    host.tell(SessionOpened(1), Assigned(7, "1.1.0"))
    before = host.disk
    host.tell(TargetFound(99, NEW), SlotReady(99), StagingFailed(99, Code.WRONG_HASH, "x"))
    assert host.disk == before


def test_what_runs_already_is_not_installed_again(host: Host) -> None:
    host.tell(SessionOpened(1), Assigned(7, "1.0.0"), TargetFound(1, OLD))
    assert host.said[-1] == "7 CANCELLED ALREADY_AT_TARGET"


def test_a_digest_that_went_back_here_is_refused() -> None:
    host = Host.start(boot=boot_record(bad=(NEW,)))
    host.tell(SessionOpened(1), Assigned(7, "1.1.0"), TargetFound(1, NEW))
    assert host.said[-1] == "7 FAILED BAD_DIGEST"
    assert host.count(FillSlot) == 0


def test_a_digest_that_went_back_here_is_taken_again_when_a_person_asks_for_it() -> None:
    host = Host.start(boot=boot_record(bad=(NEW,)))
    host.tell(SessionOpened(1), Assigned(7, "1.1.0", retry_bad=True), TargetFound(1, NEW))
    assert host.said[-1] == "7 DOWNLOADING"
    assert host.count(FillSlot) == 1


def test_a_restart_goes_on_with_the_download(host: Host) -> None:
    host.tell(SessionOpened(1), Assigned(7, "1.1.0"), TargetFound(1, NEW))
    again = host.restart()
    assert again.attempt.stage is Stage.DOWNLOADING
    again.tell(SessionOpened(2))
    assert again.count(FindTarget) == 1
    again.tell(TargetFound(again.last(FindTarget).job, NEW))
    assert again.said.count("7 DOWNLOADING") == 1


def test_a_restart_keeps_what_is_staged(host: Host) -> None:
    host.stage(7)
    again = host.restart()
    again.tell(SessionOpened(2))
    assert (again.attempt.stage, again.count(FindTarget)) == (Stage.STAGED, 0)
    again.go(7)
    assert again.attempt.stage is Stage.APPLYING


def test_a_host_without_anything_to_do_has_no_deadline() -> None:
    host = Host.start(running=Running("1.0.0", OLD))
    host.tell(SessionOpened(1))
    assert machine.next_deadline(host.state) is None
