"""Order of version texts, for choosing among slots when everything else is equal."""

import re
from typing import Tuple

VersionKey = Tuple[Tuple[int, ...], bool, str]
_NUMBERS = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?")


def version_key(text: str) -> VersionKey:
    """Return a key under which newer versions are greater; text that is no version comes first.

    Pre-releases come before their release and are ordered as text: close enough for a last resort, and total.
    """
    match = _NUMBERS.match(text)
    if match is None:
        return ((), False, text)
    return (tuple(int(part) for part in match.groups()[:3]), match.group(4) is None, match.group(4) or "")
