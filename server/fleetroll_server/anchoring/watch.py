"""Renews the server's certificate in time, follows anchors that were committed elsewhere, and warns before CAs end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from fleetroll_common.values.errors import FleetrollError
from fleetroll_server.anchoring.standing import standing
from fleetroll_server.certificates import ends_at, fingerprint, host_of
from fleetroll_server.observe.saidonce import unsaid
from fleetroll_server.store import EventFact
from fleetroll_server.store.tables import MetaRow, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

LOOK_SECONDS = 300.0
"""One read of the newest metadata and of two files each; addresses that were committed elsewhere count from then on."""
CA_DAYS = (7, 30, 60)
LEAF_DAYS = (7, 30)
"""A certificate with 30 days left is made anew: only one for which that fails is worth an alarm."""
PREFIX = "certificate_alarm/"
_META = table_of(MetaRow)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Alarm:
    """One certificate that ends soon.

    Attributes:
        what: ``server``, ``ca`` (in use, or its successor) or ``anchors`` (another one that hosts trust).
        fingerprint: of it.
        ends: when.
        days: the step that was passed: 60, 30 or 7; the smallest of them.
    """

    what: str
    fingerprint: str
    ends: datetime
    days: int

    @property
    def severity(self) -> str:
        """Return how much it presses."""
        return "info" if self.days == max(CA_DAYS) else "critical"


def alarms(certificates: Iterable[tuple[str, bytes]], now: datetime) -> tuple[Alarm, ...]:
    """Return an alarm for each certificate (what it is, PEM) that ends soon, each once."""
    found: dict[str, Alarm] = {}
    for what, pem in certificates:
        ends, steps = ends_at(pem), LEAF_DAYS if what == "server" else CA_DAYS
        passed = [days for days in steps if ends - now < timedelta(days=days)]
        if passed:
            found.setdefault(fingerprint(pem), Alarm(what, fingerprint(pem), ends, passed[0]))
    return tuple(found.values())


class CertificateWatch:
    """Looks from time to time. A background service."""

    def __init__(self, services: Services) -> None:
        """Prepare; nothing runs before :meth:`start`."""
        self._services = services
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin with a look."""
        self._task = asyncio.create_task(self._run(), name="certificate-watch")

    async def drain(self) -> None:
        """Nothing is to be done: a certificate may be renewed until the stop."""

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self) -> tuple[Alarm, ...]:
        """Renew what is due; return what ends soon all the same, after saying each step of it once.

        Raises:
            FleetrollError: the anchors or the CA can't be read, or nothing could be stored.
            OSError: the data folder can't be used.
        """
        services, now = self._services, self._services.clock.now()
        async with services.store.read() as connection:
            held = await standing(connection, services)
        hosts = [host_of(address) for address in held.addresses]
        failure = await self._renew(hosts, now)
        authority = await asyncio.to_thread(services.leaf.authority)
        watched = [("server", services.leaf.chain[0]), ("ca", authority.certificate)]
        watched += [] if authority.successor is None else [("ca", authority.successor)]
        watched += [("anchors", one.encode("ascii")) for one in held.certificates]
        found = alarms(watched, now)
        if found:
            await services.store.writer.command(lambda tx: _say(tx, found))
        if failure is not None:
            raise failure
        return found

    async def _renew(self, hosts: list[str], now: datetime) -> FleetrollError | OSError | None:
        """Renew; return what kept it from that, so that the alarm about it is not lost."""
        leaf = self._services.leaf
        try:
            if await asyncio.to_thread(leaf.name, hosts, now):
                _log.info("certificate.renewed", ends=leaf.ends_at.isoformat())
        except (FleetrollError, OSError) as error:
            return error
        return None

    async def _run(self) -> None:
        """Look until cancelled; a look that fails is tried again at the next turn."""
        while True:
            try:
                await self.look()
            except FleetrollError as error:
                _log.warning("certificate.not_renewed", code=str(error.code), reason=error.message)
            except OSError as error:
                _log.warning("certificate.not_renewed", reason=error.strerror or str(error))
            except Exception:  # noqa: BLE001 (a certificate that is never renewed again shuts the fleet out)
                _log.exception("certificate.not_renewed")
            await asyncio.sleep(LOOK_SECONDS)


async def _say(tx: Tx, found: tuple[Alarm, ...]) -> None:
    """Emit what was not said yet, in this process or an earlier one."""
    fresh = await unsaid(tx, PREFIX, {f"{PREFIX}{alarm.fingerprint}": alarm.days for alarm in found})
    for alarm in (one for one in found if f"{PREFIX}{one.fingerprint}" in fresh):
        left = f"{(alarm.ends - tx.now).days} days"
        facts = {"what": alarm.what, "fingerprint": alarm.fingerprint, "severity": alarm.severity}
        ends = alarm.ends.strftime("%Y-%m-%d")
        tx.emit(
            EventFact(
                fleet_id="",
                kind="alert.certificate_expiring",
                actor_kind="engine",
                actor_id="certificates",
                message=f"{alarm.what} certificate {alarm.fingerprint[:16]} ends in {left}, on {ends}",
                facts={**facts, "ends": alarm.ends.isoformat()},
            )
        )
        tx.after_commit(_logging(alarm, left))


def _logging(alarm: Alarm, left: str) -> Callable[[], None]:
    """Return what says an alarm in the log."""
    return lambda: _log.warning("certificate_expiring", what=alarm.what, fingerprint=alarm.fingerprint, left=left)
