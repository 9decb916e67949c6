"""Who decided: kept with every decision."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """A party that decides: ``kind`` is user, token, policy, agent-local or engine."""

    kind: str
    id: str


GATE = Actor("engine", "gate")
DEADLINE = Actor("engine", "deadline")
HOST = Actor("engine", "host-report")
DISPATCH = Actor("engine", "dispatch")
