"""Byte code for the modules of an artefact: a slot is read-only, so without it each start compiles all of them again.

It halves the processor time of a start, for a tenth more bytes to fetch. Docstrings and columns are left out of it: a
traceback names lines all the same, and an agent holds less in memory. It is built deterministically and signed like
every other file; since the manifest vouches for both, a host does not compare it with its source again (PEP 552,
*unchecked hash*). Interpreters of another version pass it over and compile.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from fleetroll_publishing.artefact.content import Content

_COMPILER = Path(__file__).with_name("compiling.py")
_FLAGS = ("-P", "-s", "-S", "-B", "-X", "no_debug_ranges")
"""Nothing but the standard library is found, and nothing is written beside it. Of places in the source the lines are
kept, which is what a traceback needs; columns would be held in memory by every agent."""
_ENVIRONMENT = {"PYTHONHASHSEED": "0"}
"""And nothing else: sets in constants would come in another order with another seed."""
LIMIT_SECONDS = 300.0


def add_byte_code(content: Content, *, without: frozenset[str]) -> None:
    """Add the byte code of every module for the running interpreter's version. Blocks for 2 s.

    Args:
        content: whatever it holds now is compiled.
        without: programs that are run by their path, never imported: their byte code would be read by nobody.

    Raises:
        RequestError: a module is no Python of this version (caller's fault).
    """
    modules = sorted(path for path in content.files if path.endswith(".py") and path not in without)
    with tempfile.TemporaryDirectory(prefix="fleetroll-byte-code-") as name:
        folder = Path(name)
        for module in modules:
            place = folder / module
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.files[module][1])
        _compile(folder, modules)
        for module in modules:
            compiled = cache_from_source(module, optimization="")
            content.add(compiled, (folder / compiled).read_bytes())


def _compile(folder: Path, modules: list[str]) -> None:
    """Compile ``modules`` in their order, in a process that has done nothing else."""
    done = subprocess.run(  # noqa: S603 (our own program, by its absolute path)
        [sys.executable, *_FLAGS, str(_COMPILER), str(folder)],
        input="".join(f"{module}\n" for module in modules),
        env=_ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        message = f"artefact: a module can't be compiled: {_last_line(done.stderr)}"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="correct it", field="source")


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing")[:500]
