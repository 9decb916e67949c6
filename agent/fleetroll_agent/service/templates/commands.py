"""The commands of an init system, as values."""

from __future__ import annotations

from dataclasses import dataclass

Command = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Commands:
    """What is asked of an init system, in the order of each tuple. None of them may wait for the agent.

    Attributes:
        installed: after the files were written: take note of them, and start with the host.
        start: start the service; nothing when it runs.
        remove: before the files are removed: stop the service, and start it no more with the host.
        removed: after they were removed.
    """

    installed: tuple[Command, ...] = ()
    start: tuple[Command, ...] = ()
    remove: tuple[Command, ...] = ()
    removed: tuple[Command, ...] = ()
