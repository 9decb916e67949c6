"""Never two agents at once: each guard alone, with the others out of the way."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.launcher import child
from fleetroll_agent.launcher.errors import LauncherError
from fleetroll_agent.launcher.lock import StateLock

if TYPE_CHECKING:
    from tests.faults.launcher_host import Host


def refused(host: Host) -> bool:
    try:
        with StateLock(str(host.state)):
            return False
    except LauncherError as error:
        return error.code == "LOCKED"


def test_a_child_that_reads_nothing_dies_with_its_launcher(host: Host) -> None:
    host.enrol(host.slot("1.0.0"))
    launcher = host.launch()
    (pid,) = host.until(host.living)
    os.kill(pid, signal.SIGSTOP)
    launcher.send_signal(signal.SIGKILL)
    host.until(lambda: not host.living())


def test_a_child_that_outlives_its_launcher_keeps_the_next_one_from_starting_an_agent(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = Path(child.__file__).read_text()
    without = text.replace("    die_with_parent()\n", "")
    assert without != text
    (tmp_path / "shim.py").write_text(without)
    monkeypatch.setenv("LAUNCHER_SHIM", str(tmp_path / "shim.py"))
    host.enrol(host.slot("1.0.0"))
    launcher = host.launch()
    (pid,) = host.until(host.living)
    try:
        os.kill(pid, signal.SIGSTOP)
        launcher.send_signal(signal.SIGKILL)
        launcher.wait()
        assert host.living() == [pid]
        assert refused(host)
        host.launch()
        assert host.starts("1.0.0") == 1
    finally:
        os.kill(pid, signal.SIGKILL)
    host.until(lambda: host.starts("1.0.0") == 2)


def test_a_second_launcher_is_refused_whatever_is_removed_from_the_state_folder(host: Host) -> None:
    host.enrol(host.slot("1.0.0"))
    with StateLock(str(host.state)):
        for path in host.state.iterdir():
            if path.is_file():
                path.unlink()
        assert refused(host)
    assert not refused(host)


def test_a_state_folder_that_is_a_file_or_absent_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("file", "absent"):
        with pytest.raises(LauncherError, match="can't be used"), StateLock(str(tmp_path / name)):
            pass
