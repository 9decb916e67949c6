"""Compiles a folder of Python sources; run as a program of its own, never imported by one that did other things before.

What ``marshal`` writes depends on how often the process uses a string elsewhere: only a fresh process that compiles
the same files in the same order gives the same bytes. Usage: ``compiling.py FOLDER``; standard input has the paths in
FOLDER, one per line, in their order.
"""

from __future__ import annotations

import py_compile
import sys
from pathlib import Path


def main(folder: Path, paths: list[str]) -> None:
    """Put a byte code file beside each source; nothing of ``folder`` itself gets into it.

    Raises:
        py_compile.PyCompileError: a source is no Python of this version.
    """
    for path in paths:
        py_compile.compile(
            str(folder / path),
            dfile=path,
            doraise=True,
            optimize=0,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.stdin.read().splitlines())
    except py_compile.PyCompileError as error:
        sys.exit(f"{error.file}: {error.exc_value}")
