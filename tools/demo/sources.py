"""Source trees of the demonstration's releases: this one, and copies with a mistake such as people make.

The bad releases are other programs, not this one told to fail: their source differs, so their signed bytes differ.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

ROOTS = ("agent", "common", "generated")


class DemoError(Exception):
    """The demonstration did not show what it promises."""


@dataclass(frozen=True)
class Mistake:
    """A change of the source: ``old`` in the file at ``path`` becomes ``new``."""

    path: str
    old: str
    new: str


def copy_source(root: Path, into: Path, mistakes: tuple[Mistake, ...] = ()) -> Path:
    """Copy the agent's source below ``root``, make the mistakes, commit the result; return the new tree.

    Raises:
        DemoError: the text that a mistake changes is not there any more.
    """
    for name in ROOTS:
        shutil.copytree(root / name, into / name, ignore=shutil.ignore_patterns("__pycache__"))
    make_mistakes(into, mistakes)
    commit(into)
    return into


def make_mistakes(folder: Path, mistakes: tuple[Mistake, ...]) -> None:
    """Change files below ``folder``.

    Raises:
        DemoError: the text that a mistake changes is not there any more.
    """
    for mistake in mistakes:
        file = folder / mistake.path
        text = file.read_text(encoding="utf-8")
        if text.count(mistake.old) != 1:
            raise DemoError(f"{mistake.path}: the line to change is not there exactly once")
        file.write_text(text.replace(mistake.old, mistake.new), encoding="utf-8")


def commit(folder: Path) -> None:
    """Make a repository of ``folder``: a release names its commit."""
    git = ("git", "-c", "user.name=demo", "-c", "user.email=demo@localhost", "-C", str(folder))
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "release")):
        subprocess.run([*git, *words], check=True, capture_output=True, timeout=60)


DAEMON = "agent/fleetroll_agent/daemon.py"

DIES_AT_START = Mistake(
    DAEMON,
    "for number in (signal.SIGTERM, signal.SIGINT):\n            loop.add_signal_handler",
    "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):\n            loop.add_signal_handler",
)
"""A signal that can't be handled: every start as a service ends here; the self-test never gets to it."""
DIES_IN_SOAK = Mistake(
    DAEMON,
    "            self._pipe.send(pipe.hello())\n",
    "            self._pipe.send(pipe.hello())\n            signal.alarm(1)  # ends a process that hangs\n",
)
"""A watchdog that nobody feeds: the program starts, connects, says hello, and is gone a second later."""
