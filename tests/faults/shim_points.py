"""Named points of a child process: counted, traced, and one of them made to go wrong. Standard library only.

A point is one effect of the program: ``create:boot.json.new``, ``rename:boot.json``, ``write:pipe:arm``. It is known by
the *role* of its process (launcher, agent, …), the how-manieth process of that role this is, the point's name, and how
often that name came up in the process. Threads and timing change the order of points between runs; these four they
don't.

The plan (JSON): ``roots``: folders whose files count; ``roles``: [text in the command line, role] in order; ``folder``:
where the trace and the counters of processes lie; ``executable``: what children are to be started with; ``act``: null,
or {role, process, point, occurrence, do, sticky}; ``records``, ``hunt`` and ``code``: see :mod:`.plans`.
"""

# As little as possible is imported before the program: no pathlib.
# ruff: noqa: PTH110, PTH118, PTH119, PTH120, PTH208

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from tests.faults.shim_hunt import Hunt, Records

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

ERRORS = {"enospc": errno.ENOSPC, "eio": errno.EIO, "erofs": errno.EROFS}
LASTING = {"enospc": 2.0, "erofs": 2.0}
"""Seconds for which every later call on files is refused as well, where ``sticky`` is asked for."""
CALL = "call"
DOINGS = ("kill-before", "kill-after", "short", "torn", CALL, *ERRORS)
"""What a point can be made to do. ``short`` writes half and says so; ``torn`` writes half and is killed; an error is
raised instead of the call; ``call`` waits until the test has done what it wants. All but this one and the kills need a
call on a file."""
CALL_SECONDS = 20.0

VICTIMS = ("self", "parent", "child", "self+parent", "self+child")
"""Who is killed at the point: its own process, the one above it, or those directly below it."""

_VOLATILE = re.compile(r"[0-9a-f]{8,}")
"""Hashes and ids in paths: other ones in the next run."""

# The real calls: the module's attributes are replaced later.
_write, _open, _kill, _getpid, _readlink = os.write, os.open, os.kill, os.getpid, os.readlink
_PARENT = os.getppid()


