"""What a service needs to know of the host, and to ask of it: its init system, a Python, a command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fleetroll_agent.service.facts import LATEST_STOP_SECONDS, Init
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMMAND_SECONDS = 90.0
"""An init system that takes longer for what must not wait is itself in trouble."""
STOP_COMMAND_SECONDS = LATEST_STOP_SECONDS + _COMMAND_SECONDS
"""Of a command that stops the service: the agent may wait for a step that can't be run twice."""
_STABLE_PYTHONS = ("/usr/bin/python3", "/usr/local/bin/python3")
"""Names that an upgrade of the host keeps, whatever version is behind them: the launcher runs on each from 3.6 on."""
_OLD_ENOUGH = "import sys; sys.exit(sys.version_info < (3, 6))"


class Runner(Protocol):
    """Runs a command of the host."""

    def __call__(self, command: Sequence[str]) -> str:
        """Return what went wrong, as one line; empty when nothing did."""


def run(command: Sequence[str], seconds: float = _COMMAND_SECONDS) -> str:
    """Run ``command`` to its end, ``seconds`` at most; see :class:`Runner`."""
    try:
        done = subprocess.run(  # noqa: S603 (a fixed command of the init system)
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
        )
    except OSError as error:
        return f"{command[0]} can't be run: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"{' '.join(command)} did not end within {seconds:g} s"
    said = " ".join(done.stdout.decode("utf-8", "replace").split())[-500:]
    return f"{' '.join(command)} ended with {done.returncode}: {said}" if done.returncode else ""


def run_stop(command: Sequence[str]) -> str:
    """Run a command that may stop the service; see :class:`Runner`."""
    return run(command, STOP_COMMAND_SECONDS)


def detect(root: Path = Path("/"), system: str = sys.platform) -> Init | None:
    """Return the init system below ``root``; None when none is found.

    On the running host (``root`` is ``/``) it counts only when it really runs: containers hold the files of one.
    """
    if system in ("darwin", "win32"):
        return Init.LAUNCHD if system == "darwin" else Init.WINDOWS
    if root == Path("/"):
        return next((init for init in (Init.SYSTEMD, Init.OPENRC, Init.SYSV) if runs(init)), None)
    if any((root / path / "systemd").is_file() for path in ("usr/lib/systemd", "lib/systemd")):
        return Init.SYSTEMD
    if (root / "sbin/openrc-run").exists():
        return Init.OPENRC
    return Init.SYSV if (root / "etc/inittab").is_file() and (root / "etc/init.d").is_dir() else None


def runs(init: Init, root: Path = Path("/"), system: str = sys.platform) -> bool:
    """Tell whether ``init`` really runs this host. ``root`` is where its traces are looked for."""
    if init is Init.NONE:
        return False
    if init in (Init.LAUNCHD, Init.WINDOWS):
        return system == ("darwin" if init is Init.LAUNCHD else "win32")
    if init is Init.SYSTEMD:
        return (root / "run/systemd/system").is_dir()
    if init is Init.OPENRC:
        return (root / "run/openrc").is_dir()
    try:
        first = (root / "proc/1/comm").read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return False
    # OpenRC's and BusyBox's init have the same name; what serves them was asked about before.
    return first == "init" and (root / "etc/init.d").is_dir() and not (root / "run/openrc").is_dir()


def stable_python(candidates: Sequence[str] = (*_STABLE_PYTHONS, os.path.realpath(sys.executable))) -> str:
    """Return the path of a Python for the launcher, the one first whose name outlives an upgrade of the host.

    Raises:
        AgentError: NO_INTERPRETER: none of ``candidates`` runs.
    """
    for path in candidates:
        if Path(path).is_file() and not run((path, "-I", "-S", "-B", "-c", _OLD_ENOUGH)):
            return path
    text = f"none of {', '.join(candidates)} is a Python 3.6 or newer that runs"
    raise AgentError(text, code=Code.NO_INTERPRETER, remedy="name one with --python")
