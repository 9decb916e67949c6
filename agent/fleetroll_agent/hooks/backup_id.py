"""The backup id: what the step ``backup`` answers, and the only thing that ``restore`` has to find the backup by.

It is never cut and never guessed: an id that is not quite right is found out when the backup is needed. So anything
doubtful fails the step ``backup``, while nothing has been changed yet.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from fleetroll_agent.hooks.users import find_user
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll_agent.hooks.run import HookResult

MAX_CHARS = 200
_MAX_BYTES = MAX_CHARS * 4 + 2
_NAME = "backup-id"


@contextlib.contextmanager
def backup_id_file(user: str = "") -> Iterator[Path]:
    """Give the file that the command may write its id to, empty, and remove it afterwards.

    It stands in a folder of its own outside the state folder, which another user could not enter.

    Args:
        user: who the command runs as; empty = as the agent.

    Raises:
        AgentError: there is no such user (STEP_FAILED).
        OSError: the host has no room for an empty file.
    """
    who = find_user(user) if user else None
    folder = Path(tempfile.mkdtemp(prefix="fleetroll-"))
    try:
        path = folder / _NAME
        path.touch(0o600)
        if who is not None:
            os.chown(path, who.uid, who.gid)
            os.chown(folder, who.uid, who.gid)
        yield path
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_backup_id(result: HookResult, path: Path | None = None) -> str:
    """Return the id: the content of the file when the command wrote one, else the last line of its output.

    Args:
        result: of the command, which ended well.
        path: the file that it was offered.

    Raises:
        AgentError: there is none, or one that can't be kept exactly (STEP_FAILED; the command is at fault).
    """
    written = "" if path is None else _read(path)
    if written:
        return _checked(written, "the file")
    if result.last_line and not result.last_line_exact:
        _refuse("the last line of its output was redacted, cut or not plain text")
    return _checked(result.last_line.strip(), "the last line of its output")


def _read(path: Path) -> str:
    """Return what stands in the file, which belongs to whoever the command ran as: no link is followed."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    except OSError as error:
        _refuse(f"the file can't be read: {error.strerror}", error)
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
            _refuse("the file is not a plain file any more")
        data = os.read(handle, _MAX_BYTES)
    finally:
        os.close(handle)
    return _decoded(data)


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        if len(data) < _MAX_BYTES:
            _refuse("the file is not UTF-8 text", error)
        _refuse(f"the file holds more than {MAX_CHARS} characters", error)


def _checked(text: str, where: str) -> str:
    if not text:
        _refuse("it gave none: its output is empty")
    if len(text) > MAX_CHARS:
        _refuse(f"{where} has more than {MAX_CHARS} characters")
    if not text.isprintable():
        _refuse(f"{where} holds more than one line of printable characters")
    return text


def _refuse(reason: str, cause: BaseException | None = None) -> NoReturn:
    remedy = "let the command print the id as its last line, or write it alone to the file of FLEETROLL_BACKUP_ID_FILE"
    raise AgentError(f"backup id: {reason}", code=Code.STEP_FAILED, remedy=remedy, reason=reason) from cause
