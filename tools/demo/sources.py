"""Source trees of the demonstration's releases: this one, and copies with a mistake such as people make.

The bad releases are other programs, not this one told to fail: their source differs, so their signed bytes differ.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOTS = ("agent", "common", "generated")
APP = "agent/fleetroll_agent/daemon.py"


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
    for mistake in mistakes:
        file = into / mistake.path
        text = file.read_text(encoding="utf-8")
        if text.count(mistake.old) != 1:
            raise DemoError(f"{mistake.path}: the line to change is not there exactly once")
        file.write_text(text.replace(mistake.old, mistake.new), encoding="utf-8")
    git = ("git", "-c", "user.name=demo", "-c", "user.email=demo@localhost", "-C", str(into))
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "release")):
        subprocess.run([*git, *words], check=True, capture_output=True, timeout=60)
    return into
