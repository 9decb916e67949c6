"""Keeps one stream open: connects, says hello, runs the session, waits, again. Never two streams at a time."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Protocol

import structlog

from fleetroll.v1 import agent_stream_pb2_grpc
from fleetroll_agent.fetch.values import SourceFailed
from fleetroll_agent.identity.ratchet import on_refusal
from fleetroll_agent.identity.whereabouts import Whereabouts
from fleetroll_agent.jobs import events
from fleetroll_agent.session.channel import connected
from fleetroll_agent.session.facts import End, Ended
from fleetroll_agent.session.hello import EndedError, open_session
from fleetroll_agent.session.polling import polled_seconds
from fleetroll_agent.session.repository import Repository
from fleetroll_agent.session.stream import DRAIN_EXTENSION_SECONDS, Stream
from fleetroll_agent.session.waits import next_wait_seconds
from fleetroll_agent.waiting import within
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError

if TYPE_CHECKING:
    import grpc

    from fleetroll.v1 import agent_stream_pb2 as stream_pb2
    from fleetroll_agent.identity.facts import Identity
    from fleetroll_agent.identity.store import IdentityStore
    from fleetroll_agent.jobs.journal import Journal
    from fleetroll_agent.session.ports import SessionHost
    from fleetroll_agent.session.rotation import Rotation
    from fleetroll_agent.settings import Settings
    from fleetroll_common.values.clock import Clock

log = structlog.get_logger(__name__)

STEADY_BASES = 10.0
"""A session that lasted so many times the first wait ends the back-off; one that breaks at once does not."""
_ANSWERS = frozenset({End.REFUSED, End.DRAINED})
"""A server's own words, over its certificate: it is there. What it does not allow now is not this host's to take."""
_SHUT_OUT = frozenset({Code.IDENTITY_REVOKED, Code.HOST_REVOKED, Code.IDENTITY_FORKED})
"""Refusals of this host itself, not of the moment."""
_BUSY = frozenset({Code.UNAVAILABLE, Code.DRAINING, Code.RECOVERY, Code.STORE_FAILED})
"""With a time to come back they are a server's own word that a trial is not to blame; too many hellos always are."""


class Noticed(Protocol):
    """Who is told which timestamp of signed metadata a server names."""

    def __call__(self, timestamp_version: int, *, opened: bool) -> None:
        """Take note of it; ``opened``: in a Welcome."""


def _ignored(timestamp_version: int, *, opened: bool) -> None:
    """Take no note of it."""
    del timestamp_version, opened


