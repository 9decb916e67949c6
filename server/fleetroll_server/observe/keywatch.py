"""Says in time that a signing key gets old, or that signed metadata will expire: once per step, over restarts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from fleetroll_common.values.errors import FleetrollError
from fleetroll_server.catalogue.keyhistory import key_standings
from fleetroll_server.observe.saidonce import unsaid
from fleetroll_server.store import EventFact
from fleetroll_server.store.tables import MetaRow, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from fleetroll_server.catalogue.keyhistory import RoleStanding
    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

LOOK_SECONDS = 3600.0
STEPS_DAYS = (0, 7, 30, 60)
"""Days that are left; 0 = none."""
INFO_DAYS = 60
"""The step that only informs; what is nearer is critical."""
ONLINE_LEFT = {"timestamp": timedelta(hours=6), "snapshot": timedelta(days=2)}
"""The server signs these again long before: with so little left it has failed for hours."""
PREFIX = "key_alarm/"
_META = table_of(MetaRow)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that ends soon.

    Attributes:
        kind: ``key_old`` or ``metadata_expiring``.
        subject: what it is about, for ever: a key's id, or role and version.
        role: whose.
        ends: when, aware.
        days: the step that was passed, the smallest.
    """

    kind: str
    subject: str
    role: str
    ends: datetime
    days: int

    @property
    def severity(self) -> str:
        """Return how much it presses."""
        return "info" if self.days == INFO_DAYS else "critical"

    @property
    def row(self) -> str:
        """Return the name under which it is remembered."""
        return f"{PREFIX}{self.kind}/{self.subject}"


def alarms(standings: Sequence[RoleStanding], now: datetime) -> tuple[Alarm, ...]:
    """Return an alarm for each key that gets old and each role that expires soon."""
    return tuple(_alarms(standings, now))


def _alarms(standings: Sequence[RoleStanding], now: datetime) -> Iterator[Alarm]:
    """Yield them."""
    for role in standings:
        subject = f"{role.role} {role.version}"
        if role.role in ONLINE_LEFT:
            if role.expires - now < ONLINE_LEFT[role.role]:
                yield Alarm("metadata_expiring", role.role, role.role, role.expires, 0)
        elif (days := _step(role.expires - now)) is not None:
            yield Alarm("metadata_expiring", subject, role.role, role.expires, days)
        for key in role.keys:
            if (days := _step(key.rotate_after - now)) is not None:
                yield Alarm("key_old", key.key_id, role.role, key.rotate_after, days)


def _step(left: timedelta) -> int | None:
    """Return the step that is passed with so much left; None = none is."""
    return next((days for days in STEPS_DAYS if left <= timedelta(days=days)), None)


class KeyWatch:
    """Looks every hour. A background service."""

    def __init__(self, services: Services) -> None:
        """Prepare; nothing runs before :meth:`start`."""
        self._services = services
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin with a look."""
        self._task = asyncio.create_task(self._run(), name="key-watch")

    async def drain(self) -> None:
        """Nothing is to be done."""

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self) -> tuple[Alarm, ...]:
        """Return what ends soon, after saying each step of it once.

        Raises:
            FleetrollError: metadata or keys can't be read, or nothing could be stored.
        """
        services = self._services
        async with services.store.read() as connection:
            found = alarms(await key_standings(connection, services.secrets), services.clock.now())
            rows = await connection.execute(sa.select(_META.c.key, _META.c.value).where(_META.c.key.startswith(PREFIX)))
            said = {row.key: row.value for row in rows}
        if said != {alarm.row: str(alarm.days) for alarm in found}:
            await services.store.writer.command(lambda tx: _say(tx, found))
        return found

    async def _run(self) -> None:
        """Look until cancelled; a look that fails is tried again at the next turn."""
        while True:
            try:
                await self.look()
            except FleetrollError as error:
                _log.warning("keys.not_looked_at", code=str(error.code), reason=error.message)
            except Exception:  # noqa: BLE001 (an alarm that never comes again is no alarm)
                _log.exception("keys.not_looked_at")
            await asyncio.sleep(LOOK_SECONDS)


async def _say(tx: Tx, found: Sequence[Alarm]) -> None:
    """Emit what was not said yet, in this process or another one; forget what is over."""
    fresh = await unsaid(tx, PREFIX, {alarm.row: alarm.days for alarm in found})
    for alarm in (one for one in found if one.row in fresh):
        tx.emit(_event(alarm, tx.now))
        tx.after_commit(_logging(alarm))


def _event(alarm: Alarm, now: datetime) -> EventFact:
    """Return the fact for watchers; it belongs to no fleet."""
    left, ends = (alarm.ends - now).days, f"{alarm.ends:%Y-%m-%d}"
    when = f"in {left} days, on {ends}" if left > 0 else f"on {ends}"
    if alarm.kind == "key_old":
        message = f"{alarm.role}: the key {alarm.subject[:16]} should be exchanged {when}"
    else:
        message = f"{alarm.role}: its signature ends {when}; new installs wait from then on"
    return EventFact(
        fleet_id="",
        kind=f"alert.{alarm.kind}",
        actor_kind="engine",
        actor_id="keys",
        message=message,
        facts={
            "role": alarm.role,
            "subject": alarm.subject,
            "severity": alarm.severity,
            "ends": alarm.ends.isoformat(),
        },
    )


def _logging(alarm: Alarm) -> Callable[[], None]:
    """Return what says an alarm in the log."""
    remedy = "fleetroll keys rotate" if alarm.kind == "key_old" else "fleetroll keys renew"
    return lambda: _log.warning(
        alarm.kind, role=alarm.role, subject=alarm.subject, ends=alarm.ends.isoformat(), remedy=remedy
    )
