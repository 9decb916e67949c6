"""Code that runs in a file system view of its own: what it mounts is seen by nobody else, and gone with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def apart(mounts: str, code: str) -> Any:
    """Run the shell's ``mounts``, then Python ``code``, in a mount namespace; return what it prints as JSON."""
    script = f'set -e; {mounts}\nexec "$@"'
    command = ("unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script, "sh", sys.executable, "-c")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in (str(ROOT), *sys.path) if path)}
    done = subprocess.run([*command, code], capture_output=True, text=True, timeout=50, check=False, env=environ)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def doctor_apart(mounts: str, state: Path, root: Path) -> list[dict[str, str]]:
    """Return what the doctor finds on a host some of whose folders are other mounts."""
    code = (
        "import json, datetime, pathlib\n"
        "from fleetroll_agent.doctor.run import diagnose, document\n"
        "from tests.faults.whole_host import NOW\n"
        f"found = diagnose(pathlib.Path({str(state)!r}), NOW, pathlib.Path({str(root)!r}))\n"
        "print(json.dumps(document(found)['findings']))\n"
    )
    found: list[dict[str, str]] = apart(mounts, code)
    return found
