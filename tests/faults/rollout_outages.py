"""Outages in a rollout in memory: the record of them, what it gives back, whom it excuses, as the engine does it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_server.domain import availability, excuses
from fleetroll_server.domain.availability import Span, Spell
from fleetroll_server.domain.states import BEFORE_GO, AttemptState, Trigger
from tests.faults.rollout_engine import Engine

if TYPE_CHECKING:
    from datetime import datetime

    from tests.faults.rollout_rows import HostRow

ENOUGH = 3
"""Excuses per host and rollout."""


class Recorded(Engine):
    """An engine that keeps the record of availability. What stands in ``outages`` is the truth, for tests to judge."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Begin as the engine does, with the first spell."""
        super().__init__(*args, **kwargs)
        self.spells = [Spell(self.now, self.now)]
        self.outages: list[Span] = []
        self.excused: list[str] = []
        self.counted: list[str] = []

    def tick(self) -> None:
        """Say that hellos are accepted."""
        self.spells[-1] = replace(self.spells[-1], ticked_at=self.now)

    def close(self) -> None:
        """No hello is accepted from now on."""
        self.spells[-1] = replace(self.spells[-1], ticked_at=self.now, over=True)

    def open_again(self) -> None:
        """Accept hellos again, and let no clock have run in between."""
        closed = availability.closed_until_now(self.spells, self.now)
        assert closed is not None
        self.spells.append(Spell(self.now, self.now))
        self.outages.append(closed)
        for host in self.hosts.values():
            if host.state is AttemptState.SUCCEEDED:
                host.deadline = None
            elif host.deadline is not None:
                host.deadline = availability.moved_on(host.state, host.deadline, host.changed_at, closed)
        for wave in self.waves:
            if wave.moved_at is not None:
                wave.moved_at = availability.stood_still(wave.moved_at, wave.moved_at, closed)

    def excuse(self, host: HostRow, trigger: Trigger, *, unproven: bool) -> bool:
        """Tell whether the host goes back into the queue instead; note what its next offer owes."""
        back = excuses.WayBack(
            state=host.state,
            trigger=trigger,
            unproven=unproven,
            had_succeeded=host.state is AttemptState.LOST and host.succeeded,
            granted_at=host.granted_at,
            excuses=host.tries,
            has_queue=self.has_queue,
        )
        if back.was_restarted:
            assert host.tries == 0, f"{host.name} was started anew more than once"
            host.tries += 1
            return True
        if not excuses.is_excused(back, self.spells, self.now):
            self._judge_counted(host, trigger, unproven=unproven)
            return False
        assert self._was_closed_since(host.granted_at), f"{host.name} is excused although every hello was accepted"
        self.excused.append(host.name)
        self.owed.add(host.name)
        if host.name in self.desired:
            self.desired[host.name] = replace(self.desired[host.name], excused=False)
        host.tries += back.has_queue
        return back.has_queue

    def is_over(self, host: HostRow, said: AttemptState) -> bool:
        """Tell whether a queued host speaks of an attempt that is over."""
        let_go = BEFORE_GO | ({AttemptState.CANCELLED} if not self.is_open and self.has_late else set())
        before_go = not self.is_open and said in let_go
        return host.state is AttemptState.PENDING and (host.granted_at is not None or before_go)

    def _judge_counted(self, host: HostRow, trigger: Trigger, *, unproven: bool) -> None:
        """A way back that counts was proven, or its server was there, or there were enough excuses."""
        if trigger is Trigger.FAIL and unproven and self.has_queue and host.granted_at is not None:
            assert host.tries > 0, f"{host.name} is blamed for a start anew"
        if trigger is not Trigger.ROLL_BACK or not unproven or host.state is AttemptState.SUCCEEDED:
            return
        self.counted.append(host.name)
        closed = host.granted_at is not None and self._was_closed_since(host.granted_at)
        assert not closed or host.tries >= ENOUGH, f"{host.name} is blamed for an outage"

    def _was_closed_since(self, at: datetime | None) -> bool:
        return at is not None and any(span.ended_at > at for span in self.outages)

    def open_seconds(self, since: datetime) -> float:
        """Return how much of the time since then hellos were accepted."""
        shut = sum((s.ended_at - max(s.began_at, since)).total_seconds() for s in self.outages if s.ended_at > since)
        return (self.now - since).total_seconds() - shut

    def judge_silence(self, host: HostRow) -> None:
        """A deadline may not speak before its host could have spoken for that long."""
        if host.state in {AttemptState.TRIAL, AttemptState.PROMOTED} and host.announced is not None:
            heard = self.open_seconds(host.changed_at)
            assert heard >= host.announced, f"{host.name} is lost after {heard} s in which it could speak"

    def judge_stuck(self, code: Code, reason: str) -> None:
        """Late hosts may be stopped for standing still only when they did for a day with a server there."""
        if code is Code.WAVE_NOT_PASSED and "nothing moved" in reason:
            still = min(self.open_seconds(h.changed_at) for h in self.hosts.values() if self._is_under_way(h))
            assert still >= 24 * 3600, f"late hosts are stopped after {still} s"

    def _is_under_way(self, host: HostRow) -> bool:
        ended = {AttemptState.SUCCEEDED, AttemptState.FAILED, AttemptState.ROLLED_BACK, AttemptState.ROLLBACK_FAILED}
        ended |= {AttemptState.CANCELLED, AttemptState.SKIPPED, AttemptState.EXPIRED, AttemptState.LOST}
        return host.state not in ended | {AttemptState.PENDING}
