"""The course of a follower, pure: from messages, silence and failures to updates, cursor and waits.

1. The cursor moves only with what is handed over, in the same step: whatever is cut off comes again, and nothing twice.
2. A snapshot is handed over whole. Pages of a stream that broke are thrown away.
3. It is live when something whole has come: a snapshot, changes, or a sign that there are none. A page is not, nor is
   anything but a whole snapshot once the server starts over: what is known is old until then.
4. Silence of :attr:`Patience.silent_seconds` ends a stream, however open it looks. While a snapshot is awaited, which
   the server reads whole before it sends the first page, it is told at once and borne for
   :attr:`Patience.snapshot_seconds`.
5. Waits between tries double up to a bound, with full jitter. They start over only when a stream has brought more than
   a snapshot: one that breaks at each snapshot must not make the server read one after the other.

Not done here: time, threads, gRPC. Callers say what time it is and what came.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timezone
from typing import TYPE_CHECKING

from fleetroll_client.updates import Changed, Connection, Link, Resynced, Snapshot
from fleetroll_common.values.backoff import full_jitter
from fleetroll_common.values.plain import plain

if TYPE_CHECKING:
    from datetime import datetime

    from fleetroll.v1 import events_pb2 as pb
    from fleetroll_client.updates import Update

MAX_WHY_CHARS = 200
AWAITED = "a snapshot is awaited"
NO_TIME = "the server sent a message at no time that there is"
WITHIN = "the server sent changes before or within a snapshot"


@dataclass(frozen=True)
class Patience:
    """How long a follower waits for what; all in seconds."""

    silent_seconds: float = 5.0
    """For the next message: the contract promises one every two seconds."""
    snapshot_seconds: float = 30.0
    """For the first message of a stream, and for each page of a snapshot: reading 100,000 hosts takes seconds."""
    first_wait_seconds: float = 0.2
    """Ceiling of the wait before the first new try."""
    longest_wait_seconds: float = 5.0
    """Ceiling of every wait."""


class BrokenContractError(Exception):
    """The server sent what can't be: the stream is as good as cut."""


