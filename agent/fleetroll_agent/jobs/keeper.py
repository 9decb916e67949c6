"""Runs the machine and keeps its promise: nothing is done, and nothing is said, before it is durable.

One event at a time. The product's record is written first, with the new reports in its outbox; then the journal takes
them over; then the effects are done. A disk that refuses stops all three: the event has not happened, it is brought
again after a while, and meanwhile the agent says that it is not healthy. So no step begins that could not be written
down, and a Go that grew old in the meantime is void by its own rule.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import structlog

from fleetroll_agent.jobs import machine
from fleetroll_agent.jobs.own import OWN
from fleetroll_agent.jobs.policy import Policy
from fleetroll_agent.jobs.record import read_record, record_json
from fleetroll_agent.jobs.state import Running
from fleetroll_agent.jobs.values import PRODUCT, Moment, ProductRecord
from fleetroll_agent.slots.disk import disk_remedy, typed_disk_errors
from fleetroll_common.durable import (
    DamagedRecord,
    dump_record,
    effects,
    free_name,
    load_record,
    sync_dir,
    write_durably,
)
from fleetroll_common.values.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fleetroll_agent.jobs.course import Course
    from fleetroll_agent.jobs.effects import Effects
    from fleetroll_agent.jobs.events import Event
    from fleetroll_agent.jobs.journal import Journal
    from fleetroll_agent.jobs.state import Result, Rules, State
    from fleetroll_agent.launcher.values import Record
    from fleetroll_common.values.clock import Clock

log = structlog.get_logger(__name__)

RETRY_SECONDS = 2.0
"""Between two tries to write what the disk refused."""


class ProductFile:
    """``products/<name>.json``."""

    def __init__(self, state: Path, product: str = PRODUCT) -> None:
        """Use the file below the state folder."""
        self._path = state / "products" / f"{product}.json"
        self._product = product
        self._unknown: dict[str, object] = {}
        self._made = False
        self.damaged = False

    def read(self) -> ProductRecord:
        """Return what is there; an absent or damaged file is an empty record: the launcher's restores what counts.

        A process that was killed may have put the file in place without its directory's sync: what is acted upon, and
        told, is made durable first.

        Raises:
            AgentError: INTERNAL: the file can't be read.
        """
        if not self._path.exists():
            return ProductRecord(self._product)
        with typed_disk_errors(f"reading {self._path.name}"):
            sync_dir(self._path.parent)
            data = self._path.read_bytes()
        try:
            document = load_record(data)
            record = read_record(document)
        except (DamagedRecord, AgentError) as error:
            log.warning("product_record_damaged", product=self._product, reason=str(error))
            self.damaged = True
            return ProductRecord(self._product)
        known = record_json(record).keys()
        self._unknown = {name: value for name, value in document.items() if name not in known}
        return record

    def set_aside(self) -> None:
        """Keep a damaged file as evidence, under another name.

        Raises:
            OSError: the disk refused.
        """
        effects.rename(self._path, free_name(self._path.with_suffix(".damaged")))
        sync_dir(self._path.parent)

    def write(self, record: ProductRecord) -> None:
        """Replace the file; fields of another version stay in it.

        Raises:
            OSError: the disk refused.
        """
        if not self._made:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            sync_dir(self._path.parent.parent)
            self._made = True
        write_durably(self._path, dump_record({**self._unknown, **record_json(record)}))


@dataclass(frozen=True, slots=True)
class Part:
    """What a keeper has to know of its product.

    Attributes:
        rules: waiting times.
        running: the slot of this process, for the agent; None for a managed product, whose record says what runs.
        course: what the product's kind does behind Go.
        policy: what agent.toml allows.
        rebuild: makes a record from what is on the disk, where that can be done; None = the launcher's restores it.
    """

    rules: Rules
    running: Running | None = None
    course: Course = OWN
    policy: Policy = field(default_factory=Policy)
    rebuild: Callable[[], ProductRecord] | None = None

    def begin(self, record: ProductRecord, boot: Record, moment: Moment) -> Result:
        """Return the first state of this process, with what a restart asks for."""
        if self.running is not None:
            return machine.begin(record, boot, self.running, moment, self.rules, self.course, self.policy)
        current = record.current
        running = Running("", "") if current is None else Running(current.version, current.sha256)
        return machine.begin(record, None, running, moment, self.rules, self.course, self.policy)


class Keeper:
    """The one owner of a product's state in this process."""

    def __init__(self, file: ProductFile, journal: Journal, clock: Clock, part: Part) -> None:
        """Keep the parts; :meth:`begin` reads and writes."""
        self._file = file
        self._journal = journal
        self._clock = clock
        self._part = part
        self._state: State | None = None
        self._stale = False
        self.writable = True

    @property
    def state(self) -> State:
        """The state as it is durable."""
        if self._state is None:
            message = "the keeper was asked before it began"
            raise AssertionError(message)
        return self._state

    async def begin(self, boot: Record) -> Effects:
        """Take up what an earlier process left; return what is to be done. ``boot`` is the launcher's record."""
        record = await asyncio.to_thread(self._file.read)
        if self._file.damaged and self._part.rebuild is not None:
            record = await asyncio.to_thread(self._rebuilt, self._part.rebuild)
        if record.reports < self._journal.number(record.product):
            # The record is older than the journal (its file was lost): a number is never used twice.
            record = replace(record, reports=self._journal.number(record.product))
        await self._until_written(record.product, record)
        while True:
            state, effects = self._part.begin(record, boot, self.moment())
            if await self._commit(record, state):
                return effects

    def _rebuilt(self, rebuild: Callable[[], ProductRecord]) -> ProductRecord:
        """Return what the slots still tell; the damaged file stays, under another name, where the disk allows it."""
        try:
            self._file.set_aside()
        except OSError as error:
            log.warning("damaged_record_not_kept", reason=error.strerror)
        return rebuild()

    async def step(self, event: Event) -> Effects:
        """Let ``event`` happen, when it can be written down; return what is to be done."""
        while True:
            state, effects = machine.step(self.state, event, self.moment())
            if await self._commit(self.state.record, state):
                return effects

    def moment(self) -> Moment:
        """Return the circumstances of now."""
        return Moment(
            boot_seconds=self._clock.boottime(),
            monotonic_seconds=self._clock.monotonic(),
            wall_seconds=self._clock.now().timestamp(),
            random01=random.random(),  # noqa: S311 (spreads asks and tries)
        )

    async def _commit(self, before: ProductRecord, state: State) -> bool:
        """Make ``state`` the durable one; False when the disk refused: nothing has happened."""
        if state.record != before or self._stale:
            try:
                await asyncio.to_thread(self._file.write, state.record)
            except OSError as error:
                self._stale = True
                self._complain("the record", error)
                await asyncio.sleep(RETRY_SECONDS)
                return False
        self._stale = False
        await self._until_written(state.record.product, state.record)
        self.writable = True
        self._state = state
        if state.record is not before:
            for told in state.record.outbox:
                log.info("attempt", generation=told.generation, said=told.said.value, step=told.step, code=told.code)
        return True

    async def _until_written(self, product: str, record: ProductRecord) -> None:
        """Let the journal take the outbox over, however long that takes: the record says already that it happened."""
        while record.outbox and not await self._journaled(product, record):  # noqa: ASYNC110 (a disk sends no event)
            await asyncio.sleep(RETRY_SECONDS)

    async def _journaled(self, product: str, record: ProductRecord) -> bool:
        try:
            await asyncio.to_thread(self._journal.append, product, record.outbox)
        except OSError as error:
            self._complain("the journal", error)
            return False
        return True

    def _complain(self, what: str, error: OSError) -> None:
        """Say, once, that nothing can be written."""
        if self.writable:
            log.error("disk_refused", what=what, reason=error.strerror, remedy=disk_remedy(error))
        self.writable = False
