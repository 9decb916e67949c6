"""Where the control socket is, and who may speak through it: root, and the account that the agent itself runs as."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "control.sock"
_CREDENTIALS = struct.Struct("3i")
"""struct ucred: process, user, group."""


@contextlib.contextmanager
def short_path(folder: Path) -> Iterator[str]:
    """Give a short name of the socket in ``folder`` while the block runs: a socket's address has 107 bytes at most."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{handle}/{NAME}"
    finally:
        os.close(handle)


def listening(folder: Path) -> socket.socket:
    """Return a socket that listens in the state folder; what an earlier agent left there is replaced.

    Raises:
        OSError: the disk refused.
    """
    (folder / NAME).unlink(missing_ok=True)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(folder) as path:
            door.bind(path)
        (folder / NAME).chmod(0o600)
        door.listen(8)
        door.setblocking(False)  # noqa: FBT003 (the standard library's)
    except BaseException:
        door.close()
        raise
    return door


def connect(folder: Path, seconds: float) -> socket.socket:
    """Return a connection to the agent of ``folder``.

    Raises:
        OSError: nobody listens there.
    """
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.settimeout(seconds)
    try:
        with short_path(folder) as path:
            line.connect(path)
    except BaseException:
        line.close()
        raise
    return line


def caller(line: socket.socket) -> int:
    """Return the user id at the other end, as the kernel says."""
    data = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(data)[1])


def may_speak(uid: int) -> bool:
    """Tell whether that user may steer this agent."""
    return uid in {0, os.geteuid()}


def account(uid: int) -> str:
    """Return the name of an account, or its number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