class Course:
    """What one follower knows of its stream."""

    def __init__(self, cursor: bytes = b"", patience: Patience | None = None) -> None:
        """Begin at a cursor; empty for a snapshot first."""
        self.cursor = cursor
        self.connection = Connection(Link.CONNECTING)
        self._patience = patience or Patience()
        self._pages: list[pb.Snapshot] = []
        self._awaiting = True
        self._owed = True
        self._starts_over = ""
        self._told_silence = False
        self._attempt = 0

    def opened(self) -> None:
        """Note that a new stream begins, from :attr:`cursor`."""
        self._pages.clear()
        self._awaiting = True
        self._owed = not self.cursor
        self._told_silence = False

    @property
    def patience_seconds(self) -> float:
        """How long to wait for the next message before :meth:`silent` is to be called, from the moment of waiting."""
        if self._told_silence:
            return max(0.0, self._patience.snapshot_seconds - self._patience.silent_seconds)
        if self._awaiting and self.connection.link is not Link.STALE:
            return self._patience.snapshot_seconds
        return self._patience.silent_seconds

    def take(self, message: pb.WatchEventsResponse, now: float) -> list[Update]:
        """Take a message in and return what it says.

        Raises:
            BrokenContractError: changes came where a snapshot is owed, or within it, or at no time that there is (the
                server's fault).
        """
        match message.WhichOneof("message"):
            case "snapshot":
                self._pages.append(message.snapshot)
                if not message.snapshot.last:
                    return self._heard(message, now)
                self._owed = False
                return self._is_whole(message, self._whole(message), now)
            case "resync":
                self._pages.clear()
                self._awaiting = self._owed = True
                self._starts_over = plain(f"{AWAITED}: {message.resync.reason}", MAX_WHY_CHARS)
                self.connection = replace(self.connection, link=Link.STALE)
                return [Resynced(message.resync.reason, message.resync.log_replaced), *self._heard(message, now)]
            case "changes":
                if self._owed or self._pages:
                    raise BrokenContractError(WITHIN)
                self._attempt = 0
                return self._is_whole(message, _changed(message, message.cursor or self.cursor), now)
            case "alive" | None:  # None: a kind of a newer server, which is a sign of life too
                if self._owed or self._pages:
                    return self._heard(message, now)
                self._attempt = 0
                return self._is_whole(message, None, now)

    def silent(self) -> list[Update] | None:
        """Return what to tell after :attr:`patience_seconds` of silence; None when the stream is to be given up."""
        if self.connection.link is not Link.STALE or self._told_silence:
            return None
        self._told_silence = True
        why = f"nothing heard for {self._patience.silent_seconds:g} s; {AWAITED}"
        self.connection = replace(self.connection, why=why)
        return [self.connection]

    def given_up(self) -> str:
        """Return why a stream is given up for its silence."""
        seconds = self._patience.snapshot_seconds if self._awaiting else self._patience.silent_seconds
        return f"nothing heard for {seconds:g} s on an open stream"

    def lost(self, why: str, random01: float) -> Connection:
        """Note that the stream is over, and return what to tell; the wait before the next try is in it.

        Args:
            why: in words, also of a server.
            random01: a random number in [0, 1).
        """
        patience = self._patience
        wait = full_jitter(self._attempt, patience.first_wait_seconds, patience.longest_wait_seconds, random01)
        self._attempt += 1
        was, why = self.connection, plain(why, MAX_WHY_CHARS)
        self.connection = Connection(Link.RECONNECTING, was.heard_at, self._attempt, why, wait, was.sent_at)
        return self.connection

    def _is_whole(self, message: pb.WatchEventsResponse, said: Update | None, now: float) -> list[Update]:
        """Go on to the message's cursor, and return what to hand over with it."""
        sent_at = self._sent_at(message)
        self.cursor = message.cursor or self.cursor
        self._awaiting = self._told_silence = False
        self.connection = Connection(Link.LIVE, now, sent_at=sent_at)
        return [self.connection] if said is None else [said, self.connection]

    def _heard(self, message: pb.WatchEventsResponse, now: float) -> list[Update]:
        """Note a sign of life that makes nothing whole."""
        was = self.connection
        self._told_silence = False
        why = self._starts_over if was.link is Link.STALE else was.why
        self.connection = Connection(was.link, now, was.attempt, why, sent_at=self._sent_at(message))
        return [self.connection]

    def _sent_at(self, message: pb.WatchEventsResponse) -> datetime | None:
        """Return when the server sent a message; where it does not say, what it said last."""
        return _instant(message) if message.HasField("sent_at") else self.connection.sent_at

    def _whole(self, message: pb.WatchEventsResponse) -> Snapshot:
        """Return the snapshot of the pages that came."""
        pages, self._pages = self._pages, []
        return Snapshot(
            cursor=message.cursor or self.cursor,
            sent_at=_instant(message),
            rollouts=tuple(each for page in pages for each in page.rollouts),
            kill_switches=tuple(each for page in pages for each in page.kill_switches),
            agents=tuple(each for page in pages for each in page.agents),
            rollout_hosts=tuple(each for page in pages for each in page.rollout_hosts),
            token=next((page.token for page in pages if page.HasField("token")), None),
        )


def _instant(message: pb.WatchEventsResponse) -> datetime:
    """Return when the server sent a message.

    Raises:
        BrokenContractError: at no time that there is (the server's fault).
    """
    try:
        return message.sent_at.ToDatetime(timezone.utc)
    except (ValueError, OverflowError):
        raise BrokenContractError(NO_TIME) from None


def _changed(message: pb.WatchEventsResponse, cursor: bytes) -> Changed:
    """Return what changed."""
    changes = message.changes
    return Changed(
        cursor=cursor,
        sent_at=_instant(message),
        events=tuple(changes.events),
        rollouts=tuple(changes.rollouts),
        kill_switches=tuple(changes.kill_switches),
        agents=tuple(changes.agents),
        rollout_hosts=tuple(changes.rollout_hosts),
    )
