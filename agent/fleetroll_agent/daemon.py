"""The running agent: one loop that brings events to the rules, one link to the server, one pipe to the launcher."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from fleetroll_agent import host, interpreter
from fleetroll_agent.anchors.importing import import_anchors
from fleetroll_agent.control.office import Office
from fleetroll_agent.control.server import ControlServer
from fleetroll_agent.control.targets import Targets
from fleetroll_agent.identity.whereabouts import Whereabouts
from fleetroll_agent.jobs import assigning, events
from fleetroll_agent.jobs.desk import Desk, Seat
from fleetroll_agent.jobs.hands import Hands
from fleetroll_agent.jobs.state import boot_record
from fleetroll_agent.jobs.values import PRODUCT
from fleetroll_agent.jobs.watching import Watch
from fleetroll_agent.launcher import pipe
from fleetroll_agent.launcher.child_end import ChildEnd
from fleetroll_agent.launcher.errors import LauncherError
from fleetroll_agent.launcher.fields import Fields
from fleetroll_agent.launcher.record import attempt_from_json, record_from_json
from fleetroll_agent.launcher.values import Origin, Record
from fleetroll_agent.leaving import steps_end
from fleetroll_agent.outside import Outside
from fleetroll_agent.parts import assemble, check_name
from fleetroll_agent.presenting import managed_facts, own_facts
from fleetroll_agent.products.assembling import seat_of
from fleetroll_agent.schedule.contact import ContactFile
from fleetroll_agent.schedule.run import LocalSchedule
from fleetroll_agent.session.anchoring import AnchorsKeeper
from fleetroll_agent.session.evidence import gather
from fleetroll_agent.session.facts import HostFacts
from fleetroll_agent.session.freshness import Freshness
from fleetroll_agent.session.link import Link
from fleetroll_agent.session.polling import has_work, is_busy, polled_seconds, rest_seconds
from fleetroll_agent.session.rotation import Rotation
from fleetroll_agent.settings import Offline
from fleetroll_agent.waiting import within
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError
from fleetroll_common.values.platform import Platform

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_agent.identity.facts import WelcomeReceipt
    from fleetroll_agent.jobs.state import State
    from fleetroll_agent.parts import Parts

log = structlog.get_logger(__name__)

RESTART_EXIT = 75
"""Tells the launcher: start what your record says."""
DEFECT_EXIT = 1
"""A defect of this program's own: the launcher starts it again, after a wait that grows."""
LEAVING_SECONDS = 2.0
"""For the word that nothing begins any more; a disk that refuses must not hold an end up."""
RECORD_SECONDS = 30.0
"""The launcher's first message comes with the start."""


