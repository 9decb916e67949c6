"""Looks now and then whether the host is left alone, and starts what it may take by itself then.

It decides nothing about what runs: it names a version to the rules of a product, which refuse whatever they refuse.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from functools import partial
from typing import TYPE_CHECKING, Protocol

import structlog

from fleetroll_agent.jobs import by_itself
from fleetroll_agent.jobs.events import StartedLocally
from fleetroll_agent.jobs.threads import in_thread
from fleetroll_agent.jobs.values import Moment
from fleetroll_agent.schedule.contact import Contact
from fleetroll_agent.schedule.rules import Silence, choose
from fleetroll_common.values.errors import FleetrollError
from fleetroll_common.values.platform import Platform

if TYPE_CHECKING:
    from fleetroll_agent.control.targets import Targets
    from fleetroll_agent.jobs.desk import Desk
    from fleetroll_agent.schedule.contact import ContactFile
    from fleetroll_agent.settings import HostSettings
    from fleetroll_common.values.clock import Clock
    from fleetroll_common.values.version import Version

log = structlog.get_logger(__name__)

ACTOR = "local schedule"
"""Who started it, in history and at the server."""
LOOK_SECONDS = 30.0
WRITE_SECONDS = 1800.0
"""Between two notes that a server is there, or is not: by so much a killed process's silence may seem longer, or after
another start of the machine shorter, than it was."""
SET_BACK_SECONDS = 300.0
"""By so much a clock may be set back, as for the server; a greater step is a clock that is wrong."""
SOAK_SECONDS = 60.0
"""The fleet's default: nobody is there to name another one."""
SOURCES_SECONDS = 3600.0
"""Between two looks at the sources for one product, give or take a fifth: a fleet that lost its server asks mirrors."""


class Server(Protocol):
    """What a process knows of its server; see :class:`fleetroll_agent.session.link.Link`."""

    heard_at: float | None
    quarantined: bool | None

    @property
    def in_touch(self) -> bool:
        """Tell whether it is there."""


