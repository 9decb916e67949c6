"""Byte code that the first process of a test compiles and all others read. Standard library only.

Agents are started with ``-B`` from slots that may hold none, hundreds of times in one test, and compiling is half of a
start. What is kept is found by the source's own bytes: a source that changed is compiled, never taken for another.
"""

# As little as possible is imported before the program: no pathlib.
# ruff: noqa: PTH118

from __future__ import annotations

import importlib
import importlib.machinery
import marshal
import os
import sys
from typing import Any

# The real calls: the module's attributes are replaced later.
_open, _replace, _getpid = open, os.replace, os.getpid
_imp: Any = importlib.import_module("_imp")


def keep_code(folder: str) -> None:
    """Let every import of a source file look for its byte code in ``folder`` first."""
    loader: Any = importlib.machinery.SourceFileLoader
    compiled = loader.source_to_code

    def source_to_code(self: Any, data: bytes, path: str, **options: Any) -> Any:
        name = os.path.join(folder, f"{sys.implementation.cache_tag}-{_imp.source_hash(0, data).hex()}-{len(data)}")
        try:
            with _open(name, "rb") as kept:
                code = marshal.loads(kept.read())  # noqa: S302 (written by this very function)
        except FileNotFoundError:
            code = compiled(self, data, path, **options)
            _keep(name, marshal.dumps(code))
        else:
            _imp._fix_co_filename(code, path)
        return code

    loader.source_to_code = source_to_code


def _keep(name: str, data: bytes) -> None:
    """Put byte code in place in one piece: other processes look for it at the same time."""
    draft = f"{name}.{_getpid()}"
    with _open(draft, "wb") as file:
        file.write(data)
    _replace(draft, name)
