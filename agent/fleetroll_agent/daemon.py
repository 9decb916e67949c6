"""The running agent: one loop that brings events to the rules, one link to the server, one pipe to the launcher."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Any

import structlog

from fleetroll_agent import convert, host, interpreter
from fleetroll_agent.jobs import assigning, events, machine
from fleetroll_agent.jobs.hands import Hands
from fleetroll_agent.jobs.summary import attempt_facts
from fleetroll_agent.launcher import pipe
from fleetroll_agent.launcher.child_end import ChildEnd
from fleetroll_agent.launcher.errors import LauncherError
from fleetroll_agent.launcher.fields import Fields
from fleetroll_agent.launcher.record import attempt_from_json, record_from_json
from fleetroll_agent.launcher.values import Origin, Record
from fleetroll_agent.parts import assemble
from fleetroll_agent.session.facts import HostFacts
from fleetroll_agent.session.link import Link
from fleetroll_agent.session.rotation import Rotation
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
RECORD_SECONDS = 30.0
"""The launcher's first message comes with the start."""

_Waiting = tuple[events.Event, "asyncio.Future[State] | None"]


class Daemon:
    """One process of the agent. Implements the ports of session and jobs."""

    def __init__(self, parts: Parts, pipe_fds: tuple[int, int]) -> None:
        """Keep the parts; :meth:`run` does everything."""
        self._parts = parts
        self._pipe = ChildEnd(*pipe_fds, on_message=self._from_launcher, on_closed=self._launcher_gone)
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._first_record: asyncio.Future[Record] = asyncio.get_running_loop().create_future()
        self._welcomed = False
        self._listening = True
        self._leaving: asyncio.Task[None] | None = None
        rotation = Rotation(parts.store, parts.identity, parts.settings, parts.clock, parts.boot_id)
        self._link = Link(parts.store, rotation, self, parts.journal, parts.settings, parts.clock)
        parts.line.link = self._link
        self._hands = Hands(self, self._link, parts.update, parts.lock, parts.slot.path.name)

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
            await self._hands.stop()
            self._pipe.close()

    @property
    def state(self) -> State:
        """The durable state."""
        return self._parts.keeper.state

    @property
    def healthy(self) -> bool:
        """Tell whether the health check holds: this loop runs, and what happens can be written down."""
        return self._parts.keeper.writable

    @property
    def on_trial(self) -> bool:
        """Tell whether this version is on trial."""
        trial = self.state.launcher.trial
        return trial is not None and trial.slot.digest == self._parts.slot.sha256

    @property
    def idle(self) -> bool:
        """Tell whether no attempt is going on: a trial is one."""
        record = self.state.record
        return record.attempt is None and record.waiting is None and self.state.launcher.trial is None

    async def before_hello(self, receipt: WelcomeReceipt | None) -> HostFacts:
        """Void every permit of an older session, then return the state of the host."""
        state = await self._told(events.HelloBuilt())
        parts, launcher = self._parts, state.launcher
        previous = launcher.current if self.on_trial else launcher.previous
        return HostFacts(
            host_name=parts.host_name,
            platform=Platform.current(),
            labels=parts.identity.enrolment.labels,
            time_zone=host.time_zone(),
            disk_free_bytes=host.disk_free_bytes(parts.folder),
            boot_id=parts.boot_id,
            product=state.record.product,
            version=state.running.version,
            sha256=state.running.sha256,
            highest_generation=state.record.highest,
            previous_version=previous.version if previous is not None else "",
            on_trial=self.on_trial,
            healthy=self.healthy,
            attempts=attempt_facts(state, parts.keeper.moment()),
            journal_id=parts.journal.journal_id,
            receipt=receipt,
            timestamp_version=parts.trust.timestamp_version,
        )

    async def tell(self, event: events.Event) -> None:
        """Bring an event to the rules and wait until it has happened: so a stream never runs ahead of the disk."""
        if isinstance(event, events.Assigned) and (why := assigning.why_refused(self.state.record, event)):
            log.warning("assignment_refused", generation=event.generation, reason=why)
        await self._told(event)

    async def acked(self, journal_id: str, sequence: int) -> None:
        """Take note that the server holds the journal up to ``sequence``."""
        held = self._parts.journal.ack(journal_id, sequence)
        number = held.get(self.state.record.product)
        if number is not None:
            self.post(events.Acked(number))

    def welcomed(self) -> None:
        """Tell the launcher of the first Welcome of this process."""
        if not self._welcomed:
            self._welcomed = True
            self._pipe.send(pipe.hello())

    def post(self, event: events.Event) -> None:
        """Bring an event to the rules, in order; returns at once."""
        self._queue.put_nowait((event, None))

    def ask_go(self, ask: events.AskGo) -> None:
        """Send RequestGo."""
        self._link.send(ask.session, convert.request_go(ask, self.state.record.product))

    def launcher(self, message: pipe.Message) -> None:
        """Send a message to the launcher."""
        self._pipe.send(message)

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

    async def _told(self, event: events.Event) -> State:
        if not self._listening:
            return self.state
        happened: asyncio.Future[State] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((event, happened))
        return await happened

    async def _work(self) -> None:
        """Begin with what the disk and the launcher say, then let one event after the other happen."""
        keeper = self._parts.keeper
        try:
            boot = await within(RECORD_SECONDS, self._first_record)
        except asyncio.TimeoutError as error:
            text = f"the launcher said nothing for {RECORD_SECONDS:g} s"
            raise AgentError(text, code=Code.INTERNAL, remedy="it starts the agent again") from error
        self._hands.do(await keeper.begin(boot, self._parts.running, self._parts.rules))
        endless = (self._turns(), self._link.run(), interpreter.watch(lambda: self.state.launcher.current))
        together = [asyncio.create_task(one) for one in endless]
        try:
            # The first of them that fails ends the other: an agent without a link would be silent for ever.
            await asyncio.gather(*together)
        finally:
            self._stop_listening()
            for task in together:
                task.cancel()
            await asyncio.gather(*together, return_exceptions=True)

    async def _turns(self) -> None:
        """Let one event after the other happen; never returns."""
        while True:
            event, happened = await self._next()
            self._hands.do(await self._parts.keeper.step(event))
            self._link.reports_ready()
            if happened is not None and not happened.done():
                happened.set_result(self.state)

    def _stop_listening(self) -> None:
        """Let nobody wait for an event that will not happen any more."""
        self._listening = False
        while not self._queue.empty():
            _event, happened = self._queue.get_nowait()
            if happened is not None and not happened.done():
                happened.set_result(self.state)

    async def _next(self) -> _Waiting:
        """Return the next event; a Timer when its instant has come."""
        deadline = machine.next_deadline(self.state)
        patience = None if deadline is None else max(0.0, deadline - self._parts.clock.boottime())
        try:
            return await within(patience, self._queue.get())
        except asyncio.TimeoutError:
            return events.Timer(), None

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
        with contextlib.suppress(OSError):
            await self._link.leave(reason)
        self._pipe.send(pipe.goodbye())
        self._end(exit_code)

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
            self.post(events.LauncherTold(record))

    def _answer(self, message: pipe.Message, reason: str | None) -> None:
        """Bring the launcher's answer to a request to the rules; only the arming needs one."""
        attempt = attempt_from_json(Fields(message["attempt"], "attempt", ValueError))
        if attempt.origin is not Origin.SERVER:
            return
        if reason is None:
            self.post(events.Armed(attempt.generation))
            return
        log.warning("launcher_refused", request=message.get("request"), reason=reason)
        if message.get("request", "arm") == "arm":
            code = Code(reason) if reason in Code.__members__ else Code.STEP_FAILED
            self.post(events.ArmDropped(attempt.generation, code))


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
