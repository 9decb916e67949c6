"""Slots and hints on disk, the first record, the lock, the log, interpreters, the command line."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent.launcher import calls, files, install
from fleetroll_agent.launcher.bootid import read_boot_id
from fleetroll_agent.launcher.errors import LauncherError
from fleetroll_agent.launcher.lock import StateLock
from fleetroll_agent.launcher.main import load, main
from fleetroll_agent.launcher.output import RING_BYTES, Output
from fleetroll_agent.launcher.pythons import Pythons
from fleetroll_agent.launcher.record import decode, encode
from fleetroll_agent.launcher.recovery import Source
from fleetroll_agent.launcher.status import StatusFile
from tests.faults.launcher_bench import first
from tests.faults.launcher_host import ABI, Host

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def made(tmp_path: Path) -> tuple[Host, str]:
    """A host with one slot, and the slot's name."""
    host = Host(tmp_path)
    return host, host.slot("1.0.0")["slot"]


def folder(made: tuple[Host, str]) -> Path:
    return made[0].state / "slots" / "agent" / made[1]


def test_a_complete_slot_is_read_with_its_hints(made: tuple[Host, str]) -> None:
    state = str(made[0].state)
    facts = files.read_slot(state, made[1])
    assert facts is not None
    assert (facts.version, facts.abi, facts.good, facts.bad) == ("1.0.0", ABI, -1, False)
    files.mark_good(state, made[1], 7)
    files.mark_good(state, made[1], 9)
    assert files.read_slots(state) == [facts._replace(good=7)]
    files.mark_bad(state, ["0" * 64])
    assert files.read_slots(state) == [facts._replace(good=7)]
    files.mark_bad(state, [facts.digest])
    assert files.read_slots(state) == [facts._replace(bad=True)]
    files.mark_good(state, made[1], 11)
    assert files.read_slots(state) == [facts._replace(good=11)]
    files.unmark_good(state, made[1])
    files.unmark_good(state, made[1])
    assert files.read_slots(state) == [facts]


@pytest.mark.parametrize(
    ("name", "digest"),
    [("1.1.0-x", "A" * 64), ("1.1.0-x", "1" * 63), ("1.1.0-x", ""), ("1.1.0 x", "1" * 64), ("-1.1.0", "1" * 64)],
)
def test_a_slot_that_no_record_may_name_is_none_and_a_record_is_made_of_the_others(
    made: tuple[Host, str], name: str, digest: str
) -> None:
    """Otherwise the record that replaces a lost one could be read by nobody, this launcher included."""
    host, good = made
    state = str(host.state)
    files.mark_good(state, good, 1)
    odd = host.state / "slots" / "agent" / name
    shutil.copytree(folder(made), odd)
    complete = json.loads((odd / "COMPLETE").read_text())
    (odd / "COMPLETE").write_text(json.dumps({**complete, "version": "1.1.0", "sha256": digest}))
    (odd / "GOOD").write_text(json.dumps({"seq": 9}))
    assert [slot.name for slot in files.read_slots(state)] == [good]
    recovered = load(state, Pythons())
    assert (recovered.source, recovered.record.current.name) == (Source.SLOTS, good)
    assert decode(encode(recovered.record)) == recovered.record


def test_a_hint_whose_content_was_lost_counts_and_is_written_again(made: tuple[Host, str]) -> None:
    (folder(made) / "GOOD").write_bytes(b"")
    facts = files.read_slot(str(made[0].state), made[1])
    assert facts is not None
    assert facts.good == 0
    files.mark_good(str(made[0].state), made[1], 5)
    assert json.loads((folder(made) / "GOOD").read_text()) == {"seq": 5}


@pytest.mark.parametrize(
    "damage",
    [
        {"COMPLETE": None},
        {"COMPLETE": b"{"},
        {"COMPLETE": b"{}"},
        {"COMPLETE": b"[]"},
        {"COMPLETE": b'{"version":1,"sha256":"","entry":"entry.py","interpreter_abi":""}'},
        {"COMPLETE": b'{"version":"1","sha256":"","entry":"/bin/sh","interpreter_abi":""}'},
        {"COMPLETE": b'{"version":"1","sha256":"","entry":"../entry.py","interpreter_abi":""}'},
        {"entry.py": None},
    ],
)
def test_what_is_not_complete_is_no_slot(made: tuple[Host, str], damage: dict[str, bytes | None]) -> None:
    for name, data in damage.items():
        (folder(made) / name).unlink()
        if data is not None:
            (folder(made) / name).write_bytes(data)
    assert files.read_slot(str(made[0].state), made[1]) is None
    assert files.read_slots(str(made[0].state)) == []


@pytest.mark.parametrize("name", ["COMPLETE", "entry.py", "GOOD", ""])
def test_no_link_decides_anything(made: tuple[Host, str], name: str) -> None:
    path = folder(made) / name if name else folder(made)
    if name == "GOOD":
        path.symlink_to("COMPLETE")
        assert [slot.good for slot in files.read_slots(str(made[0].state))] == [-1]
        return
    moved = made[0].state / "moved"
    path.rename(moved)
    path.symlink_to(moved)
    assert files.read_slots(str(made[0].state)) == []


def test_a_replacement_that_was_cut_off_is_finished_not_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "boot.json").write_bytes(b"torn")
    (tmp_path / "boot.json.new").write_bytes(encode(first(5)))
    found = load(str(tmp_path), Pythons([]))
    assert (found.record.seq, found.source) == (5, Source.REPLACEMENT)
    assert (tmp_path / "boot.json").read_bytes() == encode(first(5))
    assert not (tmp_path / "boot.json.new").exists()


