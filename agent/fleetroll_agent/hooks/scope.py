"""A command's own scope: where systemd runs the host, what a command leaves running is not in the agent's unit."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_NAME_CHARS = 200
"""systemd takes 255, its suffix included."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class ScopeFacts:
    """What the host has.

    Attributes:
        systemd_run: absolute path of the program; empty = systemd does not run this host, or we may not ask it.
    """

    systemd_run: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """The scope that a command is to have: its name, which MUST be free, and what the host has."""

    name: str
    facts: ScopeFacts


def read_facts(running: Path = Path("/run/systemd/system")) -> ScopeFacts:
    """Look at the host: the folder ``running`` is there only where systemd is the first process."""
    if os.geteuid() != 0 or not running.is_dir():
        return ScopeFacts()
    return ScopeFacts(shutil.which("systemd-run") or "")


def scope_name(product: str, attempt: str, step: str, unique: str) -> str:
    """Return a name fit for systemd; ``unique`` because what an earlier run left may still hold the rest of it."""
    parts = ("fleetroll", product, attempt, step, unique)
    return "-".join(_UNSAFE.sub("_", part)[: MAX_NAME_CHARS // len(parts)] for part in parts if part)


def wrapped(argv: Sequence[str], name: str, facts: ScopeFacts) -> tuple[str, ...]:
    """Return the command line that runs ``argv`` in the scope ``name``; ``argv`` itself where there are no scopes.

    The program stays the same process: systemd-run asks for the scope, then becomes ``argv``.
    """
    if not facts.systemd_run:
        return tuple(argv)
    return (facts.systemd_run, "--scope", "--quiet", "--collect", f"--unit={name}", "--", *argv)
