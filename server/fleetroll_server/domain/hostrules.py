"""What a policy means for one host: which versions it takes, and when work on it may begin. Pure.

Plan, offer, Go and ``why`` ask the same functions. Windows are calculated by the code that the host itself uses, in the
zone that the host reported; a zone that is not known keeps it closed, and the reason says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from fleetroll_common.values.blackouts import Blackout, free_spans, next_start, read_blackout
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.pins import Pin, read_pin
from fleetroll_common.values.version import Version
from fleetroll_common.values.window_text import read_window
from fleetroll_common.values.windows import LOCAL_ZONE, Window, longest_seconds
from fleetroll_common.values.zones import find_zone

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_server.domain.policy import Told

NO_ZONE = "the host told no time zone yet"


@dataclass(frozen=True, slots=True)
class HostRules:
    """One host's.

    Attributes:
        channel: of releases that it takes; None = any.
        pin: part of the version that may not change; None = none.
        allow_major: it may go to a higher major version.
        updates_off: it takes no update at all.
        windows: in which work may begin; empty = always.
        blackouts: days on which it may not.
        expected_seconds: how long the work takes.
        time_zone: the host's own, an IANA name; empty = it told none.
        origins: whose each value is, in words.
        fault: why the stored policy can't be read; empty where it can. Then nothing may begin.
        longest_seconds: of its windows; infinite where there are none, or nothing is known of the zone.
    """

    channel: str | None = None
    pin: Pin | None = None
    allow_major: bool = False
    updates_off: bool = False
    windows: tuple[Window, ...] = ()
    blackouts: tuple[Blackout, ...] = ()
    expected_seconds: float = 120.0
    time_zone: str = ""
    origins: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)
    fault: str = ""
    longest_seconds: float = math.inf

    @property
    def is_always_open(self) -> bool:
        """Tell whether no time is shut."""
        return not self.windows and not self.blackouts and not self.fault

    def whose(self, name: str) -> str:
        """Return where the value of a field comes from, in words."""
        return self.origins.get(name, "the policy")


UNRULED = HostRules(allow_major=True)
"""Forbids nothing: of hosts whose policy nobody asks about."""


def rules_of(held: Mapping[str, Told], time_zone: str, now: datetime) -> HostRules:
    """Return the rules of a host in ``time_zone``, from what holds of every field.

    Args:
        held: what :func:`~fleetroll_server.domain.policy.merge` returned.
        time_zone: the host's own; empty = it told none.
        now: zones differ by as much as they do then.
    """
    origins = {name: told.origin for name, told in held.items()}
    values = {name: told.value for name, told in held.items()}
    try:
        rules = HostRules(
            channel=values["channel"],
            pin=None if values["pin"] is None else read_pin(values["pin"]),
            allow_major=bool(values["allow_major"]),
            updates_off=bool(values["updates_off"]),
            windows=tuple(read_window(text) for text in values["windows"]),
            blackouts=tuple(read_blackout(text) for text in values["blackouts"]),
            expected_seconds=float(values["expected_seconds"]),
            time_zone=time_zone,
            origins=origins,
        )
    except (ValueError, TypeError, KeyError) as error:
        return HostRules(time_zone=time_zone, origins=origins, fault=f"the stored policy can't be read: {error}")
    return replace(rules, longest_seconds=_longest_of(rules, now))


def _longest_of(rules: HostRules, now: datetime) -> float:
    try:
        return _longest(rules.windows, _zone(rules), now.replace(minute=0, second=0, microsecond=0))
    except RequestError:
        return math.inf


@lru_cache(maxsize=256)
def _longest(windows: tuple[Window, ...], zone: str, hour: datetime) -> float:
    """Return the length of the longest opening; hosts share windows and zones."""
    return longest_seconds(windows, hour, zone)


def switched_off(rules: HostRules) -> str:
    """Return why the host takes no update at all; empty where it does."""
    return f"{rules.whose('updates_off')} takes no updates" if rules.updates_off else ""


def outside_channel(rules: HostRules, channels: tuple[str, ...]) -> str:
    """Return why a release in these channels is not taken; empty where it is."""
    if rules.channel is None or rules.channel in channels:
        return ""
    return f"{rules.whose('channel')} takes {rules.channel}, the release is in {', '.join(channels) or 'no channel'}"


def outside_pin(rules: HostRules, version: str) -> str:
    """Return why a version is outside the pin; empty where it is not."""
    if rules.pin is None or rules.pin.admits(Version.parse(version)):
        return ""
    return f"{rules.whose('pin')} pins {rules.pin}, {version} is outside"


def other_major(rules: HostRules, running: str, version: str) -> str:
    """Return why a host that runs ``running`` may not go up to ``version``; empty where it may, or runs nothing."""
    if rules.allow_major or not running:
        return ""
    try:
        before = Version.parse(running)
    except RequestError:
        return ""
    if before.is_dev or Version.parse(version).major <= before.major:
        return ""
    return f"{version} is another major version than {running}, which {rules.whose('allow_major')} does not allow"


def never_fits(rules: HostRules) -> str:
    """Return why no window is ever long enough for the work; empty where one is, or nothing is known of the zone."""
    needed, longest = rules.expected_seconds, rules.longest_seconds
    if needed <= longest:
        return ""
    return f"the work takes {needed:g} s, the longest window of {rules.whose('windows')} has {longest:g} s"


@dataclass(frozen=True, slots=True)
class Shut:
    """No work may begin now.

    Attributes:
        message: why, by the clocks of the host.
        opens_at: when it may; None where nobody can say.
    """

    message: str
    opens_at: datetime | None


def shut(rules: HostRules, now: datetime) -> Shut | None:
    """Return why no work may begin on the host now; None where it may."""
    if rules.is_always_open:
        return None
    if rules.fault:
        return Shut(rules.fault, None)
    try:
        zone = _zone(rules)
        opens_at = start_of(rules, now)
    except RequestError as error:
        return Shut(f"its windows count as closed: {error.message}", None)
    if opens_at is not None and opens_at <= now:
        return None
    whose = f"({rules.whose('windows' if rules.windows else 'blackouts')})"
    if opens_at is None:
        return Shut(f"no window has the {rules.expected_seconds:g} s that the work takes {whose}", None)
    shown = opens_at.astimezone(find_zone(zone))
    return Shut(f"the next opening begins at {shown:%Y-%m-%d %H:%M} {zone} {whose}", opens_at)


def start_of(rules: HostRules, now: datetime) -> datetime | None:
    """Return the first instant from ``now`` on at which work may begin; None where there is none in 400 days.

    Raises:
        RequestError: INVALID_ARGUMENT: the host told no zone that is known, and something goes by its clocks.
    """
    return next_start(rules.windows, rules.blackouts, now, _zone(rules), rules.expected_seconds)


def openings(rules: HostRules, now: datetime, count: int) -> list[tuple[datetime, datetime | None]]:
    """Return the next times in which work fits, at most ``count``: when each begins and ends; raises as above.

    The first one may have begun: then it begins ``now``. One without an end goes on.
    """
    spans = free_spans(rules.windows, rules.blackouts, now, _zone(rules), rules.expected_seconds)
    return list(islice(spans, count))


def _zone(rules: HostRules) -> str:
    """Return the host's zone; UTC where nothing goes by it.

    Raises:
        RequestError: INVALID_ARGUMENT: something does, and the host told none that is known.
    """
    by_host = LOCAL_ZONE in {*(one.zone for one in rules.windows), *(one.zone for one in rules.blackouts)}
    if rules.time_zone:
        try:
            find_zone(rules.time_zone)
        except RequestError:
            if by_host:
                raise
            return "UTC"
        return rules.time_zone
    if by_host:
        raise RequestError(NO_ZONE, code=Code.INVALID_ARGUMENT, remedy="wait for its next hello")
    return "UTC"
