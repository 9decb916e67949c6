"""The test's end of the shim: plans, the wrapper that stands in for an interpreter, and what a run left behind.

plan = Plan(tmp_path / "shim", roots=[state], roles=[("launcher", "launcher"), ("entry.py", "agent")])
wrapper = plan.write()                        # an executable file; use it wherever a path of Python is asked for
… run undisturbed …
for point in plan.points():                   # then once for each point and each deed
    Plan(tmp_path / "n", roots, roles, act=point.act("kill-before")).write()
"""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults.shim_points import DOINGS, VICTIMS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHIM = Path(__file__).with_name("shim.py")

_WRAPPER = """#!/bin/sh
# Takes the interpreter's own flags off the front and puts the shim behind them.
flags=
while [ $# -gt 0 ]; do
  case "$1" in
    -m|-c) break ;;
    -W|-X) flags="$flags $1 $2"; shift 2 ;;
    -V|--version) exec {python} "$1" ;;
    -*) flags="$flags $1"; shift ;;
    *) break ;;
  esac
done
case "$*" in {bare}) exec {python} $flags "$@" ;; esac
exec {python} $flags {shim} --plan {plan} -- "$@"
"""


@dataclass(frozen=True)
class Act:
    """What goes wrong where.

    Attributes:
        role: of the process.
        process: the how-manieth process of that role, from 1.
        point: its name.
        occurrence: the how-manieth time in that process, from 1.
        do: one of ``DOINGS``.
        sticky: also at every later occurrence in that process.
        victim: who is killed there, one of ``VICTIMS``.
    """

    role: str
    process: int
    point: str
    occurrence: int
    do: str
    sticky: bool = False
    victim: str = "self"

    def __post_init__(self) -> None:
        """Refuse a deed or a victim that the shim does not know."""
        for word, known in ((self.do, DOINGS), (self.victim, VICTIMS)):
            if word not in known:
                raise ValueError(f"{word} is none of {', '.join(known)}")


@dataclass(frozen=True, order=True)
class Point:
    """One point of a traced run."""

    role: str
    process: int
    point: str
    occurrence: int

    def act(self, do: str, *, sticky: bool = False, victim: str = "self") -> Act:
        """Return the plan's part that makes ``do`` happen here."""
        return Act(self.role, self.process, self.point, self.occurrence, do, sticky=sticky, victim=victim)

    def __str__(self) -> str:
        """Return a name for a test's output."""
        return f"{self.role}{self.process}/{self.point}#{self.occurrence}"


@dataclass(frozen=True)
class Source:
    """Where the state of a role is read.

    Attributes:
        file: its record, below the first root.
        fields: dotted names in groups; the first group whose first field is there makes up the state. ``name?`` says
            only whether the field is there.
    """

    file: str
    fields: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Chase:
    """A hunt that several hosts share; see :mod:`.shim_hunt`.

    Attributes:
        wanted: a file with the list of quarries.
        had: the file in which it is kept which of them were had.
    """

    wanted: Path
    had: Path


@dataclass(frozen=True)
class Plan:
    """One run: which files and processes count, and what goes wrong.

    Attributes:
        folder: for the plan's own files; made by :meth:`write`, one per run.
        roots: folders whose files are points.
        roles: (text in the command line, role), the first that fits counts; all others are "other".
        act: what goes wrong; None = nothing.
        python: the real interpreter.
        records: where the state of each role is read; it then stands in the trace.
        hunt: many kills instead of the one of ``act``.
        code: a folder in which byte code is kept for all processes that name it; it must be there.
        bare: texts in the command line of children that have no points: they start the faster.
    """

    folder: Path
    roots: Sequence[Path]
    roles: Sequence[tuple[str, str]] = ()
    act: Act | None = None
    python: str = sys.executable
    records: Mapping[str, Source] = field(default_factory=dict)
    hunt: Chase | None = None
    code: Path | None = None
    bare: Sequence[str] = ()

    def write(self) -> Path:
        """Write the plan and return the wrapper: an executable that takes an interpreter's arguments."""
        self.folder.mkdir(parents=True)
        wrapper = self.folder / "python"
        plan = {
            "folder": str(self.folder),
            "roots": [str(root) for root in self.roots],
            "roles": [list(pair) for pair in self.roles],
            "executable": str(wrapper),
            "act": None if self.act is None else asdict(self.act),
            "records": {role: asdict(source) for role, source in self.records.items()},
            "hunt": self.hunt and {"wanted": str(self.hunt.wanted), "had": str(self.hunt.had)},
            "code": self.code and str(self.code),
        }
        path = self.folder / "plan.json"
        path.write_text(json.dumps(plan))
        parts = {"python": self.python, "shim": str(SHIM), "plan": str(path)}
        words = {name: shlex.quote(part) for name, part in parts.items()}
        bare = "|".join(f"*{shlex.quote(text)}*" for text in self.bare)
        wrapper.write_text(_WRAPPER.format(**words, bare=bare or "''"))
        wrapper.chmod(0o755)
        if self.hunt is not None:
            self.arm()
        return wrapper

    def arm(self) -> None:
        """Permit the next kill of the hunt."""
        (self.folder / "armed").touch()

    def disarm(self) -> None:
        """Permit none any more; one that was permitted may just be happening."""
        (self.folder / "armed").unlink(missing_ok=True)

    def points(self) -> list[Point]:
        """Return the points of the run in the order of the trace; a line that a kill cut short is left out."""
        return [Point(*(line[name] for name in ("role", "process", "point", "occurrence"))) for line in self.lines()]

    def happened(self) -> bool:
        """Tell whether what was to go wrong did: a run in which it did not proves nothing."""
        return any(line["do"] for line in self.lines())

    def processes(self) -> dict[str, int]:
        """Return how many processes of each role were started."""
        path = self.folder / "starts"
        started = path.read_text().split() if path.exists() else []
        return {role: started.count(role) for role in sorted(set(started))}

    def lines(self) -> list[dict[str, Any]]:
        """Return what the trace says, pids and deeds too."""
        path = self.folder / "trace.jsonl"
        return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []
