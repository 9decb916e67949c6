"""What can go wrong in the launcher, as sentences for the person at the host."""


class LauncherError(Exception):
    """The launcher can't do what was asked: the host's state, not its caller, is at fault.

    Attributes:
        code: a stable code of the project's table of reasons, as text (the launcher imports nothing of ``common``).
        remedy: what the reader can do about it.
    """

    def __init__(self, message: str, code: str, remedy: str = "") -> None:
        """Keep the parts; ``str()`` joins message and remedy."""
        super().__init__(message)
        self.message = message
        self.code = code
        self.remedy = remedy

    def __str__(self) -> str:
        """Return ``message (CODE); remedy``."""
        tail = "; {}".format(self.remedy) if self.remedy else ""
        return "{} ({}){}".format(self.message, self.code, tail)


class NothingToRunError(LauncherError):
    """No record and no complete, good slot: there is no version that may be started."""


class RecordDamagedError(LauncherError):
    """The bytes of a boot record are torn, altered, or not of this format."""


class PipeError(LauncherError):
    """The other end of the pipe wrote something that is not a message."""


class SpawnError(LauncherError):
    """A slot could not be started. ``code`` says why: NO_INTERPRETER, ENTRY_MISSING or START_FAILED."""
