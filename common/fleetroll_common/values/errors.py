"""The tree of errors, by the party at fault.

Every error carries a stable code (:class:`~fleetroll_common.values.codes.Code`), a message that names the field and the
value, the remedy, and details that machines can read. Programs show ``str(error)``; they never show a traceback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetroll_common.values.codes import Code


class FleetrollError(Exception):
    """The base of all errors that a user may meet.

    Attributes:
        code: what happened, stable over versions.
        message: one sentence that names the field and the offending value.
        remedy: what the reader can do about it; empty where nothing can be done.
        details: facts by name, for machines (for example ``{"attempt": "agent-x/agent/7"}``).
    """

    def __init__(self, message: str, *, code: Code, remedy: str = "", **details: str) -> None:
        """Keep the parts; ``str()`` joins them into one line."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy
        self.details = details

    def __str__(self) -> str:
        """Return ``message (CODE); remedy``."""
        tail = f"; {self.remedy}" if self.remedy else ""
        return f"{self.message} ({self.code}){tail}"


class RequestError(FleetrollError):
    """The caller asked for something that can't be done: bad input, missing right, wrong state, stale decision."""


class TrustError(FleetrollError):
    """Bytes or metadata that must not be trusted. Nothing is installed; what runs goes on running."""


class AgentError(FleetrollError):
    """The host can't do what was asked: no space, no interpreter, a lock that is held."""


class StoreError(FleetrollError):
    """The server's own storage failed; nothing of the request took effect."""
