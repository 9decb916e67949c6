"""Keep the agent that has landed, for the tests of this folder: to be done when a newer one lands.

    python -m tests.agent.versions.freeze <commit>

A shallow clone has no history, so what :mod:`.previous` needs of that commit is kept as one file of Python sources.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
KEPT = Path(__file__).with_name("previous.zip")
NAMED = "COMMIT"
"""Member with the commit's hash."""
_PACKAGES = ("fleetroll_agent", "fleetroll_common")
_WANTED = f"""
import sys, tests.agent.versions.previous
for name, module in sorted(sys.modules.items()):
    if name.partition(".")[0] in {_PACKAGES}:
        print(module.__file__)
"""


def freeze(commit: str, kept: Path) -> int:
    """Write ``kept``; return how many modules it has."""
    sha1 = subprocess.run(["git", "rev-parse", commit], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    archive = subprocess.run(
        ["git", "archive", "--format=zip", commit, "agent", "common"], cwd=ROOT, check=True, capture_output=True
    )
    with tempfile.TemporaryDirectory() as name:
        with zipfile.ZipFile(io.BytesIO(archive.stdout)) as tree:
            tree.extractall(name)
        places = [Path(name) / "agent", Path(name) / "common"]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))}
        command = [sys.executable, "-c", _WANTED]
        said = subprocess.run(command, cwd=ROOT, env=environ, check=True, capture_output=True, text=True).stdout
        paths = [Path(line) for line in said.split()]
        files = {path.relative_to(place): path for path in paths for place in places if place in path.parents}
        with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
            packed.writestr(zipfile.ZipInfo(NAMED), sha1)
            for member, path in sorted(files.items()):
                info = zipfile.ZipInfo(member.as_posix())
                packed.writestr(info, path.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=9)
    return len(files)


if __name__ == "__main__":
    print(f"{KEPT.name}: {freeze(sys.argv[1], KEPT)} modules of {sys.argv[1]}")
