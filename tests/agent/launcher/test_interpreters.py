"""Interpreters that are really renamed, replaced and put back under a running launcher: never a silent death."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.launcher.install import first_record

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.launcher_host import Host

_PYTHON = """#!/bin/sh
# A Python of its own version: it says so when it is asked, and runs everything else.
[ "$4" = -c ] && exec echo {abi}
exec "{real}" "$@"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the path in which interpreters are found by their names."""
    made = tmp_path / "bin"
    made.mkdir()
    monkeypatch.setenv("PATH", f"{made}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return made


def interpreter(folder: Path, number: int) -> Path:
    """Put ``python3.NUMBER`` there."""
    path = folder / f"python3.{number}"
    path.write_text(_PYTHON.format(abi=f"cp3{number}", real=sys.executable))
    path.chmod(0o755)
    return path


def slot_for(host: Host, version: str, number: int) -> dict[str, str]:
    """Make a complete slot for ``python3.NUMBER``."""
    slot = host.slot(version)
    complete = host.state / "slots" / "agent" / slot["slot"] / "COMPLETE"
    complete.write_text(json.dumps({**json.loads(complete.read_text()), "interpreter_abi": f"cp3{number}"}))
    return slot


def enrol(host: Host, slot: dict[str, str], python: Path) -> None:
    abi = "cp3" + python.suffix[1:]
    first_record(str(host.state), slot["slot"], slot["version"], slot["digest"], str(python), abi)


def kill_agent(host: Host) -> None:
    os.kill(host.living()[0], signal.SIGKILL)


def test_an_interpreter_that_is_renamed_under_a_running_agent_is_a_stated_state_until_it_returns(
    host: Host, folder: Path
) -> None:
    """The agent runs on; after its end the launcher lives, says what is missing, and goes on when that is back."""
    python = interpreter(folder, 98)
    enrol(host, slot_for(host, "1.0.0", 98), python)
    launcher = host.launch()
    host.until(host.living)
    python.rename(folder / "away")
    kill_agent(host)
    host.until(lambda: host.status() == "no_interpreter")
    assert launcher.poll() is None
    assert not host.living()
    assert str(python) in host.told()["detail"]
    (folder / "away").rename(python)
    host.until(host.living)
    host.until(lambda: host.status() == "running")
    assert host.starts("1.0.0") == 2


def test_an_interpreter_that_is_gone_before_the_host_starts_is_waited_for(host: Host, folder: Path) -> None:
    """A launcher that is started without any interpreter for its slots stays, and starts the agent later."""
    python = interpreter(folder, 98)
    enrol(host, slot_for(host, "1.0.0", 98), python)
    python.rename(folder / "away")
    launcher = host.launch()
    host.until(lambda: host.status() == "no_interpreter")
    assert launcher.poll() is None
    (folder / "away").rename(python)
    host.until(host.living)


def test_another_python_with_a_complete_slot_takes_over(host: Host, folder: Path) -> None:
    """Any python3.N will do whose abi has a complete slot, the same version first."""
    python, newer = interpreter(folder, 98), interpreter(folder, 99)
    slot = slot_for(host, "1.0.0", 98)
    other = slot_for(host, "1.0.1", 99)
    enrol(host, slot, python)
    host.launch()
    host.until(host.living)
    python.unlink()
    kill_agent(host)
    host.until_starts("1.0.1", 1)
    host.until(lambda: host.status() == "running")
    current = host.record().current
    assert (current.name, current.python, current.abi) == (other["slot"], str(newer), "cp399")


def test_an_interpreter_that_was_replaced_by_another_version_is_not_used(host: Host, folder: Path) -> None:
    """The path proves nothing: what stands there is asked."""
    python = interpreter(folder, 98)
    enrol(host, slot_for(host, "1.0.0", 98), python)
    python.write_text(_PYTHON.format(abi="cp399", real=sys.executable))
    host.launch()
    host.until(lambda: host.status() == "no_interpreter")
    assert "is no longer a Python of cp398" in host.told()["detail"]
    assert host.starts("1.0.0") == 0
    python.write_text(_PYTHON.format(abi="cp398", real=sys.executable))
    host.until(host.living)


def test_an_incomplete_slot_is_no_way_out(host: Host, folder: Path) -> None:
    """A slot without COMPLETE is never started, not even when it is all there is."""
    python = interpreter(folder, 98)
    interpreter(folder, 99)
    enrol(host, slot_for(host, "1.0.0", 98), python)
    other = slot_for(host, "1.0.1", 99)
    (host.state / "slots" / "agent" / other["slot"] / "COMPLETE").unlink()
    python.unlink()
    host.launch()
    host.until(lambda: host.status() == "no_interpreter")
    assert not host.living()


def test_the_launchers_own_interpreter_may_go_while_it_runs(host: Host, folder: Path) -> None:
    """The launcher has all that it needs in memory; its agent is started by the recorded interpreter."""
    own = folder / "python-of-the-launcher"
    own.symlink_to(sys.executable)
    host.enrol(host.slot("1.0.0"))
    launcher = host.launch(own)
    host.until(host.living)
    own.rename(folder / "away")
    kill_agent(host)
    host.until(lambda: host.starts("1.0.0") == 2 and host.living())
    assert launcher.poll() is None
