"""What becomes of messages while storage fails or is too slow: no ack, no offer, no Go, and the stream stays.

A batch of reports is kept and tried again; nothing further is read from its agent before it is stored, so that reports
take effect in their order and none is acknowledged past a gap. Trying again is safe: where a commit worked after all,
its sequences are known. An ask is refused instead: a Go that comes late is worth nothing to the agent.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from fleetroll_common.values.backoff import full_jitter
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import StoreError
from fleetroll_server.domain.go import Refuse
from fleetroll_server.gateway.convert_out import no_go

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fleetroll_server.domain.heard import Ask
    from fleetroll_server.gateway.convert_out import Message
    from fleetroll_server.gateway.session import Session

log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS = 0.5
"""As long as the store waits between two probes of itself."""
LONGEST_PAUSE_SECONDS = 5.0
"""How late a batch may be after storage has healed; ten thousand hosts that all have one ask 4,000 times a second."""
ASK_AGAIN = timedelta(seconds=10)
"""Sooner than an agent's own 60 s: a full disk is mended, or a database has failed over, within some of these."""
_PASSING = frozenset({Code.STORE_FAILED, Code.UNAVAILABLE})
"""Nothing took effect, through nobody's fault: the storage fails, or the change was broken off for its time."""


async def until_stored(session: Session, work: Callable[[], Awaitable[Message]]) -> Message | None:
    """Do ``work`` until the store takes it; nothing when the session is over before.

    Raises:
        FleetrollError: of any other cause than storage that fails or is too slow.
    """
    tries = 0
    while not session.gone.is_set():
        try:
            return await work()
        except StoreError as error:
            if error.code not in _PASSING:
                raise
            if not tries:
                log.warning("reports_wait", agent=session.key.agent_id, reason=error.message)
        chance = random.random()  # noqa: S311 (spreads the fleet)
        pause = full_jitter(tries, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, chance)
        tries += 1
        await session.rest(pause)
    return None


async def or_no_go(ask: Ask, work: Callable[[], Awaitable[Message]]) -> Message:
    """Do ``work``; where storage fails, answer that there is no Go.

    Where the commit worked after all, the host is granted and does not know: its next ask proves the Go unused.

    Raises:
        FleetrollError: of any other cause than storage that fails or is too slow.
    """
    try:
        return await work()
    except StoreError as error:
        if error.code not in _PASSING:
            raise
        return no_go(ask, Refuse(Code.STORE_FAILED, "the server can store nothing now", ASK_AGAIN))
