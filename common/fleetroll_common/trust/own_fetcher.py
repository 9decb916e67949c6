"""Keeps the metadata library's own fetcher out: an HTTP client that every agent would hold in memory, and none uses.

Nothing is fetched but by a fetcher of ours. The library imports its own one all the same, and with it a fifth of what
a start imports; the client for mirrors is imported when a host has one.
"""

from __future__ import annotations

import contextlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = "tuf.ngclient.urllib3_fetcher"


class Urllib3Fetcher:
    """Stands in for the library's own one, under its name."""

    def __init__(self, *_arguments: object, **_options: object) -> None:
        """Refuse to be made.

        Raises:
            NotImplementedError: a fetcher was not given where one has to be (programmer's fault).
        """
        message = "the metadata library's own fetcher is not used: give one"
        raise NotImplementedError(message)


@contextlib.contextmanager
def without_own_fetcher() -> Iterator[None]:
    """Let the library be imported without its own fetcher; where somebody has imported that already, it stays."""
    if _NAME in sys.modules:
        yield
        return
    stand_in = ModuleType(_NAME)
    stand_in.Urllib3Fetcher = Urllib3Fetcher  # type: ignore[attr-defined]
    sys.modules[_NAME] = stand_in
    try:
        yield
    finally:
        del sys.modules[_NAME]
