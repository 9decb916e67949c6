"""Compares generated/ with what the generator makes of protos/ now; changes nothing.

Prints each file that is missing, stale or different, and ends with status 1 when there is one. The remedy is
`make gen`, and for a stale file its removal.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Made by hand: the generator does not know the marker of typed packages.
BY_HAND = frozenset({"fleetroll/v1/py.typed"})


def tree(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder by their relative path, byte code left out."""
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def differences(committed: dict[str, bytes], fresh: dict[str, bytes]) -> list[str]:
    """Return one sentence per file that differs between the two trees."""
    stale = [f"{name}: no longer generated" for name in committed.keys() - fresh.keys() - BY_HAND]
    missing = [f"{name}: not in generated/" for name in fresh.keys() - committed.keys()]
    changed = [f"{name}: differs" for name in fresh.keys() & committed.keys() if fresh[name] != committed[name]]
    return sorted([*stale, *missing, *changed])


def main() -> int:
    """Generate into a temporary folder, compare, return the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        buf = Path(sys.executable).parent / "buf"
        subprocess.run([buf, "generate", "--output", folder], cwd=ROOT, check=True)
        found = differences(tree(ROOT / "generated"), tree(Path(folder, "generated")))
    for line in found:
        print(line)
    if found:
        print("generated/ does not fit protos/: run `make gen` and commit the result", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
