"""Words of scripts."""

from __future__ import annotations


def quoted(word: str) -> str:
    """Return ``word`` as one word of a POSIX shell, always in single quotes."""
    return "'" + word.replace("'", "'\\''") + "'"
