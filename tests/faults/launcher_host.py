"""A host in a folder: slots with fake agents, a boot record, and real launchers that are watched from outside."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetroll_agent.launcher.install import first_record
from fleetroll_agent.launcher.record import decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_agent.launcher.values import Record

HERE = Path(__file__).parent
ABI = f"cp{sys.version_info[0]}{sys.version_info[1]}"
SHORT = {"start": 2.0, "hang": 2.0, "grace": 0.5, "backoff_base": 0.01, "backoff_cap": 0.02, "rewrite": 0.05}
"""Waiting times of launchers in tests, seconds: long enough for a busy machine to start a Python."""
DEADLINE_SECONDS = 20.0


def arming(slot: dict[str, str], generation: int = 1, origin: str = "server", **changes: Any) -> dict[str, Any]:
    """Return an arm request for ``slot``, soak 0.1 s, lease 5 s."""
    request = {
        **slot,
        "attempt": {"generation": generation, "origin": origin},
        "authority": origin,
        "soak_seconds": 0.1,
        "lease_seconds": 5.0,
        "interpreter": {"path": sys.executable, "abi": ABI},
    }
    return {**request, **changes}


class Host:
    """The state folder of one host and the launchers that run on it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.launchers: list[subprocess.Popen[bytes]] = []

    def slot(self, version: str, kind: str = "good", **behaviour: Any) -> dict[str, str]:
        """Make a complete slot and return how ``arm`` names it."""
        digest = hashlib.sha256(version.encode()).hexdigest()
        name = f"{version}-{digest[:8]}"
        folder = self.state / "slots" / "agent" / name
        folder.mkdir(parents=True)
        shutil.copy(HERE / "fake_agent.py", folder / "entry.py")
        (folder / "behaviour.json").write_text(json.dumps({"kind": kind, **behaviour}))
        complete = {"version": version, "sha256": digest, "entry": "entry.py", "interpreter_abi": ABI}
        (folder / "COMPLETE").write_text(json.dumps(complete))
        return {"slot": name, "version": version, "digest": digest}

    def enrol(self, slot: dict[str, str], python: str = sys.executable) -> None:
        first_record(str(self.state), slot["slot"], slot["version"], slot["digest"], python, ABI)

    def launch(self, python: Path | str = sys.executable, **limits: float) -> subprocess.Popen[bytes]:
        """Start a real launcher in the background; ``python`` may be a wrapper with fault points."""
        command = [str(python), str(HERE / "run_launcher.py"), str(self.state), json.dumps({**SHORT, **limits})]
        roots = os.pathsep.join(path for path in sys.path if path)
        with (self.state / "launcher.err").open("ab") as errors:
            child = subprocess.Popen(command, stderr=errors, env={**os.environ, "PYTHONPATH": roots})
        self.launchers.append(child)
        return child

    def record(self) -> Record:
        return decode((self.state / "boot.json").read_bytes())

    def status(self) -> str:
        return str(self.told().get("status", ""))

    def told(self) -> dict[str, Any]:
        """Return what the launcher's status file says; nothing before there is one."""
        path = self.state / "launcher.status"
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def journal(self) -> list[str]:
        path = self.state / "journal.log"
        return path.read_text().splitlines() if path.exists() else []

    def starts(self, version: str) -> int:
        return sum(line.startswith(f"start {version} ") for line in self.journal())

    def until(self, what: Callable[[], Any]) -> Any:
        """Look again and again until ``what`` is true; fail loudly at the deadline."""
        end = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < end:
            seen = what()
            if seen:
                return seen
            time.sleep(0.01)
        log = self.state / "agent.log"
        texts = [self.journal(), (self.state / "launcher.err").read_text(), log.read_text() if log.exists() else ""]
        raise AssertionError("\n".join(str(text) for text in texts))

    def until_starts(self, version: str, count: int) -> None:
        self.until(lambda: self.starts(version) == count)

    def living(self) -> list[int]:
        """Return the pids of agents that were started here and are not dead (a zombie is)."""
        pids = [int(line.split()[2]) for line in self.journal() if line.startswith("start ")]
        return [pid for pid in pids if _lives(pid)]

    def close(self) -> None:
        for child in self.launchers:
            if child.poll() is None:
                child.send_signal(signal.SIGKILL)
            child.wait()
        self.until(lambda: not self.living())


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
