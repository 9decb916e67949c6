"""Real launchers with real children."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent.launcher.errors import LauncherError
from fleetroll_agent.launcher.lock import StateLock
from fleetroll_agent.launcher.record import encode
from tests.faults.launcher_host import arming

if TYPE_CHECKING:
    from tests.faults.launcher_host import Host


def test_a_good_version_is_tried_promoted_and_kept(host: Host) -> None:
    new = host.slot("1.1.0")
    host.enrol(host.slot("1.0.0", arm=arming(new)))
    host.launch()
    host.until(lambda: f"committed 1.1.0 {new['digest'][:8]}" in host.journal())
    record = host.record()
    assert (record.current.version, record.previous and record.previous.version) == ("1.1.0", "1.0.0")
    assert record.trial is None
    assert record.last is not None
    assert str(record.last.attempt) == "server:1"
    assert (host.state / "slots/agent" / new["slot"] / "GOOD").exists()


def outcome(host: Host) -> tuple[str, str, str, str]:
    last = host.record().last
    assert last is not None
    return last.ended.value, last.reason.value, last.code, last.tail


def back_from(host: Host, kind: str, *, request: dict[str, Any] | None = None, **behaviour: Any) -> Any:
    """Let 1.1.0 behave as ``kind`` and wait until 1.0.0 runs again with the outcome in the record."""
    new = host.slot("1.1.0", kind, **behaviour)
    host.enrol(host.slot("1.0.0", arm=arming(new, **(request or {}))))
    host.launch(start=1.0 if kind in ("hangs", "deaf", "never_healthy") else 2.0)
    host.until(lambda: host.record().last and host.starts("1.0.0") == 2 and len(host.living()) == 1)
    record = host.record()
    assert (record.current.version, record.previous, record.trial) == ("1.0.0", None, None)
    assert not (host.state / "slots/agent" / new["slot"] / "GOOD").exists()
    return record


@pytest.mark.parametrize("code", [0, 1, 75, 137])
def test_a_version_that_ends_at_once_goes_back_after_two_starts_with_any_exit_code(host: Host, code: int) -> None:
    record = back_from(host, "exits", code=code)
    assert host.starts("1.1.0") == 2
    assert outcome(host) == ("rolled_back", "bad", "START_FAILED", "this is 1.1.0\n")
    assert record.bad == (record.last.digest,)
    host.until((host.state / "slots/agent" / f"1.1.0-{record.bad[0][:8]}" / "BAD").exists)


@pytest.mark.parametrize("kind", ["hangs", "deaf"])
def test_a_version_without_a_beat_is_killed_twice_and_goes_back(host: Host, kind: str) -> None:
    back_from(host, kind)
    assert host.starts("1.1.0") == 2
    assert outcome(host)[:3] == ("rolled_back", "bad", "START_FAILED")


@pytest.mark.parametrize("code", [0, 3])
def test_a_version_that_dies_after_its_hello_goes_back_at_once_with_its_last_output(host: Host, code: int) -> None:
    back_from(host, "dies", code=code)
    assert host.starts("1.1.0") == 1
    ended, reason, code_name, tail = outcome(host)
    assert (ended, reason, code_name) == ("rolled_back", "bad", "EXITED")
    assert tail.endswith("the last words\n")


@pytest.mark.parametrize(
    ("kind", "reason", "code"),
    [
        ("unhealthy", "bad", "HEALTH_FAILED"),
        ("never_healthy", "bad", "HEALTH_TIMEOUT"),
        ("silent", "bad", "HUNG"),
        ("mute", "unproven", "LOST_CONTACT"),
        ("no_contact", "unproven", "LOST_CONTACT"),
    ],
)
def test_a_version_that_does_not_prove_itself_goes_back(host: Host, kind: str, reason: str, code: str) -> None:
    lease = {"lease_seconds": 0.5} if reason == "unproven" else {}
    record = back_from(host, kind, request={"soak_seconds": 0.3, **lease})
    assert outcome(host)[:3] == ("rolled_back", reason, code)
    assert record.unproven == (((record.last.digest, 1),) if reason == "unproven" else ())


def test_a_local_trial_is_kept_after_its_soak_without_any_server(host: Host) -> None:
    new = host.slot("1.1.0", "no_contact")
    host.enrol(host.slot("1.0.0", arm=arming(new, origin="local")))
    host.launch()
    host.until(lambda: host.record().current.version == "1.1.0")
    assert outcome(host)[:2] == ("committed_locally", "")


def test_a_version_that_crashes_after_its_commit_goes_back_once(host: Host) -> None:
    new = host.slot("1.1.0")
    host.enrol(host.slot("1.0.0", arm=arming(new)))
    host.launch()
    host.until(lambda: f"committed 1.1.0 {new['digest'][:8]}" in host.journal())
    (host.state / "slots/agent" / new["slot"] / "behaviour.json").write_text('{"kind": "exits"}')
    os.kill(host.living()[0], signal.SIGKILL)
    host.until(lambda: host.record().current.version == "1.0.0")
    record = host.record()
    assert outcome(host)[:3] == ("rolled_back", "late", "CRASHED_AFTER_COMMIT")
    assert (record.previous, record.bad) == (None, (new["digest"],))
    assert host.starts("1.1.0") == 1 + 5
    assert not (host.state / "slots/agent" / new["slot"] / "GOOD").exists()


def test_a_launcher_that_is_killed_takes_its_child_along_and_the_next_one_goes_on(host: Host) -> None:
    host.enrol(host.slot("1.0.0"))
    launcher = host.launch()
    host.until(host.living)
    launcher.send_signal(signal.SIGKILL)
    host.until(lambda: not host.living())
    host.launch()
    host.until(host.living)
    assert len(host.living()) == 1


def test_a_launcher_that_follows_a_killed_one_at_once_never_runs_two_agents(host: Host) -> None:
    host.enrol(host.slot("1.0.0"))
    for starts in range(1, 6):
        launcher = host.launch()
        host.until_starts("1.0.0", starts)
        assert len(host.living()) == 1
        launcher.send_signal(signal.SIGKILL)


def test_a_launcher_that_is_killed_in_a_trial_costs_one_try_and_the_second_ends_it_as_unproven(host: Host) -> None:
    new = host.slot("1.1.0", "mute")
    host.enrol(host.slot("1.0.0", arm=arming(new, lease_seconds=60)))
    for starts in (1, 2):
        launcher = host.launch()
        host.until_starts("1.1.0", starts)
        launcher.send_signal(signal.SIGKILL)
        launcher.wait()
    host.launch()
    host.until(lambda: host.starts("1.0.0") == 2)
    assert outcome(host)[:3] == ("rolled_back", "unproven", "UNPROVEN")
    assert host.record().unproven == ((new["digest"], 1),)


def test_a_stop_in_a_trial_gives_the_try_back_and_ends_the_child(host: Host) -> None:
    new = host.slot("1.1.0", "mute")
    host.enrol(host.slot("1.0.0", arm=arming(new, lease_seconds=60)))
    for gives in (1, 2, 2):
        launcher = host.launch()
        host.until(lambda: any("1.1.0" in line for line in host.journal()[-1:]) and host.living())
        launcher.send_signal(signal.SIGTERM)
        assert launcher.wait(10) == 0
        assert not host.living()
        trial = host.record().trial
        assert trial is not None
        assert (trial.gives, trial.stopped) == (gives, True)


def test_a_deaf_child_is_killed_after_the_grace(host: Host) -> None:
    host.enrol(host.slot("1.0.0", "deaf"))
    launcher = host.launch(start=30.0, grace=0.1)
    host.until(host.living)
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(10) == 0
    assert not host.living()


def test_a_second_launcher_is_refused_in_a_sentence(host: Host) -> None:
    host.enrol(host.slot("1.0.0"))
    host.launch()
    host.until(host.living)
    with pytest.raises(LauncherError, match="another launcher"), StateLock(str(host.state)):
        pass


def test_a_host_without_a_record_or_a_slot_gets_a_sentence(host: Host) -> None:
    assert host.launch().wait(10) == 1
    assert "no boot record and no complete slot" in (host.state / "launcher.err").read_text()


def test_an_interpreter_that_is_gone_is_a_stated_state_and_the_agent_starts_when_it_comes_back(
    host: Host, tmp_path: Path
) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    slot = host.slot("1.0.0")
    host.enrol(slot, str(python))
    python.rename(tmp_path / "moved")
    complete = host.state / "slots/agent" / slot["slot"] / "COMPLETE"
    body = json.loads(complete.read_text())
    complete.write_text(json.dumps({**body, "interpreter_abi": "cp399"}))
    record = host.record()
    changed = record._replace(current=record.current._replace(abi="cp399"))
    (host.state / "boot.json").write_bytes(encode(changed))
    host.launch()
    host.until(lambda: host.status() == "no_interpreter")
    assert not host.living()
    complete.write_text(json.dumps(body))
    host.until(host.living)


def test_another_path_of_the_same_python_is_taken_when_the_recorded_one_is_gone(host: Host, tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    host.enrol(host.slot("1.0.0"), str(python))
    python.unlink()
    host.launch()
    host.until(host.living)
    assert host.record().current.python != str(python)


def test_a_damaged_record_is_rebuilt_from_the_slot_that_was_committed(host: Host) -> None:
    host.enrol(host.slot("1.0.0"))
    host.slot("1.1.0")
    (host.state / "boot.json").write_bytes(b"\0" * 100)
    host.launch()
    host.until(host.living)
    record = host.record()
    assert (record.current.version, record.recovered) == ("1.0.0", True)


def test_what_the_child_left_behind_is_gone_before_the_next_one_starts(host: Host) -> None:
    host.enrol(host.slot("1.0.0", "leaves_orphan"))
    launcher = host.launch()
    host.until(lambda: host.starts("1.0.0") >= 2)
    assert not Path(f"/proc/{orphans(host)[0]}").exists()
    launcher.send_signal(signal.SIGTERM)
    launcher.wait(10)
    assert not [pid for pid in orphans(host) if Path(f"/proc/{pid}").exists()]


def orphans(host: Host) -> list[int]:
    return [int(line.split()[1]) for line in host.journal() if line.startswith("orphan ")]