class LocalSchedule:
    """One host's. One attempt at a time, whichever product it is of."""

    def __init__(
        self,
        settings: HostSettings,
        desk: Desk,
        targets: Targets,
        contact: ContactFile,
        clock: Clock,
        boot_id: str,
        server: Server,
    ) -> None:
        """Go by ``settings``.

        Args:
            settings: of the host.
            desk: of its products.
            targets: what sources list.
            contact: what the next process will know of this one's contact.
            clock: of the host.
            boot_id: names this boot; empty where the system does not.
            server: what this process knows of it.
        """
        self._settings = settings
        self._desk = desk
        self._targets = targets
        self._contact = contact
        self._clock = clock
        self._boot_id = boot_id
        self._server = server
        self._heard_at: float | None = None
        self._quarantined = False
        self._silence: Silence | None = None
        self._written = float("-inf")
        self._recorded = 0.0
        self._doubt = ""
        self._due: dict[str, float] = {}

    async def run(self) -> None:
        """Look again and again; never returns. Whatever goes wrong with a look ends no more than that look."""
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("look_failed")
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look once; start at most one attempt."""
        moment, heard_at = self._moment(), self._server.heard_at
        if self._is_heard():
            self._heard_at = heard_at
            await self._note(moment)
            return
        silence = self._silence or await self._begin(moment)
        if moment.boot_seconds - self._written >= WRITE_SECONDS:
            await self._write(moment, silence.counted(moment))
        seconds = silence.lasts(moment)
        if self._quarantined or seconds < self._settings.offline_after_seconds or self._is_busy():
            return
        if await self._is_clock_in_doubt():
            return
        for product in self._desk.products:
            if await self._starts(product, seconds):
                return

    def _is_heard(self) -> bool:
        """Tell whether a server is there, or has come and gone since the last look."""
        return self._server.in_touch or self._server.heard_at != self._heard_at

    async def _begin(self, moment: Moment) -> Silence:
        """Go on from what the process before had counted."""
        before = await asyncio.to_thread(self._contact.read)
        self._quarantined, self._recorded = before.quarantined, before.silent_seconds
        self._silence = Silence(moment.boot_seconds, before.silent_before(self._boot_id, moment.boot_seconds))
        return self._silence

    async def _note(self, moment: Moment) -> None:
        """Take note that a server is there."""
        if self._silence is None:
            await self._begin(moment)
        self._silence = Silence(moment.boot_seconds)
        self._due = {}
        said, known = self._server.quarantined, self._quarantined
        self._quarantined = known if said is None else said
        is_new = self._recorded > 0.0 or self._quarantined is not known
        if is_new or moment.boot_seconds - self._written >= WRITE_SECONDS:
            await self._write(moment, 0.0)

    async def _write(self, moment: Moment, silent_seconds: float) -> None:
        self._written, self._recorded = moment.boot_seconds, silent_seconds
        contact = Contact(self._boot_id, moment.boot_seconds, silent_seconds, self._quarantined)
        await asyncio.to_thread(self._contact.write, contact)

    async def _is_clock_in_doubt(self) -> bool:
        """Tell whether this host's clock shows a time that has surely passed: windows, rests and expiry go by it."""
        try:
            known = await in_thread(self._targets.known_time)
        except FleetrollError as error:
            doubt = f"what time it is at least can't be read: {error.message}"
        else:
            now = self._clock.now()
            is_past = (known - now).total_seconds() > SET_BACK_SECONDS
            doubt = f"the clock shows {now:%Y-%m-%d %H:%M} UTC, but {known:%Y-%m-%d %H:%M} is over" if is_past else ""
        if doubt and doubt != self._doubt:
            log.warning("nothing_started_by_itself", reason=doubt)
        self._doubt = doubt
        return bool(doubt)

    def _is_busy(self) -> bool:
        """Tell whether something goes on that has nothing to do with a permit: a local attempt, or one past its Go."""
        attempts = [state.record.attempt for state in self._desk.states()]
        return any(attempt is not None and (attempt.local or attempt.past_go) for attempt in attempts)

    async def _starts(self, product: str, silent_seconds: float) -> bool:
        """Start what the host may take of a product; False when there is nothing, or it is not time to look."""
        moment, state = self._moment(), self._desk.state(product)
        if by_itself.why_not(state, moment) or moment.boot_seconds < self._due.get(product, 0.0):
            return False
        self._due[product] = moment.boot_seconds + SOURCES_SECONDS * (0.8 + 0.4 * moment.random01)
        found = await self._find(product)
        if found is None or self._is_heard():
            return False
        version, source = found
        reason = f"no server for {silent_seconds / 3600:.1f} h"
        log.info("started_by_itself", product=product, version=str(version), source=source, reason=reason)
        ticket = uuid.uuid4().hex
        wish = StartedLocally(
            str(version),
            ACTOR,
            soak_seconds=SOAK_SECONDS,
            source=source,
            reason=reason,
            automatic=True,
            ticket=ticket,
        )
        await self._desk.told(product, wish)
        attempt = self._desk.state(product).record.attempt
        return attempt is not None and attempt.ticket == ticket

    async def _find(self, product: str) -> tuple[Version, str] | None:
        """Return the version to take and where it is; of two places with the same one, the first."""
        best: tuple[Version, str] | None = None
        for source in self._settings.offline_sources:
            try:
                listed = await in_thread(partial(self._targets.listed, product, source, bundles=False))
            except FleetrollError as error:
                log.warning("source_not_usable", product=product, source=source, code=error.code, reason=error.message)
                continue
            version = choose(listed, self._desk.state(product), Platform.current(), self._moment())
            if version is not None and (best is None or version > best[0]):
                best = (version, source)
        return best

    def _moment(self) -> Moment:
        return Moment(
            boot_seconds=self._clock.boottime(),
            monotonic_seconds=self._clock.monotonic(),
            wall_seconds=self._clock.now().timestamp(),
            random01=random.random(),  # noqa: S311 (spreads the fleet)
        )
