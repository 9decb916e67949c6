"""``stops.log``: every stop once more, outside of the database, so that a restored one does not undo it.

One line per stop, each with its checksum, appended and synced before the stop's answer leaves. What is a stop is read
from the events of the transaction, so that none is forgotten. A line that a crash has torn is passed over by readers,
and the next one begins on a line of its own. A stop is never refused for this file: where it can't be written the log
says so, and only a restore from a backup older than the stop would miss it.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from fleetroll_common.durable import DamagedRecord, dump_record, load_record, sync_dir
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.states import RolloutState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from fleetroll_server.store.tx import EventFact

STATES = frozenset({RolloutState.HALTED, RolloutState.PAUSED, RolloutState.CANCELLED})
KINDS = frozenset(
    {
        "agent.revoked",
        "agent.enrolled",
        "agent.readmitted",
        "token.revoked",
        "api_token.revoked",
        "kill_switch.pressed",
        "kill_switch.lifted",
        "rollout.state",
        "release.yanked",
        "release.revoked",
    }
)
"""Events that are stops; of ``rollout.state`` those that stop it. Enrolments are: they use a token up."""
MAX_LINE_BYTES = 64 * 1024
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop. ``sequence`` and ``incarnation`` place it before or after a backup; the others are the event's."""

    sequence: int
    incarnation: str
    at: datetime
    kind: str
    fleet_id: str = ""
    actor_kind: str = ""
    actor_id: str = ""
    reason: str = ""
    code: str = ""
    rollout_id: str = ""
    agent_id: str = ""
    message: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return it as it is written."""
        return {**asdict(self), "at": self.at.isoformat(), "facts": dict(self.facts)}

    @classmethod
    def from_json(cls, record: Mapping[str, object]) -> Stop:
        """Read :meth:`to_json`; what a newer version wrote beside it is passed over.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        known = {name: value for name, value in record.items() if name in cls.__slots__}
        at = datetime.fromisoformat(str(record["at"]))
        if at.utcoffset() is None:
            raise ValueError("an instant of no zone")
        return cls(**{**known, "at": at})  # type: ignore[arg-type]

    def is_after(self, incarnation: str, sequence: int, taken_at: datetime) -> bool:
        """Tell whether a database that stood at ``sequence`` does not know of it."""
        return self.sequence > sequence if self.incarnation == incarnation else self.at > taken_at


def is_stop(event: EventFact) -> bool:
    """Tell whether an event has to be in the log."""
    return event.kind in KINDS and (event.kind != "rollout.state" or event.message in STATES)


class StopsLog:
    """Appends to the file. One process, one writer."""

    def __init__(self, path: Path, incarnation: Callable[[], str]) -> None:
        """Write to ``path``; ``incarnation`` is asked for the database's at each line."""
        self._path = path
        self._incarnation = incarnation

    async def record(self, events: Sequence[tuple[EventFact, int, datetime]]) -> None:
        """Write the stops among the events of a commit, each with its sequence and time. Nothing is raised."""
        stops = [self._stop(*one) for one in events if is_stop(one[0])]
        if not stops:
            return
        try:
            await asyncio.to_thread(append, self._path, stops)
        except OSError as error:
            _log.error("stops_log.not_written", path=str(self._path), reason=error.strerror, stops=len(stops))

    def _stop(self, event: EventFact, sequence: int, now: datetime) -> Stop:
        names = ("kind", "fleet_id", "actor_kind", "actor_id", "reason", "code", "rollout_id", "agent_id", "message")
        said = {name: str(getattr(event, name)) for name in names}
        return Stop(sequence, self._incarnation(), now, facts=dict(event.facts), **said)


def append(path: Path, stops: Iterable[Stop]) -> None:
    """Append lines and sync them.

    Raises:
        OSError: the disk refused; a torn line may be left behind.
    """
    fresh = not path.exists()
    data = b"".join(dump_record(stop.to_json()) for stop in stops)
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            data = b"\n" + data
        while data:
            data = data[os.write(handle, data) :]
        os.fsync(handle)
    finally:
        os.close(handle)
    if fresh:
        sync_dir(path.parent)


def read_every(paths: Iterable[Path]) -> tuple[list[Stop], int]:
    """Return the stops of several files, each once, oldest first, and how many lines are damaged.

    Raises:
        RequestError: as :func:`read_stops`.
    """
    found: dict[tuple[object, ...], Stop] = {}
    damaged = 0
    for path in paths:
        stops, torn = read_stops(path)
        damaged += torn
        for stop in stops:
            found.setdefault((stop.incarnation, stop.sequence, stop.at, stop.kind), stop)
    return sorted(found.values(), key=lambda stop: (stop.at, stop.sequence)), damaged


def read_stops(path: Path) -> tuple[list[Stop], int]:
    """Return the stops in the file, and how many lines are damaged.

    Raises:
        RequestError: NOT_FOUND: it can't be read (operator's fault).
    """
    stops: list[Stop] = []
    damaged = 0
    try:
        with path.open("rb") as file:
            while line := file.readline(MAX_LINE_BYTES):
                try:
                    stops.append(Stop.from_json(load_record(line)))
                except (DamagedRecord, KeyError, TypeError, ValueError):
                    damaged += 1
    except OSError as error:
        message = f"stops: {path} can't be read: {error.strerror}"
        raise RequestError(message, code=Code.NOT_FOUND, remedy="name the stops.log of the lost server") from error
    return stops, damaged
