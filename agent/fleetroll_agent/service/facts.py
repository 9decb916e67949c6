"""What a service is made of: values that every template takes, and what a template gives."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from fleetroll_agent.launcher import own, starter
from fleetroll_agent.launcher.limits import MAX_STOP_SECONDS, Limits
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

DEFAULT_NAME = "fleetroll-agent"
STOP_SECONDS = 60
"""To an orderly end: the launcher's own grace is 10 s, and its agent says goodbye to the server first."""
LATEST_STOP_SECONDS = int(MAX_STOP_SECONDS + 3 * Limits().grace)
"""To the end of a stop that waits for a command, where the service manager can't be asked for more time: 930 s."""
START_SECONDS = 180
"""To the first beat: 10 s for the lock, waits after two crashes, two starts of a trial with 30 s and a grace each."""
WATCHDOG_SECONDS = 180
"""Longer than every silence that the launcher bounds itself: hang 30 s, grace 10 s twice, and a start of 30 s."""
RESTART_SECONDS = 2

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_PATH_CHARS = 1024


class Init(str, Enum):
    """A system that starts services; NONE = another one, or a person, starts the launcher in its place."""

    SYSTEMD = "systemd"
    OPENRC = "openrc"
    SYSV = "sysv"
    LAUNCHD = "launchd"
    WINDOWS = "windows"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class File:
    """A file of a service."""

    content: str
    mode: int


@dataclass(frozen=True, slots=True)
class Facts:
    """One service. Make it with :meth:`checked`: the templates rely on what that refuses.

    Attributes:
        name: of the service: letters, digits, ``-`` and ``_``, at most 64.
        state: absolute path of the agent's state folder.
        python: absolute path of the Python, 3.6 or newer, that runs the launcher.
    """

    name: str
    state: str
    python: str

    @classmethod
    def checked(cls, name: str, state: str, python: str) -> Facts:
        """Return the facts.

        Raises:
            RequestError: INVALID_ARGUMENT, naming the field and the value (the caller's fault).
        """
        if _NAME.fullmatch(name) is None:
            raise _refused("name", name, "use letters, digits, - and _, at most 64")
        for field, path in (("state", state), ("python", python)):
            absolute = path.startswith("/") or re.match(r"[A-Za-z]:[\\/]", path)
            if not absolute or not path.isprintable() or len(path) > _PATH_CHARS:
                remedy = f"name an absolute path without control characters, at most {_PATH_CHARS} characters long"
                raise _refused(field, path, remedy)
        return cls(name, state, python)

    @property
    def starter(self) -> str:
        """Return the path of the launcher's starter."""
        between = "\\" if "\\" in self.state else "/"
        return between.join((self.state.rstrip("/\\"), own.PLACE_NAME, starter.FILE_NAME))

    @property
    def command(self) -> tuple[str, ...]:
        """Return what the service starts."""
        return (self.python, "-I", "-S", "-B", self.starter, "run", "--state", self.state)

    @property
    def mark(self) -> str:
        """Return the words by which a file of this service is known; another state folder's are others."""
        return f"Made by fleetroll-agent service install for {self.state}"


def _refused(field: str, value: str, remedy: str) -> RequestError:
    text = f"{field}: {value[:200]!r} can't be part of a service"
    return RequestError(text, code=Code.INVALID_ARGUMENT, remedy=remedy, field=field, value=value[:200])
