"""When a host counts as left alone, and which release it takes then. Pure.

1. Alone is who reached no server for ``offline_after_seconds`` of running, by the clock of the boot, and has asked for
   one for five minutes in this process. The time in which a host is switched off does not count, nor what is set.
2. The server's last word counts: where an assignment waits for its permit, that version is taken, if it is listed, and
   no newer one. It was chosen for this host; what is newer was not. Where its permit was refused otherwise than for the
   time being, nothing is (:mod:`fleetroll_agent.jobs.by_itself`).
3. Else it is the newest that is listed, above what runs, in an allowed channel, within the pin, and without breaking
   changes, for nobody is there to acknowledge them. What is not installed yet is not begun.
4. What failed on this host as bad is passed over, and so is what waits after a failure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_agent.control.newest import admissible
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from fleetroll_agent.jobs.state import State
    from fleetroll_agent.jobs.values import Attempt, Moment
    from fleetroll_common.trust.listing import ListedTarget, Offered
    from fleetroll_common.values.platform import Platform

PATIENCE_SECONDS = 300.0
"""What a process gives its servers before it believes what an earlier one wrote down."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Since when no server is there.

    Attributes:
        boot_seconds: since when this process has none, by the clock that counts suspend.
        before_seconds: for how long there had been none by then, as earlier processes counted it; 0 = this one had one
            itself, or nobody knows.
    """

    boot_seconds: float
    before_seconds: float = 0.0

    def lasts(self, moment: Moment) -> float:
        """Return for how many seconds, as far as it is believed."""
        here = self._here(moment)
        return here if here < PATIENCE_SECONDS else self.counted(moment)

    def counted(self, moment: Moment) -> float:
        """Return for how many seconds, to be written down."""
        return self.before_seconds + self._here(moment)

    def _here(self, moment: Moment) -> float:
        return max(0.0, moment.boot_seconds - self.boot_seconds)


def choose(offered: Offered, state: State, here: Platform, moment: Moment) -> Version | None:
    """Return the version that the host takes by itself; None when there is none.

    Args:
        offered: what a verified role lists of the product, and what its publisher rules.
        state: of the product.
        here: the platform.
        moment: now.
    """
    running = state.running.version
    if not running:
        return None
    barred = {failure.version for failure in state.record.failures if failure.bars(moment.wall_seconds)}
    assigned = _assigned(state)
    found = [
        custom.version
        for target, custom in admissible(offered, state.policy, here, running, state.record.floor)
        if str(custom.version) not in barred
        and not state.course.failed_before(state, target.sha256)
        and (_is(assigned, target, custom.version) if assigned else not custom.breaking_changes)
    ]
    newest = max(found, default=None)
    return newest if newest is not None and (assigned or newest > Version.parse(running)) else None


def _assigned(state: State) -> Attempt | None:
    """Return the server's assignment that has not begun."""
    attempt = state.record.attempt
    return None if attempt is None or attempt.local or attempt.past_go else attempt


def _is(assigned: Attempt | None, target: ListedTarget, version: Version) -> bool:
    """Tell whether a target is what was assigned; its digest is known once its metadata was read."""
    return assigned is not None and str(version) == assigned.version and assigned.sha256 in ("", target.sha256)
