"""What an unproven end says of a version: nothing, where its server was away, or its host was started anew in between.

A way back for want of contact speaks against a version only where its server could be reached all along. A host that
was started anew between its permit and the switch has changed nothing; once per host and rollout that is chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_server.domain.availability import closed_within
from fleetroll_server.domain.states import PAST_GO, AttemptState, Trigger

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from fleetroll_server.domain.availability import Spell

MAX_EXCUSES = 3
"""Per host and rollout. A host that came back unproven in four outages in a row is looked at by a person."""
MAX_RESTARTS = 1
"""Per host and rollout, other excuses included: a self-test that takes its host down is no chance the second time."""
_BEFORE_THE_SWITCH = frozenset({AttemptState.GRANTED, AttemptState.APPLYING, AttemptState.LOST})


@dataclass(frozen=True, slots=True)
class WayBack:
    """What a host's word would do.

    Attributes:
        state: of the attempt before it.
        trigger: the step.
        unproven: nobody proved it to be the version's fault.
        had_succeeded: the version had been kept before: contact was there.
        granted_at: when the attempt got Go; none for one that shows itself past Go without.
        excuses: that the host had in this rollout.
        has_queue: the rollout may offer it again: it is open, or has late hosts to offer.
    """

    state: AttemptState
    trigger: Trigger
    unproven: bool
    had_succeeded: bool
    granted_at: datetime | None
    excuses: int
    has_queue: bool

    @property
    def may_be_excused(self) -> bool:
        """Tell whether it depends on the record of availability alone."""
        unproven = self.trigger is Trigger.ROLL_BACK and self.unproven and not self.had_succeeded
        tried = self.state in PAST_GO and self.granted_at is not None
        return unproven and tried and self.excuses < MAX_EXCUSES

    @property
    def was_restarted(self) -> bool:
        """Tell whether the host was started anew between its permit and the switch, for the first time."""
        restarted = self.trigger is Trigger.FAIL and self.unproven and self.state in _BEFORE_THE_SWITCH
        return restarted and self.granted_at is not None and self.has_queue and self.excuses < MAX_RESTARTS


def is_excused(back: WayBack, spells: Iterable[Spell], now: datetime) -> bool:
    """Tell whether the way back is the servers' fault: between its Go and its word hellos were not accepted.

    When it happened is the host's own word, and its clock is not believed: a host that was back before the outage and
    could not say so is excused as well. An ended rollout has no queue for it: then the excuse is owed by the next offer
    of the version, since the host's own count would hold it against that one.

    Args:
        back: the way back.
        spells: those that reach into its time, and the last one before it.
        now: the server's clock.
    """
    return back.may_be_excused and back.granted_at is not None and bool(closed_within(spells, back.granted_at, now))
