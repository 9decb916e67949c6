"""Order of version texts, for choosing among slots, and which agents this launcher works with."""

import re
from typing import Tuple

VersionKey = Tuple[Tuple[int, ...], bool, str]
LEVEL = 1
"""What this launcher speaks: pipe, boot record, command line of a slot. Grows with what an agent could miss in an older
one; an agent states the lowest level that it works with, and refuses its self-test below it."""
AGENTS_FROM = "0.0.0"
"""The oldest agent that this launcher still runs. An upgrade of the launcher is refused while a slot is older."""
_NUMBERS = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?")


def version_key(text: str) -> VersionKey:
    """Return a key under which newer versions are greater; text that is no version comes first.

    Pre-releases come before their release and are ordered as text: close enough for a last resort, and total.
    """
    match = _NUMBERS.match(text)
    if match is None:
        return ((), False, text)
    return (tuple(int(part) for part in match.groups()[:3]), match.group(4) is None, match.group(4) or "")


def runs_agent(version: str, oldest: str = AGENTS_FROM) -> bool:
    """Tell whether this launcher works with an agent of ``version``; text that is no version is no such agent."""
    return version_key(version)[0] != () and version_key(version) >= version_key(oldest)