class Points:
    """The points of this process."""

    def __init__(self, plan: dict[str, Any], command: str) -> None:
        """Find out which role ``command`` has, and the how-manieth process of it this is."""
        self._roots = [os.path.realpath(root) + os.sep for root in plan["roots"]]
        self._act = plan["act"]
        self.role_of = _roles(plan["roles"])
        self.role = self.role_of(command)
        self.process = _count_start(plan["folder"], self.role)
        self._records = Records(self._roots[0], plan["records"]) if plan["records"] else None
        self._hunt = Hunt(plan["hunt"], plan["folder"], self.role) if plan["hunt"] else None
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._trace = _open(os.path.join(plan["folder"], "trace.jsonl"), flags, 0o600)
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._refused: tuple[str, float] = ("", 0.0)
        self._folder = plan["folder"]

    def path_name(self, path: Any) -> str | None:
        """Return the name of ``path`` below a root, volatile parts replaced; None for files that do not count."""
        if isinstance(path, int):
            return self._handle_name(path)
        text = os.fsdecode(path)
        full = os.path.join(os.path.realpath(os.path.dirname(text) or "."), os.path.basename(text))
        for root in self._roots:
            if full + os.sep == root:
                return "."
            if full.startswith(root):
                return _VOLATILE.sub("#", full[len(root) :])
        return None

    def _handle_name(self, handle: int) -> str | None:
        """Return the name of what an open handle stands for; the standard streams do not count."""
        if handle <= 2:
            return None
        try:
            target = _readlink(f"/proc/self/fd/{handle}")
        except OSError:
            return None
        return "pipe" if target.startswith("pipe:") else self.path_name(target) if target.startswith("/") else None

    def run(self, name: str, call: Callable[[], _T], half: Callable[[], _T] | None = None) -> _T:
        """Do ``call`` as the point ``name``, unless the plan wants something else here.

        Args:
            name: of the point.
            call: what the program wants.
            half: the same with half of the data; absent where a part makes no sense.
        """
        do = self.reached(name)
        if do == "kill-before":
            self.die()
        do = do or self._still_refused(name)
        if do in ERRORS:
            self._refuse(do)
        try:
            return half() if do in ("short", "torn") and half is not None else call()
        finally:
            # Also when the system refused the call: the program has not seen that yet.
            if do in ("kill-after", "torn"):
                self.die()

    def reached(self, name: str) -> str:
        """Count and trace the point; return what is to be done here, or nothing."""
        with self._lock:
            occurrence = self._counts[name] = self._counts.get(name, 0) + 1
            state = "" if self._records is None else self._records.state(self.role)
            do = self._hunted(name, state) or self._planned(name, occurrence)
        self._note({"point": name, "occurrence": occurrence, "do": do, "state": state})
        if do == CALL:
            self._call()
        return do

    def _call(self) -> None:
        """Wait here until the test has done what it wants."""
        end = time.monotonic() + CALL_SECONDS
        while not os.path.exists(os.path.join(self._folder, "answered")) and time.monotonic() < end:
            time.sleep(0.01)

    def _refuse(self, do: str) -> NoReturn:
        """Refuse the call; a disk that is full or read-only stays so for a while."""
        if self._act["sticky"] and do in LASTING and not self._refused[0]:
            self._refused = (do, time.monotonic() + LASTING[do])
        raise OSError(ERRORS[do], os.strerror(ERRORS[do]))

    def _still_refused(self, name: str) -> str:
        """Return how the disk still refuses; nothing where it does not, and for what is no call on a file."""
        do, until = self._refused
        on_disk = not name.startswith(("spawn", "exec", "write:pipe"))
        return do if do and on_disk and time.monotonic() < until else ""

    def die(self) -> None:
        """End the plan's victims as kill -9 does; the whole machine goes on."""
        pids = _victims(self._act["victim"])
        if self._hunt is not None and self._records is not None:
            self._hunt.note({**self._act, "pid": _getpid(), "pids": pids, "records": self._records.all()})
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                _kill(pid, signal.SIGKILL)
        if _getpid() in pids:
            signal.pause()

    def _hunted(self, name: str, state: str) -> str:
        """Return what the hunt wants at this point; from then on that is what the plan wants."""
        quarry = None if self._hunt is None else self._hunt.at(state, name, _victims)
        if quarry is None:
            return ""
        self._act = {**quarry._asdict(), "process": self.process, "point": name, "occurrence": 0, "sticky": False}
        return quarry.do

    def _planned(self, name: str, occurrence: int) -> str:
        """Return what the plan wants at this point."""
        act = self._act
        if act is None or (act["role"], act["process"], act["point"]) != (self.role, self.process, name):
            return ""
        lasting = act["sticky"] and act["do"] not in LASTING
        hit = occurrence >= act["occurrence"] if lasting else occurrence == act["occurrence"]
        return str(act["do"]) if hit else ""

    def _note(self, facts: dict[str, Any]) -> None:
        """Append one line to the trace, in one write."""
        line = {"role": self.role, "process": self.process, "pid": _getpid(), **facts}
        _write(self._trace, (json.dumps(line) + "\n").encode())


def _victims(who: str) -> list[int]:
    """Return the pids that ``who`` names, its own process last; a parent that is gone has left nobody."""
    pids = _children() if "child" in who else []
    if "parent" in who and os.getppid() == _PARENT:
        pids = [_PARENT]
    return [*pids, _getpid()] if "self" in who else pids


def _children() -> list[int]:
    """Return every process directly below this one, whichever of its threads started it."""
    pids: list[int] = []
    for thread in os.listdir("/proc/self/task"):
        handle = _open(f"/proc/self/task/{thread}/children", os.O_RDONLY)
        try:
            pids += map(int, os.read(handle, 65536).split())
        finally:
            os.close(handle)
    return pids


def message_name(data: bytes) -> str:
    """Return the ``type`` of a JSON line, or nothing: messages on a pipe are points of their own."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        first = bytes(data).split(b"\n", 1)[0]
        return f":{json.loads(first)['type']}"
    return ""


def _roles(table: list[list[str]]) -> Callable[[str], str]:
    """Return the function from a command line to its role."""

    def role_of(command: str) -> str:
        return next((role for text, role in table if text in command), "other")

    return role_of


def _count_start(folder: str, role: str) -> int:
    """Return the how-manieth process of ``role`` this is, counted in a file under a lock."""
    handle = _open(os.path.join(folder, "starts"), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        _write(handle, f"{role}\n".encode())
        os.lseek(handle, 0, os.SEEK_SET)
        with os.fdopen(os.dup(handle), "r") as started:
            return started.read().split("\n").count(role)
    finally:
        os.close(handle)
