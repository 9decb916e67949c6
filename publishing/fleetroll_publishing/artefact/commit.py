"""Which commit a source tree is at, and whether it is only that commit."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path

_TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit: its id, with ``+dirty`` behind it when the tree has changes or new files; its own time, aware UTC."""

    git_sha: str
    committed_at: datetime


def read_commit(source: Path) -> Commit:
    """Return the commit that ``source`` is at.

    Raises:
        RequestError: it is no git work tree, has no commit, or there is no git (caller's fault).
    """
    sha, seconds = _git(source, "log", "-1", "--format=%H %ct").split()
    dirty = "+dirty" if _git(source, "status", "--porcelain") else ""
    return Commit(f"{sha}{dirty}", datetime.fromtimestamp(int(seconds), timezone.utc))


def _git(source: Path, *arguments: str) -> str:
    """Return what git answers."""
    git = shutil.which("git")
    try:
        if git is None:
            raise _no_commit("there is no git on this machine")
        command = [git, "-C", str(source), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=True)  # noqa: S603 (fixed words)
    except subprocess.CalledProcessError as error:
        raise _no_commit(_reason(error.stderr)) from error
    except subprocess.TimeoutExpired as error:
        raise _no_commit(f"git did not answer within {_TIMEOUT_SECONDS} s") from error
    return done.stdout.strip()


def _reason(said: str) -> str:
    """Return the line that says why git failed: what follows it may be a hint, as where a file system ends."""
    lines = said.strip().splitlines() or ["git failed"]
    return next((line for line in lines if line.startswith("fatal: ")), lines[-1])


def _no_commit(reason: str) -> RequestError:
    """Return the error."""
    message = f"source: its commit can't be read: {reason}"
    return RequestError(message, code=Code.NOT_FOUND, remedy="build from a clone with git", field="source")