class Link:
    """This host's way to its server."""

    def __init__(
        self,
        store: IdentityStore,
        rotation: Rotation,
        host: SessionHost,
        journal: Journal,
        settings: Settings,
        clock: Clock,
        whereabouts: Whereabouts | None = None,
    ) -> None:
        """Keep the parts; :meth:`run` connects. Without ``whereabouts`` it goes by the identity as it is now."""
        self._store = store
        self._rotation = rotation
        self._host = host
        self._journal = journal
        self._settings = settings
        self._clock = clock
        self._whereabouts = whereabouts or Whereabouts(store, rotation.identity)
        self._failures = 0
        self._opened_at = 0.0
        self._stream: Stream | None = None
        self._repository: Repository | None = None
        self._closed = asyncio.Event()
        self._something = asyncio.Event()
        self._resting = False
        self._answered = False
        self.address = ""
        """Of the open session; empty = none is open."""
        self.noticed: Noticed = _ignored
        """Is told which timestamp a server names."""
        self.heard_at: float | None = None
        """When a server last welcomed this host, or refused it in words, in boot seconds; None = never."""
        self.quarantined: bool | None = None
        """Whether the server's last word was that this host takes no updates; None = there was none yet."""

    @property
    def in_touch(self) -> bool:
        """Tell whether a server is there: a stream is open, rests until the next check-in, or was refused in words."""
        return self._stream is not None or self._resting or self._answered

    @property
    def anchors_serial(self) -> int:
        """Return the serial of the anchors that this host goes by."""
        return self._whereabouts.serial

    @property
    def _identity(self) -> Identity:
        return self._rotation.identity

    async def run(self) -> None:
        """Hold a stream until this host says goodbye."""
        while True:
            ended = await self._round()
            self._answered = ended.kind in _ANSWERS
            if self._answered:
                self.heard_at = self._clock.boottime()
            if ended.code in _SHUT_OUT:
                self.quarantined = True
            lasted = self._clock.monotonic() - self._opened_at
            steady = ended.opened and lasted >= STEADY_BASES * self._settings.reconnect_base_seconds
            self._failures = 0 if steady else self._failures + 1
            if ended.kind is End.LEFT:
                return
            if await self._after(ended):
                continue
            chance = random.random()  # noqa: S311 (spreads the fleet)
            seconds = next_wait_seconds(ended, self._failures, self._settings, chance, on_trial=self._host.on_trial)
            log.info("stream_ended", how=ended.kind.value, code=ended.code, reason=ended.message, wait_seconds=seconds)
            await self._rest(ended, seconds)

    def send(self, session: int, message: stream_pb2.ConnectRequest) -> bool:
        """Queue ``message`` in ``session``; False when that one is over."""
        stream = self._stream
        return stream is not None and stream.session == session and stream.send(message)

    def reports_ready(self) -> None:
        """Take note that the journal holds something new."""
        if self._stream is not None:
            self._stream.reports_ready()
        elif self._host.busy or self._journal.acked < self._journal.last_sequence:
            self._something.set()

    def come(self) -> None:
        """Open a stream now, where this host rests between two check-ins."""
        self._something.set()

    def renew(self, reason: str) -> None:
        """Let the next hello say what has changed on this host, if a session is open."""
        if self._stream is not None:
            self._stream.renew(reason)

    def live_line(self, product: str, generation: int, line: str) -> None:
        """Pass a line of output on, if a session is open."""
        if self._stream is not None:
            self._stream.live_line(product, generation, line)

    def repository(self, session: int) -> Repository:
        """Return the repository over the connection of ``session``.

        Raises:
            SourceFailed: that session is over.
        """
        if self._stream is None or self._stream.session != session or self._repository is None:
            raise SourceFailed("the session is over")
        return self._repository

    def newest_repository(self) -> Repository:
        """Return the repository over the connection of the open session.

        Raises:
            SourceFailed: no session is open.
        """
        repository = self._repository
        if repository is None:
            raise SourceFailed("no session is open")
        return repository

    async def over(self, session: int, seconds: float) -> None:
        """Return when ``session`` is over, after ``seconds`` at the latest."""
        if self._stream is not None and self._stream.session == session:
            with contextlib.suppress(asyncio.TimeoutError):
                await within(seconds, self._closed.wait())

    async def leave(self, reason: str) -> None:
        """Say goodbye, if there is somebody to say it to; the stream is over on return."""
        stream = self._stream
        if stream is not None:
            await stream.leave(reason)
            await self.over(stream.session, 1.0)

    async def _rest(self, ended: Ended, seconds: float) -> None:
        """Wait before the next stream. A visitor comes at once when it has something to say; a back-off stands."""
        if ended.kind is not End.VISITED:
            await asyncio.sleep(seconds)
            return
        self._something.clear()
        if self._host.busy or self._journal.acked < self._journal.last_sequence:
            return
        self._resting = True
        try:
            await within(seconds, self._something.wait())
        except asyncio.TimeoutError:
            return
        finally:
            self._resting = False

    async def _round(self) -> Ended:
        """Try every address in order; return how the last stream ended."""
        ended = Ended(End.UNREACHABLE, message="no address is known")
        addresses, ca_pem = self._whereabouts.dialled
        for address in addresses:
            ended = await self._one(address, ca_pem)
            if ended.kind is not End.UNREACHABLE:
                break
        return ended

    async def _one(self, address: str, ca_pem: bytes) -> Ended:
        """Run one stream to its end."""
        try:
            async with connected(address, ca_pem) as channel:
                return await self._session(channel, address)
        except OSError as error:
            return Ended(End.UNREACHABLE, message=str(error))
        except EndedError as error:
            return error.ended
        except FleetrollError as error:
            log.warning("session_failed", reason=str(error))
            return Ended(End.LOST, error.code, error.message)

    async def _session(self, channel: grpc.aio.Channel, address: str) -> Ended:
        call = agent_stream_pb2_grpc.AgentStreamServiceStub(channel).Connect()
        try:
            opened = await open_session(call, self._identity, self._store, self._host, self._clock)
            self._rotation.identity = opened.kept.identity
            if opened.kept.error is not None:
                log.error("ratchet_not_written", reason=opened.kept.error.strerror)
            stream = Stream(call, opened, self._host, self._journal, self._rotation, self)
            self._opened_at = self._clock.monotonic()
            self._repository = Repository(channel, lambda: stream.token)
            self._closed.clear()
            self._stream, self.address = stream, address
            self.heard_at = self._clock.boottime()
            quarantined = opened.welcome.quarantined
            self.quarantined = quarantined
            facts = {"session": stream.session, "address": address, "quarantined": quarantined}
            log.info("session_open", **facts, clock_ahead_seconds=round(opened.ahead_seconds))
            self._host.welcomed()
            self.noticed(int(opened.welcome.metadata.timestamp_version), opened=True)
            return await stream.run(opened, polled_seconds(self._settings.host))
        finally:
            self._stream = self._repository = None
            self.address = ""
            self._closed.set()
            call.cancel()

    async def _after(self, ended: Ended) -> bool:
        """Let the end have its effects; True when the next stream begins at once."""
        if ended.code is Code.TOO_MANY_HANDSHAKES or (ended.code in _BUSY and ended.retry_after_seconds is not None):
            named = ended.retry_after_seconds or 0.0
            await self._host.tell(events.ServerBusy(named + DRAIN_EXTENSION_SECONDS))
        if ended.kind is End.REFUSED and ended.code is not None:
            keys = on_refusal(self._identity.keys, ended.code)
            if keys != self._identity.keys:
                self._rotation.take(keys)
                return True
        return False
