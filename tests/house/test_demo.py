"""The demonstration's helpers: what it makes, what it counts, and that it leaves nothing behind, whatever happens."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleetroll_common.durable import dump_record
from tools.demo import leftovers, main
from tools.demo.fleet import HOSTS, NEWCOMER, Fleet
from tools.demo.journals import hosts_given_go, hosts_past_go, last_word, running_artefacts, slots_of
from tools.demo.processes import Processes, run
from tools.demo.sources import DIES_AT_START, DIES_IN_SOAK, DemoError, Mistake, copy_source
from tools.demo.story import Told, check

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = "a" * 64, "b" * 64


@pytest.mark.parametrize("mistake", [DIES_AT_START, DIES_IN_SOAK], ids=["dies at start", "dies in its soak"])
def test_a_mistake_changes_one_place_and_leaves_a_program_that_python_reads(tmp_path: Path, mistake: Mistake) -> None:
    changed = (copy_source(ROOT, tmp_path / "source", (mistake,)) / mistake.path).read_text("utf-8")
    assert changed != (ROOT / mistake.path).read_text("utf-8")
    ast.parse(changed)


def test_a_mistake_that_no_longer_fits_the_source_is_told_and_not_left_out(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="not there exactly once"):
        copy_source(ROOT, tmp_path / "source", (Mistake(DIES_AT_START.path, "no such line", ""),))


# What still lives.


def python(processes: Processes, name: str, program: str) -> int:
    """Start a program of the demonstration; return its process id once it runs as that program."""
    running = processes.start(name, "python", "-c", program)
    wait(lambda: any(one.pid == running.process.pid for one in leftovers.living(processes.folder)))
    return running.process.pid


def wait(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


SLEEPS = "import time; time.sleep(60)"
OUTLIVED = (
    "import subprocess, sys, time;"
    f"print(subprocess.Popen([sys.executable, '-c', {SLEEPS!r}], start_new_session=True).pid, flush=True);"
    "time.sleep(60)"
)
"""A program that leaves a child in a group of its own behind when it is ended."""


def test_what_was_started_is_found_by_its_environment_and_is_gone_after_the_stop(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    pid = python(processes, "one", SLEEPS)
    processes.stop_all()
    assert not alive(pid)
    assert leftovers.living(tmp_path) == []


def test_a_stranger_whose_command_line_names_the_folder_is_found(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", SLEEPS, str(tmp_path)])
    try:
        wait(lambda: stranger.pid in [one.pid for one in leftovers.living(tmp_path)])
    finally:
        stranger.kill()
        stranger.wait()


def test_a_child_that_outlives_its_parent_is_killed_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "GRACE_SECONDS", 0.2)
    processes = Processes(tmp_path)
    python(processes, "parent", OUTLIVED)
    wait((tmp_path / "logs" / "parent.log").read_text)
    child = int((tmp_path / "logs" / "parent.log").read_text())
    with pytest.raises(DemoError, match=f"still ran and was killed: {child} "):
        processes.stop_all()
    wait(lambda: not alive(child))


def test_what_does_not_stop_when_asked_is_killed_and_named_and_the_rest_is_stopped_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.demo.processes.STOP_SECONDS", 0.5)
    processes = Processes(tmp_path)
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    pids = [python(processes, "good", SLEEPS), python(processes, "deaf", deaf)]
    wait((tmp_path / "logs" / "deaf.log").read_text)
    with pytest.raises(DemoError, match="had to be killed: deaf"):
        processes.stop_all()
    assert not any(alive(pid) for pid in pids)


# However it ends, nothing is left.

FAILURES = {
    "a promise": DemoError("not every host"),
    "time": subprocess.TimeoutExpired(["fleetroll"], 5),
    "the system": OSError(28, "No space left on device"),
    "a value": ValueError("no JSON"),
    "a field": KeyError("rollouts"),
    "a person": KeyboardInterrupt(),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("keep", [False, True], ids=["", "keep"])
def test_whatever_goes_wrong_everything_is_stopped_and_one_line_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], failure: str, keep: bool
) -> None:
    processes = Processes(tmp_path)
    pid = python(processes, "host", SLEEPS)

    def play() -> Fleet:
        raise FAILURES[failure]

    assert main.perform(play, processes, keep=keep) == 1
    assert not alive(pid)
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in said] == ["demo", "demo"]
    assert str(FAILURES[failure]) in said[0]


@pytest.mark.parametrize("keep", [False, True], ids=["", "keep"])
def test_a_fleet_that_did_well_is_kept_only_when_asked_for(tmp_path: Path, keep: bool) -> None:
    processes = Processes(tmp_path / "demo")
    pid = python(processes, "host", SLEEPS)
    assert main.perform(lambda: Fleet(processes.folder, processes), processes, keep=keep) == 0
    assert alive(pid) is keep
    processes.stop_all()


def test_a_stop_that_fails_is_a_failure_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise DemoError("had to be killed: host-01")

    processes = Processes(tmp_path)
    monkeypatch.setattr(processes, "stop_all", refuse)
    assert main.perform(lambda: Fleet(tmp_path, processes), processes, keep=False) == 1
    assert "had to be killed: host-01" in capsys.readouterr().err
    assert tmp_path.exists(), "its logs are needed"


def test_a_program_that_does_not_end_in_time_is_a_failure_with_a_sentence() -> None:
    with pytest.raises(DemoError, match="did not end within 0 s"):
        run("python", "-c", SLEEPS, seconds=0.2)


def test_the_limit_is_told_and_only_binds_when_it_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    main.show_time(90.0, None)
    main.show_time(130.0, None)
    main.show_time(130.0, 150.0)
    assert capsys.readouterr().out.splitlines() == [
        "the whole took 90 s (limit 120 s)",
        "the whole took 130 s (limit 120 s): longer than that",
        "the whole took 130 s (limit 150 s)",
    ]
    with pytest.raises(DemoError, match="limit"):
        main.show_time(130.0, 120.0)


# What hosts wrote.


def write_host(hosts: Path, name: str, *, log: str = "", reports: tuple[dict[str, object], ...] = ()) -> Path:
    """Write the files of a host as agent and launcher do."""
    host = hosts / name
    (host / "journal").mkdir(parents=True)
    (host / "agent.log").write_text(log)
    lines = [json.dumps({"sequence": n, "report": report}).encode() for n, report in enumerate(reports, 1)]
    (host / "journal" / "1.log").write_bytes(b"".join(b"%08x %s\n" % (zlib.crc32(line), line) for line in lines))
    record = {"current": {"version": "1.1.0", "digest": OLD}, "trial": None}
    (host / "boot.json").write_bytes(dump_record(record))
    return host


def report(said: str, generation: int, sha256: str, step: str = "") -> dict[str, object]:
    return {"said": said, "generation": generation, "sha256": sha256, "step": step}


def go(generation: int) -> str:
    return json.dumps({"event": "go_received", "generation": generation, "ask": 1}) + "\n"


def test_a_go_counts_where_it_came_and_where_it_was_used(tmp_path: Path) -> None:
    staged = report("STAGED", 2, NEW)
    write_host(tmp_path, "used", log="not JSON\n" + go(2), reports=(staged, report("APPLYING", 2, NEW, "self_test")))
    write_host(tmp_path, "void", log=go(2), reports=(staged,))
    write_host(tmp_path, "waits", log="null\n", reports=(staged,))
    write_host(tmp_path, "before", log=go(1), reports=(report("STAGED", 1, OLD), staged))
    assert hosts_given_go(tmp_path, NEW) == ["used", "void"]
    assert hosts_past_go(tmp_path, NEW) == ["used"]


def test_a_go_in_the_older_half_of_a_log_counts(tmp_path: Path) -> None:
    host = write_host(tmp_path, "h", log=go(2), reports=(report("STAGED", 2, NEW),))
    (host / "agent.log").rename(host / "agent.log.1")
    assert hosts_given_go(tmp_path, NEW) == ["h"]


def test_a_go_for_nothing_that_the_journal_knows_is_a_failure(tmp_path: Path) -> None:
    write_host(tmp_path, "h", log=go(9), reports=(report("STAGED", 2, NEW),))
    with pytest.raises(DemoError, match="generation 9"):
        hosts_given_go(tmp_path, NEW)


def test_what_a_host_runs_is_read_from_its_own_boot_record(tmp_path: Path) -> None:
    host = write_host(tmp_path, "h")
    assert running_artefacts(tmp_path) == {"h": ("1.1.0", OLD)}
    (host / "boot.json").write_bytes(dump_record({"current": {"version": "1.1.0", "digest": OLD}, "trial": {}}))
    with pytest.raises(DemoError, match="a trial is open"):
        running_artefacts(tmp_path)
    (host / "boot.json").write_bytes(b"{}")
    with pytest.raises(DemoError, match=r"boot\.json"):
        running_artefacts(tmp_path)


def test_every_version_that_a_host_has_a_slot_of_is_found(tmp_path: Path) -> None:
    for slot in ("1.1.0-abcdef01", "1.3.0-rc.1-abcdef02"):
        (tmp_path / "slots" / "agent" / slot).mkdir(parents=True)
    assert slots_of(tmp_path) == ["1.1.0", "1.3.0-rc.1"]


def test_the_last_word_is_a_line_or_the_event_of_a_line_of_the_log() -> None:
    assert last_word("Traceback\nRuntimeError: no\n\n") == "RuntimeError: no"
    assert last_word('x\n{"event": "session_open", "level": "info"}\n') == "session_open"
    assert last_word('{"level": "info"}') == '{"level": "info"}'
    assert last_word(" \n") == ""


# What is demanded.

GOOD_ONE = Told("1.1.0", "completed", 1.0, "", "", "", "", "", HOSTS, HOSTS)
BAD_ONE = Told("1.2.0", "halted", 1.0, "", HOSTS[0], "EXITED", "m", "out", HOSTS[:1], HOSTS[:1])
OTHER_BAD = replace(BAD_ONE, version="1.3.0", canary=HOSTS[6], given_go=(HOSTS[6],), past_go=(HOSTS[6],))
BROKEN = {
    "another host was given a Go that it did not use": {"given_go": HOSTS[:2]},
    "another host used a Go": {"past_go": HOSTS[:2]},
    "the log knows no Go": {"given_go": ()},
    "the canary tried twice": {"past_go": (HOSTS[0], HOSTS[0])},
    "nothing is known of the canary's end": {"canary_output": ""},
    "no code": {"canary_code": ""},
    "it went on": {"outcome": "completed"},
    "the other canary": {"canary": HOSTS[6], "given_go": (HOSTS[6],), "past_go": (HOSTS[6],)},
}


def test_a_story_as_promised_passes() -> None:
    check([GOOD_ONE, BAD_ONE, OTHER_BAD])


@pytest.mark.parametrize("broken", BROKEN)
def test_a_bad_release_that_was_not_stopped_as_promised_fails(broken: str) -> None:
    with pytest.raises(DemoError):
        check([GOOD_ONE, replace(BAD_ONE, **BROKEN[broken]), OTHER_BAD])  # type: ignore[arg-type]  # a table of fields


def test_a_good_release_that_missed_a_host_fails() -> None:
    for field in ("given_go", "past_go"):
        with pytest.raises(DemoError):
            check([replace(GOOD_ONE, **{field: HOSTS[1:]}), BAD_ONE, OTHER_BAD])  # type: ignore[arg-type]  # by name


def test_the_summary_counts_the_host_that_came_late() -> None:
    assert main.hosts_per_version(["1.1.0"] * 13) == "hosts per version: 1.1.0: 13 of 13"


@pytest.mark.parametrize("versions", [["1.1.0"] * 12, ["1.1.0"] * 12 + ["1.3.0"], ["1.1.0"] * 12 + [""], []])
def test_a_host_too_few_or_on_another_version_fails_at_the_end(versions: list[str]) -> None:
    with pytest.raises(DemoError, match="not every one of 13 hosts"):
        main.hosts_per_version(versions)


@pytest.mark.parametrize("field", ["given_go", "past_go"])
def test_a_late_host_that_came_to_the_good_release_by_the_rollout_fails(field: str) -> None:
    with pytest.raises(DemoError):
        check([replace(GOOD_ONE, **{field: (*HOSTS, NEWCOMER)}), BAD_ONE, OTHER_BAD])  # type: ignore[arg-type]  # by name
