"""The command line: exit codes, sentences, no traceback, and a launcher's process that stays small."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import structlog

from fleetroll_agent import host, status
from fleetroll_agent.app import main
from fleetroll_agent.identity.facts import Enrolment
from fleetroll_agent.identity.store import IdentityStore
from fleetroll_agent.jobs.keeper import ProductFile
from fleetroll_agent.launcher import files
from fleetroll_agent.launcher.record import encode
from fleetroll_agent.parts import own_slot
from fleetroll_agent.slots import SlotStore
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError
from fleetroll_common.values.ids import SystemIds
from tests.faults.jobs import NEW, Host, boot_record, slot, trial

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def logging_is_put_back() -> Iterator[None]:
    """The command line configures logging for its process, which is here the tests' own."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return the state folder of an agent whose attempt runs."""
    store = IdentityStore(tmp_path / "identity", SystemIds())
    store.candidate()
    answer = Enrolment("agent-1", "fleet-1", ("127.0.0.1:1",), "i", {}, b"r", bytes(32), b"BEGIN CERTIFICATE", b"{}")
    store.enrol(answer)
    machine = Host.start()
    machine.stage(6)
    machine.stage(7)
    machine.go(7)
    ProductFile(tmp_path).write(machine.disk)
    boot = boot_record(trial=trial(7), previous=slot("0.9.0", NEW), highest_server=7)
    files.replace_file(files.record_path(str(tmp_path)), encode(boot))
    return tmp_path


def test_status_says_what_runs_and_what_goes_on(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--state", str(state)]) == 0
    said = capsys.readouterr().out
    assert "agent-1 in fleet fleet-1" in said
    assert "1.0.0 (before: 0.9.0), on trial: 1.1.0" in said
    assert "7 to 1.1.0: applying (self_test)" in said
    assert "6 to 1.1.0 cancelled: SUPERSEDED" in said


def test_status_as_json_is_one_object(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--state", str(state), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["version"], said["attempt"]["stage"], said["last_outcome"]["said"]) == (
        "1.0.0",
        "applying",
        "CANCELLED",
    )


def test_a_host_without_a_release_says_so(state: Path) -> None:
    (state / "boot.json").unlink()
    assert any("no release is installed" in line for line in status.sentences(status.read_status(state)))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["status", "--state", "/nowhere"], 1, "IDENTITY_UNKNOWN"),
        (["run", "--state", "/nowhere"], 1, "NOT_FOUND"),
        (["enroll", "not-a-join-string", "--state", "/nowhere"], 21, "INVALID_ARGUMENT"),
        (["run", "--state", "/nowhere", "--launcher-pipe", "x"], 21, "INVALID_ARGUMENT"),
    ],
)
def test_what_can_not_be_done_is_a_sentence_and_an_exit_code(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments", [[], ["no-such-command"], ["status"], ["enroll", "x", "--state", "y", "--label", "z"]]
)
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_the_version_of_an_unstamped_build_is_dev(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == "fleetroll-agent 0.0.0+dev\n"


def test_the_self_test_says_version_and_commit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["self-test", "--state", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out) == {"version": "0.0.0+dev", "sha": ""}


def test_the_launchers_process_loads_no_library() -> None:
    code = "import sys, fleetroll_agent.app; print([n for n in ('grpc', 'nacl', 'tuf', 'asyncio') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_program_that_runs_from_elsewhere_than_a_slot_refuses(state: Path) -> None:
    with pytest.raises(AgentError) as caught:
        own_slot(SlotStore(state), state)
    assert caught.value.code is Code.OWN_PATH_UNRESOLVED


def test_a_time_zone_that_is_named_nowhere_is_utc(tmp_path: Path) -> None:
    assert host.time_zone(tmp_path / "localtime", tmp_path / "timezone") == "UTC"
    (tmp_path / "timezone").write_text("Europe/Berlin\n")
    assert host.time_zone(tmp_path / "localtime", tmp_path / "timezone") == "Europe/Berlin"
    (tmp_path / "zoneinfo").mkdir()
    (tmp_path / "zoneinfo" / "Asia").mkdir()
    (tmp_path / "zoneinfo" / "Asia" / "Tokyo").write_text("")
    (tmp_path / "localtime").symlink_to(tmp_path / "zoneinfo" / "Asia" / "Tokyo")
    assert host.time_zone(tmp_path / "localtime", tmp_path / "timezone") == "Asia/Tokyo"
