"""Faults below Python, for the second tier: command lines of strace that fail or kill at the n-th system call.

Needed where C code does the writing (a database's pages: ``pwrite64`` and ``fdatasync``), which the shim can't see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DEEDS = {"kill": "signal=KILL", "eio": "error=EIO", "enospc": "error=ENOSPC"}


def injecting(
    argv: Sequence[str],
    *,
    calls: Sequence[str],
    do: str,
    nth: int,
    log: Path,
    path: Path | None = None,
    sticky: bool = False,
) -> list[str]:
    """Return ``argv`` under strace, all its children too.

    Args:
        argv: the program.
        calls: system calls that count, such as ("pwrite64", "fdatasync").
        do: one of ``DEEDS``.
        nth: at which of these calls (of one thread), from 1.
        log: where strace writes what it saw.
        path: only calls on this file count; None: on any.
        sticky: also at every later call.
    """
    names = ",".join(calls)
    when = f"{nth}+" if sticky else str(nth)
    only = [] if path is None else ["-P", str(path)]
    inject = f"inject={names}:{DEEDS[do]}:when={when}"
    return ["strace", "-f", "-qq", "-o", str(log), *only, "-e", f"trace={names}", "-e", inject, *argv]
