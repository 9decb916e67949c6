"""The agent itself: what keeps it from running now, from being started again, and from being started after a boot."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.hooks.processes import read_process
from fleetroll_agent.jobs.values import Attempt, Stage, Step
from fleetroll_agent.jobs.work import Child, Work
from fleetroll_agent.launcher import files
from fleetroll_agent.launcher.bootid import read_boot_id
from fleetroll_agent.launcher.record import encode
from fleetroll_agent.service.place import Place
from tests.faults.whole_host import WholeHost, stopped

if TYPE_CHECKING:
    from fleetroll_agent.doctor.values import Finding


def found(host: WholeHost, sign: str) -> Finding:
    """Return the one finding, which has this sign."""
    findings = host.look().findings
    assert [finding.sign.value for finding in findings] == [sign]
    return findings[0]


def test_an_agent_that_does_not_run_is_told_with_how_to_start_it(host: WholeHost) -> None:
    """Its launcher's lock is free, whatever the status file says."""
    finding = stopped(host, lambda: found(host, "AGENT_NOT_RUNNING"))
    assert f"fleetroll-agent run --state {host.state}" in finding.remedy


def test_a_launcher_without_an_agent_that_answers_is_told(host: WholeHost) -> None:
    """The lock is held, and nobody listens at the socket."""
    (host.state / "control.sock").unlink()
    assert "control.sock" in found(host, "AGENT_SILENT").message


def test_the_reason_of_a_refused_start_is_told_in_its_own_words(host: WholeHost) -> None:
    """A later start that went well ends it."""
    host.log("host_refuses", reason="agent.toml, line 3: what is this")
    assert "line 3: what is this" in found(host, "AGENT_REFUSES").message
    host.log("started")
    assert host.signs() == []


@pytest.mark.parametrize("status", ["waiting", "record_damaged"])
def test_a_launchers_trouble_is_told(host: WholeHost, status: str) -> None:
    """In the launcher's own words."""
    (host.state / files.STATUS_NAME).write_text(json.dumps({"status": status, "detail": "signal SIGSEGV"}))
    assert found(host, "LAUNCHER_TROUBLE").message == f"it says {status}: signal SIGSEGV"


def test_a_host_without_a_python_for_the_agent_is_told(host: WholeHost) -> None:
    """The launcher has looked for every other one already."""
    told = {"status": "no_interpreter", "detail": "/usr/bin/python3.11 is gone"}
    (host.state / files.STATUS_NAME).write_text(json.dumps(told))
    assert "python3.11 is gone" in found(host, "NO_INTERPRETER").message


def test_a_python_that_is_gone_is_told_before_the_next_start(host: WholeHost) -> None:
    """The running agent goes on without it."""
    boot = host.boot()
    gone = str(host.root / "python3.11")
    (host.state / "boot.json").write_bytes(encode(boot._replace(current=boot.current._replace(python=gone))))
    assert gone in found(host, "INTERPRETER_AT_RISK").message


def test_a_host_without_a_release_is_told(host: WholeHost) -> None:
    """It is enrolled, and nothing was ever installed."""
    (host.state / "boot.json").unlink()
    assert "enroll" in found(host, "NO_RELEASE").remedy


def test_a_unit_that_is_gone_is_told_with_its_path(host: WholeHost) -> None:
    """The agent runs until the next boot."""
    unit = host.root / "etc/systemd/system/fleetroll-agent.service"
    unit.unlink()
    finding = found(host, "SERVICE_MISSING")
    assert finding.subject == "/etc/systemd/system/fleetroll-agent.service"
    assert "service install" in finding.remedy


def test_a_unit_of_somebody_else_is_told(host: WholeHost) -> None:
    """It stands where this service's own should."""
    (host.root / "etc/systemd/system/fleetroll-agent.service").write_text("[Service]\nExecStart=/bin/true\n")
    found(host, "SERVICE_CHANGED")


def test_an_agent_that_is_no_service_is_told_except_in_a_container(host: WholeHost) -> None:
    """There somebody else starts it."""
    (host.state / "launcher" / "service.json").unlink()
    found(host, "SERVICE_MISSING")
    (host.root / ".dockerenv").write_text("")
    assert host.signs() == []


def test_a_damaged_copy_of_the_launcher_is_told(host: WholeHost) -> None:
    """It is the only one: nothing could be started."""
    place = Place(host.state)
    program = place.folder / "programs" / place.usable() / "fleetroll_agent" / "launcher" / "main.py"
    program.write_bytes(program.read_bytes() + b"#")
    found(host, "LAUNCHER_DAMAGED")


def test_a_job_lock_in_somebodys_hands_is_told_when_no_agent_runs(host: WholeHost) -> None:
    """While one runs it is the agent's own affair."""
    lock = host.state / "job.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert host.signs() == []
        assert stopped(host, host.signs) == ["AGENT_NOT_RUNNING", "JOB_LOCK_LEFT"]
    assert stopped(host, host.signs) == ["AGENT_NOT_RUNNING"]


def test_a_command_that_goes_on_without_its_agent_is_told(host: WholeHost) -> None:
    """By process id, start and boot: another process with the number is none."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    facts = read_process(child.pid)
    assert facts is not None
    work = Work("2.1.0", "a" * 64, child=Child(child.pid, facts.start_ticks, read_boot_id()))
    attempt = Attempt(3, "2.2.0", stage=Stage.APPLYING, step=Step.BACKUP, work=work, sha256="b" * 64)
    try:
        host.change("shop", attempt=attempt)
        assert host.signs() == []
        left = stopped(host, host.look).findings[-1]
        assert (left.sign.value, left.subject) == ("COMMAND_LEFT", "shop")
        assert str(child.pid) in left.message
        other = replace(work, child=Child(child.pid, facts.start_ticks + 1, read_boot_id()))
        host.change("shop", attempt=replace(attempt, work=other))
        assert stopped(host, host.signs) == ["AGENT_NOT_RUNNING"]
    finally:
        child.communicate(b"\n")
    assert os.path.lexists(host.link)


def test_settings_that_are_wrong_are_told_with_line_and_remedy(host: WholeHost) -> None:
    """What else is found goes by the defaults then."""
    host.settings('kind = "slots"', 'kind = "slot"')
    finding = found(host, "SETTINGS_WRONG")
    assert "agent.toml, line 4: products.shop.kind" in finding.message
    assert '"slots"' in finding.remedy


def test_settings_that_are_doubtful_are_told(host: WholeHost) -> None:
    """They are allowed, so it is a warning."""
    host.settings('unit = "shop.service"', "")
    finding = found(host, "SETTINGS_DOUBTFUL")
    assert "products.shop.health is missing" in finding.message
    assert finding.severity.value == "warning"
