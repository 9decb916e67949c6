"""Which letters a terminal takes, by its locale."""

from __future__ import annotations

import locale
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLAIN = {"", "C", "POSIX"}
_COERCED = {"C.UTF-8", "C.utf8"}
"""What the interpreter itself sets ``LC_CTYPE`` to where the locale is plain C, or is not there: for itself, and for
whatever it starts."""
_GIVEN = Path("/proc/self/environ")


def speaks_utf8() -> bool:
    """Tell whether the terminal's locale is UTF-8: as it was set, not as the interpreter would like it."""
    said = _locale(_environment())
    if said in _PLAIN:
        return False
    if "." in said or said == "UTF-8":
        return "utf" in said.casefold()
    return "utf" in locale.getencoding().casefold()


def _environment() -> Mapping[str, str]:
    """Return the environment as this program was given it, where the system tells."""
    try:
        given = _GIVEN.read_bytes()
    except OSError:
        return os.environ
    pairs = (os.fsdecode(each).partition("=") for each in given.split(b"\0"))
    return {name: value for name, _, value in pairs}


def _locale(environment: Mapping[str, str]) -> str:
    """Return the name of the locale that counts for letters; "" where none is set.

    What the interpreter that started this one may have set is no word of the user's: ``LANG`` says it then.
    """
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        said = environment.get(name, "")
        coerced = name == "LC_CTYPE" and said in _COERCED and environment.get("PYTHONCOERCECLOCALE") != "0"
        if said and not coerced:
            return said
    return ""
