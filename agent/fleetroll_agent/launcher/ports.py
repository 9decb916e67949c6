"""What the launcher needs of an operating system. ``posix`` has it for Linux and its relatives."""

from abc import ABC, abstractmethod
from typing import List, Optional


class Family(ABC):
    """The one child of the launcher, with everything that it started."""

    @abstractmethod
    def start(self, command: List[str], lock_handle: int) -> None:
        """Start ``command`` with the pipe's option appended; there MUST be no child.

        The child dies with the launcher, leads a session of its own, and inherits ``lock_handle``.

        Raises:
            OSError: the host could not make the process.
        """

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Write to the child when it reads; never blocks, never raises for a child that is gone."""

    @abstractmethod
    def terminate(self) -> None:
        """Ask the child to end (SIGTERM)."""

    @abstractmethod
    def kill(self) -> None:
        """End the child and all that it started (SIGKILL)."""

    @abstractmethod
    def ended(self) -> bool:
        """Return whether the child itself has ended; some of what it started may live."""

    @abstractmethod
    def gone(self, *, give_up: bool) -> Optional[int]:
        """Return the child's exit code, or its signal below zero, once nothing of its tree lives; None until then.

        Ends what it left behind.

        Args:
            give_up: don't wait for what can't be killed: a process stuck in the kernel must not keep the agent down.
        """
