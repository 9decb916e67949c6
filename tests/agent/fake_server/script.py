"""What a test wants of its fake server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fleetroll.v1 import agent_stream_pb2 as stream_pb2
    from tests.agent.fake_server.server import Session


@dataclass
class Script:
    """What the test wants.

    Attributes:
        grant: answer every ask with Go.
        promote: answer every trial with Promote that the real rule would keep.
        ack: acknowledge reports.
        lose_welcomes: commit so many hellos, then end the stream without a Welcome.
        lose_enrolments: commit so many enrolments, then fail the call.
        names: what a host without a version is told to begin with, in turn; None = the call is not known to the server.
            Without any, it is the newest release of its channel that it does not pass over.
        refusals: answers to the next streams, in the place of a challenge.
        suspended: scopes under the kill switch.
        heartbeat: seconds.
        clock_skew: seconds that the server's clock is ahead.
        clock_seconds: what the server's clock shows, in Unix seconds; None = the time, and ``clock_skew``.
        cut_after: end every artefact after so many bytes; None = never.
        garbage: what goes out as bytes that no message has (fake_server/garbage.py).
        quarantined: every welcome says that the host takes no updates.
        check_in: seconds that every welcome names for the next check-in; 0 = none.
        before_welcome: is waited for after every hello that was accepted; the agent does nothing meanwhile.
    """

    grant: bool = True
    promote: bool = True
    ack: bool = True
    lose_welcomes: int = 0
    lose_enrolments: int = 0
    names: list[str | None] = field(default_factory=list)
    refusals: list[stream_pb2.Refusal] = field(default_factory=list)
    suspended: set[str] = field(default_factory=set)
    quarantined: bool = False
    heartbeat: float = 1.0
    clock_skew: float = 0.0
    clock_seconds: int | None = None
    cut_after: int | None = None
    garbage: list[str] = field(default_factory=list)
    check_in: float = 0.0
    before_welcome: Callable[[Session], Awaitable[None]] | None = None
