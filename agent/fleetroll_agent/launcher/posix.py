"""The child on POSIX systems: its own session, a death signal, and an end that is seen, not assumed."""

import ctypes
import os
import signal
import subprocess
import sys
from typing import Dict, List, Optional

from fleetroll_agent.launcher.ports import Family

_PR_SET_CHILD_SUBREAPER = 36
_QUEUE_BYTES = 1024 * 1024
"""A child that does not read for this much is cut off; its beats, or the end of its pipe, do the rest."""
_CHUNK_BYTES = 64 * 1024
_SHIM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "child.py")


def adopt_orphans() -> bool:
    """Become the parent of what a dead child leaves behind, so that it can be found; return whether that worked."""
    try:
        return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


class PosixFamily(Family):
    """At most one child at a time.

    Attributes:
        messages: descriptor of the child's messages, non-blocking; -1 = no child.
        output: descriptor of the child's output, non-blocking; -1 = no child.
        outgoing: descriptor to write to when ``waiting`` bytes are left; -1 = no child.
    """

    def __init__(self) -> None:
        """Start without a child."""
        self.messages = -1
        self.output = -1
        self.outgoing = -1
        self._queue = b""
        self._child: "Optional[subprocess.Popen[bytes]]" = None

    @property
    def pid(self) -> int:
        """Return the child's process id, 0 without one."""
        return 0 if self._child is None else self._child.pid

    @property
    def waiting(self) -> int:
        """Return how many bytes the child has still to read."""
        return len(self._queue)

    def start(self, command: List[str], lock_handle: int) -> None:
        """Start the child through the shim that asks for the death signal."""
        to_child, outgoing = os.pipe()
        messages, from_child = os.pipe()
        ends = "{},{}".format(to_child, from_child)
        program = [command[0], "-I", "-S", "-B", _SHIM, str(os.getpid()), *command, "--launcher-pipe", ends]
        try:
            self._child = subprocess.Popen(
                program,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(to_child, from_child, lock_handle),
                start_new_session=True,
            )
        except BaseException:
            os.close(outgoing)
            os.close(messages)
            raise
        finally:
            os.close(to_child)
            os.close(from_child)
        self.messages, self.outgoing, self._queue = messages, outgoing, b""
        self.output = -1 if self._child.stdout is None else self._child.stdout.fileno()
        for handle in (self.messages, self.outgoing, self.output):
            os.set_blocking(handle, False)

    def send(self, data: bytes) -> None:
        """Queue ``data`` and write what fits."""
        if self.outgoing < 0:
            return
        self._queue += data
        self.flush()
        if len(self._queue) > _QUEUE_BYTES:
            self._cut_off()

    def flush(self) -> None:
        """Write what the pipe takes."""
        while self._queue and self.outgoing >= 0:
            try:
                count = os.write(self.outgoing, self._queue)
            except BlockingIOError:
                return
            except OSError:
                self._queue = b""
                return
            self._queue = self._queue[count:]

    def read_messages(self) -> bytes:
        """Return what the child wrote to the pipe since; its end is remembered, so that it is not waited for again."""
        data = _read(self.messages)
        if data is None:
            os.close(self.messages)
            self.messages = -1
        return data or b""

    def read_output(self) -> bytes:
        """Return what the child printed since."""
        data = _read(self.output)
        if data is None:
            self.output = -1
        return data or b""

    def terminate(self) -> None:
        """Ask the child, and only it, to end: it stops its own children in its own order."""
        if self._child is not None and self._child.returncode is None:
            self._child.terminate()

    def kill(self) -> None:
        """End the session, and what left it."""
        if self._child is None:
            return
        below = _descendants(os.getpid())
        if self._child.returncode is None:
            _kill(-self._child.pid)
        for pid in below:
            _kill(pid)

    def tidy(self) -> None:
        """Collect dead adopted processes while the child lives, so that they don't stay as zombies."""
        while self._child is not None and self._child.returncode is None:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if dead is None or dead.si_pid == self._child.pid:
                return
            os.waitpid(dead.si_pid, 0)

    def ended(self) -> bool:
        """Return whether the child has ended; it is not collected yet, so that its id still names its group."""
        child = self._child
        if child is None:
            return False
        if child.returncode is not None:
            return True
        return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def gone(self, *, give_up: bool) -> Optional[int]:
        """End what the child left behind; return how it ended once that is gone."""
        child = self._child
        if child is None or not self.ended():
            return None
        self.kill()
        child.wait()
        if _reap_orphans() and not give_up:
            return None
        self._close()
        return child.returncode

    def _cut_off(self) -> None:
        os.close(self.outgoing)
        self.outgoing, self._queue = -1, b""

    def _close(self) -> None:
        for handle in (self.messages, self.outgoing):
            if handle >= 0:
                os.close(handle)
        if self._child is not None and self._child.stdout is not None:
            self._child.stdout.close()
        self.messages = self.output = self.outgoing = -1
        self._child = None


def how_it_ended(code: int) -> str:
    """Return the end of a process as people say it."""
    if code >= 0:
        return "exit code {}".format(code)
    try:
        return "signal {}".format(signal.Signals(-code).name)
    except ValueError:
        return "signal {}".format(-code)


def _reap_orphans() -> bool:
    """Collect dead adopted children; return whether a living one is left. The child itself MUST be collected."""
    while True:
        try:
            pid, _status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True


def _read(handle: int) -> Optional[bytes]:
    """Return what is there to read, nothing when there is nothing or no child, None at the end."""
    if handle < 0:
        return b""
    try:
        return os.read(handle, _CHUNK_BYTES) or None
    except BlockingIOError:
        return b""
    except OSError:
        return None


def _kill(pid: int) -> None:
    """Send SIGKILL to a process, or to the group -``pid``; one that is gone is what was wanted."""
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _descendants(root: int) -> List[int]:
    """Return every process below ``root``; none where the system has no /proc."""
    children: Dict[int, List[int]] = {}
    for pid, parent in _parents().items():
        children.setdefault(parent, []).append(pid)
    found: List[int] = []
    todo = [root]
    while todo:
        below = children.get(todo.pop(), [])
        found.extend(below)
        todo.extend(below)
    return found


def _parents() -> Dict[int, int]:
    parents: Dict[int, int] = {}
    if not sys.platform.startswith("linux"):
        return parents
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/{}/stat".format(name), "rb") as stream:
                # The command's name stands in brackets and may hold anything, brackets and spaces too.
                parents[int(name)] = int(stream.read().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
    return parents
