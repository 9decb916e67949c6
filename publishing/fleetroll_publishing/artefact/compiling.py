"""Compiles a folder of Python sources; run as a program of its own, never imported by one that did other things before.

What ``marshal`` writes depends on how often the process uses a string elsewhere: only a fresh process that compiles
the same files in the same order gives the same bytes. Usage: ``compiling.py FOLDER``; standard input has the paths in
FOLDER, one per line, in their order.
"""

from __future__ import annotations

import ast
import importlib.util
import marshal
import py_compile
import sys
from pathlib import Path

_UNCHECKED_HASH = (1).to_bytes(4, "little")
"""PEP 552: the header holds the source's hash, and nobody compares it."""
_DOCUMENTED = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef)
"""Not classes: a dataclass without a docstring makes one from its signature, which costs more than it saves."""


def main(folder: Path, paths: list[str]) -> None:
    """Put a byte code file beside each source; nothing of ``folder`` itself gets into it.

    Raises:
        py_compile.PyCompileError: a source is no Python of this version.
    """
    for path in paths:
        source = (folder / path).read_bytes()
        try:
            code = compile(without_docstrings(source), path, "exec", dont_inherit=True, optimize=0)
        except (SyntaxError, ValueError) as error:
            raise py_compile.PyCompileError(type(error), error, path) from error
        place = folder / importlib.util.cache_from_source(path, optimization="")
        place.parent.mkdir(parents=True, exist_ok=True)
        header = importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH + importlib.util.source_hash(source)
        place.write_bytes(header + marshal.dumps(code))


def without_docstrings(source: bytes) -> ast.Module:
    """Return the program without what is only for its readers: a running agent would hold it in memory all the time.

    Raises:
        SyntaxError, ValueError: it is no Python of this version.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            nothing = ast.copy_location(ast.Pass(), node.body[0])
            node.body = node.body[1:] or [nothing]
    return tree


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.stdin.read().splitlines())
    except py_compile.PyCompileError as error:
        sys.exit(f"{error.file}: {error.exc_value}")
