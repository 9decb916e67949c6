"""Checks of the mirrors that agent.toml names: does anybody answer there."""

from __future__ import annotations

import os
import ssl
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_agent.doctor.patience import all_within
from fleetroll_agent.doctor.values import Finding, Sign
from fleetroll_agent.fetch.patterns import file_path, parse_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll_agent.doctor.host import Host

SECONDS = 5.0
LATE_SECONDS = 1.0
ASKED = "agent"
"""A path that need not be there: that somebody answers is what counts."""
_SERVER_FAULT = 500
_REMEDY = (
    "mend the mirror, or take it out of agent.toml; the agent passes it over and asks the next one, then the server"
)


def mirrors(host: Host) -> Iterator[Finding]:
    """Tell which mirrors don't answer; what they hold is checked when it is fetched."""
    patterns = host.settings.download.mirrors
    works = [partial(why_unreachable, pattern) for pattern in patterns]
    late = f"no answer within {SECONDS:g} s"
    for pattern, why in zip(patterns, all_within(SECONDS + LATE_SECONDS, works, late), strict=True):
        if why:
            yield Finding(Sign.MIRROR_UNREACHABLE, pattern, f"the mirror {pattern} can't be used: {why}", _REMEDY)


def why_unreachable(pattern: str) -> str:
    """Return why the mirror can't be used, in words; empty when it answers. Raises nothing."""
    try:
        url = parse_pattern(pattern).url(ASKED)
        return _folder_fault(Path(file_path(url)).parent) if url.startswith("file:") else _web_fault(url)
    except Exception as error:  # noqa: BLE001 (libraries below have many trees of errors)
        return _cause(error)


def _folder_fault(folder: Path) -> str:
    if not folder.is_dir():
        return f"there is no folder {folder}"
    return "" if os.access(folder, os.R_OK | os.X_OK) else f"{folder} can't be read"


def _web_fault(url: str) -> str:
    import urllib3  # noqa: PLC0415 (most hosts have no mirror)

    timeout = urllib3.Timeout(total=SECONDS)
    with urllib3.PoolManager(ssl_context=ssl.create_default_context(), retries=False, timeout=timeout) as pool:
        status = pool.request("HEAD", url, headers={"User-Agent": "fleetroll-agent"}, redirect=False).status
    return f"it answers HTTP {status}" if status >= _SERVER_FAULT else ""


def _cause(error: BaseException) -> str:
    """Return the words of the fault at the bottom: what lies above it repeats it, with names of classes."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error) or type(error).__name__)[:200]