class Daemon:
    """One process of the agent. Implements the ports of the session."""

    def __init__(self, parts: Parts, pipe_fds: tuple[int, int]) -> None:
        """Keep the parts; :meth:`run` does everything."""
        self._parts = parts
        self._pipe = ChildEnd(*pipe_fds, on_message=self._from_launcher, on_closed=self._launcher_gone)
        self._exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._first_record: asyncio.Future[Record] = asyncio.get_running_loop().create_future()
        self._welcomed = False
        self._heard = False
        self._begun = False
        self._leaving: asyncio.Task[None] | None = None
        rotation = Rotation(parts.store, parts.identity, parts.settings, parts.clock, parts.boot_id)
        self._whereabouts = Whereabouts(parts.store, parts.identity)
        self._link = Link(parts.store, rotation, self, parts.journal, parts.settings, parts.clock, self._whereabouts)
        parts.line.link = self._link
        anchors = AnchorsKeeper(self._whereabouts, parts.trust, self._link, self, parts.clock, parts.settings)
        self._fresh = Freshness(parts.trust, self._link, parts.clock, parts.settings)
        self._link.noticed = self._fresh.noticed
        self._desk = Desk(parts.clock, self._happened)
        managed = {product.name: product for product in parts.managed}
        targets = Targets(parts.trust, managed)
        importing = partial(import_anchors, parts.trust, self._whereabouts)
        self._office = Office(self._desk, targets, parts.clock, self._link.renew, self._link.come, importing)
        self._schedule = LocalSchedule(
            parts.settings.host,
            self._desk,
            targets,
            ContactFile(parts.folder),
            parts.clock,
            parts.boot_id,
            self._link,
        )
        watch = Watch(parts.trust, self._desk, self._link.renew)
        self._fresh.told, self._fresh.each_turn = [watch.look], [anchors.look]
        self._control = ControlServer(parts.folder, self._office.handle)
        hands = Hands(self._outside(PRODUCT), self._link, parts.update, parts.lock, parts.slot.path.name)
        self._desk.seat(PRODUCT, Seat(parts.keeper, hands))
        for product in parts.managed:
            self._desk.seat(product.name, seat_of(product, parts.shared, self._outside(product.name), self._link))

    async def run(self) -> int:
        """Run until the launcher, a signal or the rules end it; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: self._begin_leaving("stopping", 0))
        self._pipe.attach(loop)
        beats = asyncio.create_task(self._beat())
        work = asyncio.create_task(self._work())
        try:
            return await self._first_end(work, beats)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
            for task in (beats, work):
                task.cancel()
            await asyncio.gather(beats, work, return_exceptions=True)
            await self._desk.stop()
            self._pipe.close()

    @property
    def state(self) -> State:
        """The durable state of the agent itself."""
        return self._desk.state(PRODUCT)

    @property
    def healthy(self) -> bool:
        """Tell whether the health check holds: this loop runs, and what happens can be written down."""
        return self._desk.writable

    @property
    def on_trial(self) -> bool:
        """Tell whether this version is on trial."""
        trial = boot_record(self.state).trial
        return trial is not None and trial.slot.digest == self._parts.slot.sha256

    @property
    def idle(self) -> bool:
        """Tell whether no attempt is going on: a trial is one."""
        records = [state.record for state in self._desk.states()]
        busy = any(record.attempt is not None or record.waiting is not None for record in records)
        return not busy and boot_record(self.state).trial is None

    @property
    def busy(self) -> bool:
        """Tell whether something is going on for which a host that polls holds its stream."""
        return is_busy(self._desk.states(), on_trial=self.on_trial)

    @property
    def rest_seconds(self) -> float | None:
        """Return after how long an attempt that rests by the host's own rules may go on; None = none rests."""
        return rest_seconds(self._desk.states(), self._parts.keeper.moment())

    async def before_hello(self, receipt: WelcomeReceipt | None, *, evidence: bool = False) -> HostFacts:
        """Void every permit of an older session, then return the state of the host, and what it kept if asked."""
        await self._desk.told(None, events.HelloBuilt())
        parts, moment = self._parts, self._parts.keeper.moment()
        states = list(self._desk.states())
        own = own_facts(states[0], parts.running.sha256, moment, healthy=self.healthy)
        return HostFacts(
            host_name=parts.host_name,
            platform=Platform.current(),
            labels=parts.identity.enrolment.labels,
            time_zone=parts.time_zone,
            disk_free_bytes=host.disk_free_bytes(parts.folder),
            boot_id=parts.boot_id,
            agent_version=parts.calls_itself,
            products=(own, *(managed_facts(state, moment) for state in states[1:])),
            journal_id=parts.journal.journal_id,
            receipt=receipt,
            timestamp_version=parts.trust.timestamp_version,
            container_marker=parts.container_marker,
            check_in_seconds=polled_seconds(parts.settings.host),
            anchors_serial=self._whereabouts.serial,
            evidence=await gather(states, parts.trust, parts.journal) if evidence else None,
        )

    def keeps(self, product: str) -> bool:
        """Tell whether this host keeps ``product``."""
        return product in self._desk.products

    async def tell(self, event: events.Event, product: str | None = None) -> None:
        """Bring an event to the rules and wait until it has happened: so a stream never runs ahead of the disk."""
        if isinstance(event, events.Assigned) and product is not None:
            why = assigning.why_refused(self._desk.state(product).record, event)
            if why:
                log.warning("assignment_refused", product=product, generation=event.generation, reason=why)
        await self._desk.told(product, event)

    async def acked(self, journal_id: str, sequence: int) -> None:
        """Take note that the server holds the journal up to ``sequence``."""
        for product, number in self._parts.journal.ack(journal_id, sequence).items():
            if self.keeps(product):
                self._desk.post(product, events.Acked(number))

    def welcomed(self) -> None:
        """Tell the launcher of the first Welcome of this process."""
        if not self._welcomed:
            self._welcomed = True
            self._pipe.send(pipe.hello())

    def heard(self) -> None:
        """Tell the launcher of the first message after a Welcome in this process."""
        if not self._heard:
            self._heard = True
            self._pipe.send(pipe.heard())

    def _outside(self, product: str) -> Outside:
        return Outside(product, self._desk, self._link, self._pipe.send, self.leave, self._before, self._office.printed)

    def _happened(self) -> None:
        self._link.reports_ready()
        self._office.happened()

    def _before(self, product: str) -> str:
        """Say what goes before ``product`` on this host: a trial of the agent, then what agent.toml names first."""
        if self.on_trial:
            return "the agent itself is on trial"
        order = self._parts.settings.host.order
        named = order[: order.index(product)] if product in order else ()
        for other in named:
            if has_work(self._desk.state(other)):
                return f"{other} is updated first"
        return ""

    def leave(self, reason: str) -> None:
        """Begin to leave so that the launcher starts what its record says."""
        self._begin_leaving(reason, RESTART_EXIT)

    async def _first_end(self, work: asyncio.Task[None], beats: asyncio.Task[None]) -> int:
        """Return the exit code of whatever ends first; neither task ever ends by itself.

        Raises:
            FleetrollError, LauncherError, OSError: the host's or the server's fault; its sentence says what to do.
        """
        ends: set[asyncio.Future[Any]] = {work, beats, self._exit}
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if self._exit in done:
            return self._exit.result()
        failed = next(iter(done))
        try:
            failed.result()
        except (FleetrollError, LauncherError, OSError):
            raise
        except (Exception, asyncio.CancelledError):  # nobody here cancels one of them
            log.exception("agent_defect")
        return DEFECT_EXIT

    async def _work(self) -> None:
        """Begin with what the disk and the launcher say, then let one event after the other happen."""
        try:
            boot = await within(RECORD_SECONDS, self._first_record)
        except asyncio.TimeoutError as error:
            text = f"the launcher said nothing for {RECORD_SECONDS:g} s"
            raise AgentError(text, code=Code.INTERNAL, remedy="it starts the agent again") from error
        try:
            check_name(self._parts, boot)
        except AgentError as error:
            log.error("wrong_name", reason=str(error))  # noqa: TRY400 (its sentence is for a person at the host)
            self._end(pipe.WRONG_NAME_EXIT)
            return
        await self._desk.begin(boot)
        self._begun = True
        endless = (
            self._desk.run(),
            self._link.run(),
            self._fresh.run(),
            interpreter.watch(lambda: boot_record(self.state).current),
        )
        together = [asyncio.create_task(one) for one in endless]
        if self._parts.settings.host.offline is Offline.LOCAL_SCHEDULE:
            together.append(asyncio.create_task(self._schedule.run()))
        try:
            await self._control.start()
            # The first of them that fails ends the other: an agent without a link would be silent for ever.
            await asyncio.gather(*together)
        finally:
            await self._control.stop()
            self._desk.close()
            for task in together:
                task.cancel()
            await asyncio.gather(*together, return_exceptions=True)

    async def _beat(self) -> None:
        while True:
            self._pipe.send(pipe.beat(self.healthy))
            await asyncio.sleep(pipe.BEAT_SECONDS)

    def _begin_leaving(self, reason: str, exit_code: int) -> None:
        """Leave once, in order: goodbye to the server, goodbye to the launcher, end."""
        if self._leaving is None:
            log.info("leaving", reason=reason, exit_code=exit_code)
            self._leaving = asyncio.ensure_future(self._leave(reason, exit_code))

    async def _leave(self, reason: str, exit_code: int) -> None:
        if self._begun:
            await self._steps_end()
        with contextlib.suppress(OSError):
            await self._link.leave(reason)
        self._pipe.send(pipe.goodbye())
        self._end(exit_code)

    async def _steps_end(self) -> None:
        """Let nothing new begin, and wait for what a later process could not begin again."""
        with contextlib.suppress(asyncio.TimeoutError):
            await within(LEAVING_SECONDS, self._desk.told(None, events.Leaving()))
        await steps_end(self._desk.states, self._parts.keeper.moment, self._pipe.send)

    def _end(self, exit_code: int) -> None:
        if not self._exit.done():
            self._exit.set_result(exit_code)

    def _launcher_gone(self) -> None:
        """End at once: without a launcher nobody watches this process, and the next one starts its own."""
        log.warning("launcher_gone")
        self._end(1)

    def _from_launcher(self, message: pipe.Message) -> None:
        """Take one message. ``committed`` says nothing that the record before it has not said."""
        kind = message["type"]
        try:
            if kind == "record":
                self._boot_record(record_from_json(message["record"]))
            elif kind == "armed":
                self._answer(message, None)
            elif kind == "dropped":
                self._answer(message, str(message.get("reason", "")))
            elif kind == "stop":
                self._begin_leaving("the launcher asks for it", 0)
        except (LauncherError, KeyError, AttributeError, TypeError) as error:
            log.warning("launcher_message_unreadable", kind=kind, reason=str(error))

    def _boot_record(self, record: Record) -> None:
        if not self._first_record.done():
            self._first_record.set_result(record)
        else:
            self._desk.post(PRODUCT, events.LauncherTold(record))

    def _answer(self, message: pipe.Message, reason: str | None) -> None:
        """Bring the launcher's answer to a request to the rules; only the arming needs one."""
        attempt = attempt_from_json(Fields(message["attempt"], "attempt", ValueError))
        is_local = attempt.origin is Origin.LOCAL
        named = {"generation": 0, "local": attempt.generation} if is_local else {"generation": attempt.generation}
        if reason is None:
            self._desk.post(PRODUCT, events.Armed(**named))
            return
        log.warning("launcher_refused", request=message.get("request"), reason=reason)
        if message.get("request", "arm") == "arm":
            code = Code(reason) if reason in Code.__members__ else Code.STEP_FAILED
            self._desk.post(PRODUCT, events.ArmDropped(code=code, **named))


async def run_daemon(folder: Path, pipe_option: str) -> int:
    """Run the agent of the state folder under the launcher that gave it ``pipe_option``; return the exit code.

    Raises:
        FleetrollError, LauncherError: the option is wrong, or it can't go on.
    """
    fds = ChildEnd.parse_option(pipe_option)
    try:
        parts = await asyncio.to_thread(assemble, folder)
    except (FleetrollError, LauncherError, OSError) as error:
        log.error("host_refuses", reason=str(error))  # noqa: TRY400 (its sentence is for a person at the host)
        return pipe.HOST_REFUSES_EXIT
    log.info("started", version=parts.running.version, agent=parts.identity.enrolment.agent_id)
    return await Daemon(parts, fds).run()
