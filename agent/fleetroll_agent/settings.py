"""``agent.toml`` in the state folder: what the host decides for itself. All has a default; the file may be absent.

```toml
[reconnect]
base_seconds = 1.0           # ceiling of the first wait before a new stream
cap_seconds = 60.0           # ceiling of every wait; the jitter comes after it

[go]
ask_interval_seconds = 60.0  # between two requests for Go, give or take a fifth

[identity]
rotate_after_days = 180      # the age at which this host replaces its key, 1 to 3650
```

The file is read by rules that are a part of TOML's: tables, numbers, comments. Python 3.10 brings no reader for more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS_NAME = "agent.toml"
MAX_SECONDS = 86400.0
MIN_ROTATE_DAYS, MAX_ROTATE_DAYS = 1.0, 3650.0
"""A day: no host rotates more often in any case. Ten years: as good as never, but said."""

_TABLE = re.compile(r"\[([a-z_]+)\]", re.ASCII)
_NUMBER = re.compile(r"([a-z_]+)\s*=\s*([0-9]+(?:\.[0-9]+)?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the host decides for itself: seconds above 0 and at most a day, and days within their own bounds."""

    reconnect_base_seconds: float = 1.0
    reconnect_cap_seconds: float = 60.0
    go_ask_interval_seconds: float = 60.0
    identity_rotate_after_days: float = 180.0


def read_settings(state: Path) -> Settings:
    """Return the settings of the state folder ``state``.

    Raises:
        RequestError: a line can't be read, or names something that is no setting (the fault of whoever wrote it).
    """
    path = state / SETTINGS_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(0, f"the file can't be read: {error}") from error
    return parse_settings(text)


def parse_settings(text: str) -> Settings:
    """Return the settings that ``text`` holds.

    Raises:
        RequestError: INVALID_ARGUMENT, naming the line.
    """
    found: dict[str, float] = {}
    table = ""
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.partition("#")[0].strip()
        header, pair = _TABLE.fullmatch(line), _NUMBER.fullmatch(line)
        if header is not None:
            table = header.group(1)
        elif pair is not None:
            field = _field(table, pair.group(1), number, found)
            found[field] = _days(pair.group(2), number) if field.endswith("_days") else _seconds(pair.group(2), number)
        elif line:
            raise _refused(number, f"{line[:80]!r} is neither a table nor a number")
    settings = Settings(**found)
    if settings.reconnect_cap_seconds < settings.reconnect_base_seconds:
        raise _refused(0, "reconnect.cap_seconds is below reconnect.base_seconds")
    return settings


def _field(table: str, name: str, number: int, found: dict[str, float]) -> str:
    field = f"{table}_{name}"
    if field not in Settings.__dataclass_fields__:
        raise _refused(number, f"there is no setting {table}.{name}")
    if field in found:
        raise _refused(number, f"{table}.{name} stands there twice")
    return field


def _seconds(text: str, number: int) -> float:
    seconds = float(text)
    if not 0 < seconds <= MAX_SECONDS:
        raise _refused(number, f"{text} is not between 0 and {MAX_SECONDS:g} seconds")
    return seconds


def _days(text: str, number: int) -> float:
    days = float(text)
    if not MIN_ROTATE_DAYS <= days <= MAX_ROTATE_DAYS:
        raise _refused(number, f"{text} is not between {MIN_ROTATE_DAYS:g} and {MAX_ROTATE_DAYS:g} days")
    return days


def _refused(number: int, fault: str) -> RequestError:
    where = f"{SETTINGS_NAME}, line {number}" if number else SETTINGS_NAME
    return RequestError(f"{where}: {fault}", code=Code.INVALID_ARGUMENT, remedy="correct the file", file=SETTINGS_NAME)
