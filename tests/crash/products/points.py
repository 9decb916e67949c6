"""The points of a life: every durable effect and every message of one process, numbered in their order.

At each point somebody may look at the host, and one thing may go wrong there: whatever the case wants happens *before*
the effect or the message. A process that died does nothing more, whatever its code still tries in its clean-up.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

from fleetroll_agent.slots import RealDisk
from fleetroll_common.durable import effects
from fleetroll_common.durable.held import Folder, HeldName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ON_DISK = frozenset(
    {*effects.POINTS, "write_file", "make_dir", "remove_dir", "chmod"},
)
NEEDS_ROOM = ON_DISK - {"unlink", "remove_dir", "chmod", "fsync_dir", "truncate"}


class Crash(BaseException):
    """The process is gone."""


class Moment(NamedTuple):
    """What tells one instant of a run from the next.

    Attributes:
        second: of the virtual time.
        turn: of the loop: within one nothing else is done.
        asked: how many callbacks were asked for: what is asked for next comes behind them.
        looks: how often the wall clock was read.
    """

    second: float
    turn: int
    asked: int
    looks: int


ALONE = ""
"""The name of the process where a model has but one."""
_ONLY_ONE = frozenset({ALONE})


class Points:
    """Counts, and lets one thing happen at one point."""

    def __init__(
        self, at: int, happen: Callable[[], None], look: Callable[[str], None], time: Callable[[], Moment]
    ) -> None:
        """Let ``happen`` take place before the point number ``at``, 0 = never; ``look`` is called at each."""
        self._time = time
        self._at = at
        self._happen = happen
        self._look = look
        self.names: list[str] = []
        self.idle: set[int] = set()
        """Numbers of the points whose effect changed nothing that is seen: a sync, or a name that was not there."""
        self.moments: list[Moment] = []
        """For each point, when it was."""
        self.owners: list[str] = []
        """For each point, whose effect or message it is."""
        self.living: list[frozenset[str]] = []
        """For each point, which processes there were."""
        self.dead = False
        self.paused = False
        """While the judge reads: no point of the agent's."""
        self.refusal: Callable[[str], int] = lambda _kind: 0
        self.done: Callable[..., None] = _nobody
        """Told of every effect that the disk took, with its arguments, and of every message that is about to come."""

    @property
    def owner(self) -> str:
        """The process that runs now."""
        return ALONE

    @property
    def alive(self) -> frozenset[str]:
        """The processes that there are now."""
        return _ONLY_ONE

    def reach(self, kind: str, name: object = "") -> None:
        """Stand before an effect or a message."""
        if self.paused:
            return
        if self.dead:
            raise Crash
        self.names.append(f"{kind} {name}")
        self.moments.append(self._time())
        self.owners.append(self.owner)
        self.living.append(self.alive)
        if kind not in ON_DISK:
            self.done("message")
        self._look(kind)
        if len(self.names) == self._at:
            self._happen()
        number = self.refusal(kind) if kind in ON_DISK else 0
        if number:
            raise OSError(number, os.strerror(number))


class PointDisk(RealDisk):
    """The disk of slots, each change of which is a point; a sync costs nothing here."""

    points: Points

    def write_file(self, path: Path, data: bytes, mode: int = 0o600) -> None:
        self.points.reach("write_file", path.name)
        super().write_file(path, data, mode)
        self.points.done("write_file", path, data)

    def make_dir(self, path: Path, mode: int = 0o700) -> None:
        self.points.reach("make_dir", path.name)
        super().make_dir(path, mode)
        self.points.done("make_dir", path)

    def rename(self, source: Path, target: Path) -> None:
        self.points.reach("rename", target.name)
        super().rename(source, target)
        self.points.done("rename", source, target)

    def unlink(self, path: Path) -> None:
        self.points.reach("unlink", path.name)
        super().unlink(path)
        self.points.done("unlink", path)

    def remove_dir(self, path: Path) -> None:
        self.points.reach("remove_dir", path.name)
        super().remove_dir(path)
        self.points.done("remove_dir", path)

    def chmod(self, path: Path, mode: int) -> None:
        self.points.reach("chmod", path.name)
        super().chmod(path, mode)

    def fsync_file(self, path: Path) -> None:
        self.points.reach("fsync_file", path.name)
        self.points.idle.add(len(self.points.names))
        self.points.done("fsync_file", path)

    def fsync_dir(self, path: Path) -> None:
        self.points.reach("fsync_dir", path.name)
        self.points.idle.add(len(self.points.names))
        self.points.done("fsync_dir", path)


@contextlib.contextmanager
def counted_effects(points: Callable[[], Points], module: Any = effects) -> Iterator[None]:
    """Make every durable effect of records, journal and switch a point of the life at hand.

    ``module`` has the functions of the effects, and in POINTS their names.
    """
    with contextlib.ExitStack() as stack:
        for name in module.POINTS:
            stack.enter_context(mock.patch.object(module, name, _counted(points, name, getattr(module, name))))
        yield


def _counted(points: Callable[[], Points], kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        points().reach(kind, _name(args[-1] if kind in ("rename", "link") else args[0]))
        if kind.startswith("fsync") or (kind == "unlink" and not _is_there(args[0])):
            points().idle.add(len(points().names))
        made = None if kind.startswith("fsync") else real(*args)  # a sync costs time and changes nothing that is seen
        points().done(kind, *args)
        return made

    return call


def _name(subject: Any) -> str:
    if isinstance(subject, str):
        return Path(subject).name
    return subject.name if isinstance(subject, (Path, HeldName, Folder)) else ""


def _is_there(name: Path | HeldName | str) -> bool:
    """Tell whether there is something, be it a link that leads nowhere."""
    if isinstance(name, str):
        return os.path.lexists(name)
    if isinstance(name, HeldName):
        return name.name in os.listdir(name.folder.handle)  # noqa: PTH208 (of a handle)
    return name.is_symlink() or name.exists()


def _nobody(_kind: str, *_args: object) -> None:
    pass


def full(kind: str) -> int:
    """Refuse what needs room."""
    return errno.ENOSPC if kind in NEEDS_ROOM else 0


def read_only(_kind: str) -> int:
    """Refuse every change."""
    return errno.EROFS
