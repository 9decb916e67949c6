"""The values of a policy that concern single hosts: how people write them, what they may be. Pure.

Each reader takes a JSON value as a person said it, and returns the form in which it is stored and shown.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from fleetroll_common.values.blackouts import Blackout, read_blackout
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.pins import read_pin
from fleetroll_common.values.release import is_product
from fleetroll_common.values.window_text import read_window
from fleetroll_common.values.windows import LOCAL_ZONE, Window
from fleetroll_common.values.zones import find_zone

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_WINDOWS = 20
MAX_BLACKOUTS = 50
"""More could not be told apart by a person; and each is calculated at every Go."""
MAX_EXPECTED_SECONDS = 7 * 86_400.0
_WINDOW = "write it like mon-fri 22:00-05:00 Europe/Berlin, or with local for each host's own zone"
_BLACKOUT = "write it like 2026-12-20..2027-01-04 Europe/Berlin, or one day like 2026-12-24 local"
_MAX_TEXT = 120


def invalid(name: str, value: object, why: str, remedy: str) -> RequestError:
    """Return the caller's error: field, what was said, what to say instead."""
    shown = repr(value)[:80]
    field = f"policy.{name[:40]}"
    return RequestError(f"{field}: {shown} {why}", code=Code.INVALID_ARGUMENT, remedy=remedy, field=field, value=shown)


def _channel(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not is_product(value):
        why = "is not a name of small letters, digits and dashes"
        raise invalid("channel", value, why, "name a channel such as stable, or none for any")
    return value


def _pin(value: object) -> str | None:
    if value is None:
        return None
    remedy = "write it like major 1, minor 1.4 or patch 1.4.2; none lifts it"
    if not isinstance(value, str):
        raise invalid("pin", value, "is no text", remedy)
    try:
        return str(read_pin(value))
    except ValueError as error:
        raise invalid("pin", value, str(error), remedy) from error


def _flag(name: str) -> Callable[[object], bool]:
    def read(value: object) -> bool:
        if not isinstance(value, bool):
            raise invalid(name, value, "is neither true nor false", "say true or false")
        return value

    return read


def _windows(value: object) -> list[str]:
    return [_one("windows", text, read_window, _WINDOW) for text in _texts("windows", value, MAX_WINDOWS)]


def _blackouts(value: object) -> list[str]:
    return [_one("blackouts", text, read_blackout, _BLACKOUT) for text in _texts("blackouts", value, MAX_BLACKOUTS)]


def _one(name: str, text: str, read: Callable[[str], Window | Blackout], remedy: str) -> str:
    """Read one of a list; its zone must be known too."""
    try:
        if len(text) > _MAX_TEXT:
            raise ValueError(f"is longer than {_MAX_TEXT} characters")  # noqa: TRY301
        found = read(text)
    except ValueError as error:
        raise invalid(name, text, str(error), remedy) from error
    if found.zone != LOCAL_ZONE:
        try:
            find_zone(found.zone)
        except RequestError as error:
            raise invalid(name, text, f"names no time zone that this server knows: {found.zone}", remedy) from error
    return str(found)


def _texts(name: str, value: object, at_most: int) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise invalid(name, value, "is no list of texts", "say a list; an empty one for none")
    if len(value) > at_most:
        raise invalid(name, len(value), "are too many", f"say at most {at_most}")
    return value


def _expected(value: object) -> float:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not isinstance(value, int | float) or not usable or not 0 < value <= MAX_EXPECTED_SECONDS:
        why = "is no time that work takes"
        raise invalid("expected_seconds", value, why, f"say seconds, over 0 to {MAX_EXPECTED_SECONDS:g}")
    return float(value)


HOST_READERS: dict[str, Callable[[object], Any]] = {
    "channel": _channel,
    "pin": _pin,
    "allow_major": _flag("allow_major"),
    "updates_off": _flag("updates_off"),
    "windows": _windows,
    "blackouts": _blackouts,
    "expected_seconds": _expected,
}
