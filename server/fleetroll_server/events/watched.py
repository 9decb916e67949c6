"""What one watcher watches, and what of everything concerns it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from fleetroll_server.events.log import FOR_EVERYBODY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fleetroll_server.events.touched import State


class Subject(StrEnum):
    """A kind of thing that can be watched."""

    EVENTS = "events"
    ROLLOUTS = "rollouts"
    AGENTS = "agents"
    ROLLOUT_HOSTS = "rollout_hosts"


@dataclass(frozen=True, slots=True)
class Watched:
    """One watcher's choice.

    Attributes:
        fleets: whose things it may see and asked for; at least one.
        all_fleets: whether it sees what concerns no single fleet, too.
        subjects: kinds of things.
        rollout_id: only this rollout; empty for all.
    """

    fleets: frozenset[str]
    all_fleets: bool
    subjects: frozenset[Subject]
    rollout_id: str = ""

    @property
    def name(self) -> str:
        """Return a word for this choice: a cursor of another one is no place to go on from."""
        parts = ("all" if self.all_fleets else "", *sorted(self.fleets), "|", *sorted(self.subjects), self.rollout_id)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def sees(self, event: Mapping[Any, Any]) -> bool:
        """Tell whether it is to be told of an event."""
        if Subject.EVENTS not in self.subjects:
            return False
        if self.rollout_id and event["rollout_id"] != self.rollout_id:
            return False
        fleet = event["fleet_id"]
        return fleet in self.fleets or (not fleet and (self.all_fleets or event["kind"].startswith(FOR_EVERYBODY)))

    def own(self, state: State) -> State:
        """Return what of ``state`` concerns it. What was built for the wire is shared."""
        rollouts = Subject.ROLLOUTS in self.subjects
        return replace(
            state,
            rollouts=[
                shown
                for shown in self._of_fleets(state.rollouts if rollouts else ())
                if self.rollout_id in {"", shown.row["id"]}
            ],
            switches=[row for row in state.switches if rollouts and row["fleet_id"] in {"", *self.fleets}],
            hosts=list(self._of_fleets(state.hosts if Subject.AGENTS in self.subjects else ())),
            rollout_hosts=[
                (version, row)
                for version, row in (state.rollout_hosts if Subject.ROLLOUT_HOSTS in self.subjects else ())
                if row["rollout_id"] == self.rollout_id and row["fleet_id"] in self.fleets
            ],
        )

    def _of_fleets(self, things: Iterable[Any]) -> Iterable[Any]:
        """Return what belongs to its fleets."""
        return (thing for thing in things if thing.row["fleet_id"] in self.fleets)
