"""What a follower hands over: what stands, what changed, and how the connection is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from fleetroll.v1 import agents_pb2, events_pb2, rollouts_pb2, tokens_pb2


@dataclass(frozen=True)
class Snapshot:
    """All that stood at one instant: it replaces whatever was known, and is never merged.

    Attributes:
        cursor: where to go on from once this is taken in; opaque.
        sent_at: when the server sent its last page, by the server's clock, in UTC.
        rollouts: those that have not ended and the newest 100 that have.
        kill_switches: of every scope whose switch was ever pressed.
        agents: hosts, revoked ones too; empty unless they are watched.
        rollout_hosts: hosts of the rollout that is watched; empty unless they are.
        token: the token that watches, without who made it; None of a server that does not say it.
    """

    cursor: bytes
    sent_at: datetime
    rollouts: tuple[rollouts_pb2.Rollout, ...] = ()
    kill_switches: tuple[rollouts_pb2.KillSwitch, ...] = ()
    agents: tuple[agents_pb2.Agent, ...] = ()
    rollout_hosts: tuple[rollouts_pb2.RolloutHost, ...] = ()
    token: tokens_pb2.ApiToken | None = None


@dataclass(frozen=True)
class Changed:
    """What happened since the update before, and whatever it touched as it stands now.

    Attributes:
        cursor: where to go on from once this is taken in; opaque.
        sent_at: when the server sent it, by the server's clock, in UTC.
        events: in the order of their commits; each comes once.
        rollouts: each replaces the one of the same ``id``, or is new.
        kill_switches: each replaces the one of the same ``scope``, or is new.
        agents: each replaces the one of the same ``id``, or is new.
        rollout_hosts: each replaces the one of the same ``agent_id``, or is new.
    """

    cursor: bytes
    sent_at: datetime
    events: tuple[events_pb2.Event, ...] = ()
    rollouts: tuple[rollouts_pb2.Rollout, ...] = ()
    kill_switches: tuple[rollouts_pb2.KillSwitch, ...] = ()
    agents: tuple[agents_pb2.Agent, ...] = ()
    rollout_hosts: tuple[rollouts_pb2.RolloutHost, ...] = ()


@dataclass(frozen=True)
class Resynced:
    """The server can't go on from where the follower was. What is known is old until the snapshot that follows.

    The link is STALE from then on, and LIVE again with that snapshot.

    Events between the last update and that snapshot are not handed over: ``ListEvents`` has them.

    Attributes:
        reason: in words of the server, at most 200 characters; show it through ``plain``.
        log_replaced: events that are known are to be forgotten: their ids come again for others.
    """

    reason: str
    log_replaced: bool = False


class Link(str, Enum):
    """How the connection of a follower is."""

    CONNECTING = "connecting"
    """The first try is under way; nothing was heard yet."""
    LIVE = "live"
    """What was handed over is what stands."""
    STALE = "stale"
    """The stream is open, but the server starts over: what was handed over is old until its snapshot is whole."""
    RECONNECTING = "reconnecting"
    """The stream ended, or was given up; another try follows."""


@dataclass(frozen=True)
class Connection:
    """How the connection is. Comes with every sign of life, and whenever that changes.

    Attributes:
        link: see :class:`Link`; anything but LIVE means that what is shown is old.
        heard_at: when something was heard last, in seconds of ``time.monotonic()``; None for never.
        attempt: number of the try that is to come or under way since the connection was live; 0 while it is.
        why: why it is not live, in words that a terminal may show, at most 200 characters; empty while it is.
        retry_seconds: until that try; 0 while there is nothing to wait for.
        sent_at: when the server sent what was heard last, by its own clock, in UTC; None where it never said. Together
            with ``heard_at`` it tells how the clocks differ.
    """

    link: Link
    heard_at: float | None = None
    attempt: int = 0
    why: str = ""
    retry_seconds: float = 0.0
    sent_at: datetime | None = None

    @property
    def live(self) -> bool:
        """Tell whether what was handed over is what stands."""
        return self.link is Link.LIVE

    def silent_seconds(self, now: float) -> float | None:
        """Return how long ago something was heard, ``now`` by ``time.monotonic()``; None for never."""
        return None if self.heard_at is None else max(0.0, now - self.heard_at)


Update = Snapshot | Changed | Resynced | Connection