def test_a_record_is_replaced_in_the_order_that_survives_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def noted(name: str) -> Callable[..., Any]:
        real = getattr(calls, name)

        def call(*arguments: Any) -> Any:
            done.append(name)
            return real(*arguments)

        return call

    for name in calls.POINTS:
        monkeypatch.setattr(calls, name, noted(name))
    files.replace_file(str(tmp_path / "boot.json"), b"x")
    assert done == ["unlink", "create", "write", "fsync_file", "rename", "fsync_dir"]
    assert (tmp_path / "boot.json").stat().st_mode & 0o777 == 0o600


def test_a_first_record_is_written_once_for_a_slot_that_is_what_was_said(made: tuple[Host, str]) -> None:
    state, (host, name) = str(made[0].state), made
    digest = json.loads((folder(made) / "COMPLETE").read_text())["sha256"]
    for version, wrong in (("1.0.1", digest), ("1.0.0", "0" * 64)):
        with pytest.raises(LauncherError, match="does not hold") as error:
            install.first_record(state, name, version, wrong, sys.executable, ABI)
        assert error.value.code == "ENTRY_MISSING"
    install.first_record(state, name, "1.0.0", digest, sys.executable, ABI)
    record = host.record()
    assert (record.seq, record.current.name, record.boot_id) == (1, name, read_boot_id())
    assert (folder(made) / "GOOD").exists()
    with pytest.raises(LauncherError, match="exists already"):
        install.first_record(state, name, "1.0.0", digest, sys.executable, ABI)


def test_the_lock_is_held_until_its_last_holder_is_gone(tmp_path: Path) -> None:
    with StateLock(str(tmp_path)) as lock:
        inherited = os.dup(lock.handle)
    with pytest.raises(LauncherError, match="stop that one"), StateLock(str(tmp_path), 0.1):
        pass
    os.close(inherited)
    with StateLock(str(tmp_path)):
        pass


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EBADF, errno.EOPNOTSUPP, errno.EIO])
def test_a_file_system_without_locks_is_said_and_nothing_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], code: int
) -> None:
    opened: list[int] = []

    def refuse(handle: int, _how: int) -> None:
        opened.append(handle)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(LauncherError, match=f"can't be locked: {os.strerror(code)}") as caught,
        StateLock(str(tmp_path)),
    ):
        pass
    assert (caught.value.code, "a disk of this host" in caught.value.remedy) == ("INTERNAL", True)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])
    assert main(["run", "--state", str(tmp_path)]) == 1
    assert "can't be locked" in capfd.readouterr().err


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(LauncherError, match="can't be used"), StateLock(str(tmp_path / "nowhere")):
        pass


def test_output_is_kept_to_its_bounds_in_memory_and_on_disk(tmp_path: Path) -> None:
    log = tmp_path / "agent.log"
    output = Output(str(log), log_bytes=1000)
    for number in range(400):
        output.add(f"line {number}\n".encode() * 10)
    assert len(output.tail()) <= RING_BYTES
    assert output.tail().endswith("line 399\n")
    assert (log.stat().st_size if log.exists() else 0) + (tmp_path / "agent.log.1").stat().st_size <= 2 * 1100
    output.start()
    assert output.tail() == ""


def test_output_that_the_disk_refuses_is_counted_not_raised(tmp_path: Path) -> None:
    output = Output(str(tmp_path / "nowhere" / "agent.log"))
    output.add(b"\xff12")
    assert (output.lost_bytes, output.tail()) == (3, "\ufffd12")


def test_a_status_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    StatusFile(str(tmp_path / "nowhere")).write({"status": "running"})


def test_an_interpreter_is_believed_only_when_it_answers(tmp_path: Path) -> None:
    (tmp_path / f"python3.{sys.version_info[1]}").symlink_to(sys.executable)
    (tmp_path / "python3.99").write_text("#!/bin/sh\necho cp311\n")
    (tmp_path / "python3.98").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "python3.97").symlink_to("nowhere")
    for path in tmp_path.iterdir():
        if not path.is_symlink():
            path.chmod(0o755)
    pythons = Pythons([str(tmp_path), str(tmp_path / "absent"), "relative"])
    assert pythons.by_abi() == {ABI: str(tmp_path / f"python3.{sys.version_info[1]}")}
    assert pythons.abi_of(str(tmp_path / "python3.98")) == ""
    assert pythons.abi_of("") == ""


def test_an_interpreter_that_was_replaced_is_asked_again(tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.symlink_to(sys.executable)
    pythons = Pythons([])
    assert pythons.abi_of(str(python)) == ABI
    python.unlink()
    python.write_text("#!/bin/sh\necho cp399\n")
    python.chmod(0o755)
    assert pythons.abi_of(str(python)) == "cp399"


def test_a_boot_without_an_id_reads_as_empty(tmp_path: Path) -> None:
    assert read_boot_id(str(tmp_path / "none")) == ""
    assert read_boot_id(str(tmp_path)) == ""
    assert len(read_boot_id()) == 36


@pytest.mark.parametrize("argv", [[], ["run"], ["dance"], ["run", "--state", "x", "--start-limit", "0"]])
def test_wrong_usage_is_two(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_a_state_without_anything_to_run_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--state", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
