"""The first lines of every command: wait for the word, then become the program. Run as a file, not imported.

Whoever starts it writes down its process id before giving the word; when that one dies first, the input ends without it
and the program never ran. Usage: ``python held.py USER FOLDER PROGRAM ARGUMENT…`` with USER ``-`` or
``uid:gid:group,group``. The word is 8 hex digits, the length in bytes of what follows: the whole environment of the
program as ``NAME=value``, each closed by a NUL. It comes this way because what stands in between adds variables.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import warnings  # noqa: F401 (os.execvpe imports it, when the new user may not read it any more)

HEADER_BYTES = 8
CANNOT = 126
NOT_FOUND = 127
"""What shells say too."""


def read_exactly(handle: int, size: int) -> bytes | None:
    """Return ``size`` bytes; None when the input ends before."""
    data = b""
    while len(data) < size:
        piece = os.read(handle, size - len(data))
        if not piece:
            return None
        data += piece
    return data


def read_word(handle: int) -> dict[bytes, bytes] | None:
    """Return the environment; None when the word is not given, or only half of it."""
    header = read_exactly(handle, HEADER_BYTES)
    body = None if header is None else read_exactly(handle, int(header, 16))
    if body is None:
        return None
    pairs = (entry.partition(b"=") for entry in body.split(b"\0") if entry)
    return {name: value for name, _, value in pairs}


def become(user: str) -> None:
    """Give up root for good; groups first, while that is still allowed."""
    if user == "-":
        return
    uid, gid, groups = user.split(":")
    os.setgroups([int(group) for group in groups.split(",")])
    os.setresgid(int(gid), int(gid), int(gid))
    os.setresuid(int(uid), int(uid), int(uid))


def lift_limit() -> None:
    """Take away what bounds the agent's own memory: a migration may need more, and a service outlives its command.

    A hard limit of the host stays. Where nobody may change limits there is none of ours.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if soft != hard and hard == resource.RLIM_INFINITY:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def prepare(user: str, folder: str) -> None:
    """Make this process what the program expects to find: its user, its folder, no input, signals as usual."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    lift_limit()
    become(user)
    os.chdir(folder)
    for number in signal.valid_signals():
        # Python ignores some, and whoever started the agent may: what is ignored stays so in the program.
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def main(argv: list[str]) -> int:
    """Wait for the word and become the program that ``argv`` names."""
    environment = read_word(0)
    if environment is None:
        return 1
    doing = f"can't run in {argv[2]}"
    try:
        prepare(argv[1], argv[2])
        doing = f"can't start {argv[3]}"
        os.execvpe(argv[3], argv[3:], environment)  # noqa: S606 (no shell is the point)
    except OSError as error:
        sys.stderr.write(f"{doing}: {error.strerror}\n")
        return NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT


if __name__ == "__main__":
    sys.exit(main(sys.argv))
