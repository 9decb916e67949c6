"""What a look at a host finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(str, Enum):
    """How much it matters."""

    ERROR = "error"
    """Something does not work, or will not at the next update."""
    WARNING = "warning"
    """Everything works; somebody should know."""


class Sign(str, Enum):
    """What was found. Stable: a sign is never renamed or used for something else.

    Each has a row in docs/operating/troubleshooting.md, which a test compares with this list.
    """

    # The look itself
    NOT_ROOT = "NOT_ROOT"
    STATE_MISSING = "STATE_MISSING"
    CHECK_FAILED = "CHECK_FAILED"
    # The agent
    AGENT_NOT_RUNNING = "AGENT_NOT_RUNNING"
    AGENT_SILENT = "AGENT_SILENT"
    AGENT_REFUSES = "AGENT_REFUSES"
    LAUNCHER_TROUBLE = "LAUNCHER_TROUBLE"
    LAUNCHER_DAMAGED = "LAUNCHER_DAMAGED"
    NO_INTERPRETER = "NO_INTERPRETER"
    INTERPRETER_AT_RISK = "INTERPRETER_AT_RISK"
    NO_RELEASE = "NO_RELEASE"
    SERVICE_MISSING = "SERVICE_MISSING"
    SERVICE_CHANGED = "SERVICE_CHANGED"
    JOB_LOCK_LEFT = "JOB_LOCK_LEFT"
    COMMAND_LEFT = "COMMAND_LEFT"
    # Its settings
    SETTINGS_WRONG = "SETTINGS_WRONG"
    SETTINGS_DOUBTFUL = "SETTINGS_DOUBTFUL"
    # Its identity
    NOT_ENROLLED = "NOT_ENROLLED"
    IDENTITY_DAMAGED = "IDENTITY_DAMAGED"
    IDENTITY_OPEN = "IDENTITY_OPEN"
    KEY_OLD = "KEY_OLD"
    CA_EXPIRING = "CA_EXPIRING"
    # Its server, and mirrors
    SERVER_NAME_UNKNOWN = "SERVER_NAME_UNKNOWN"
    SERVER_CLOSED = "SERVER_CLOSED"
    SERVER_SILENT = "SERVER_SILENT"
    SERVER_CERTIFICATE = "SERVER_CERTIFICATE"
    SERVER_REFUSES = "SERVER_REFUSES"
    SERVER_LOST = "SERVER_LOST"
    QUARANTINED = "QUARANTINED"
    CLOCK_SKEW = "CLOCK_SKEW"
    MIRROR_UNREACHABLE = "MIRROR_UNREACHABLE"
    # Its files
    STATE_UNWRITABLE = "STATE_UNWRITABLE"
    DISK_FULL = "DISK_FULL"
    INODES_FULL = "INODES_FULL"
    BOOT_RECORD_DAMAGED = "BOOT_RECORD_DAMAGED"
    RECORD_DAMAGED = "RECORD_DAMAGED"
    TRUST_DAMAGED = "TRUST_DAMAGED"
    JOURNAL_DAMAGED = "JOURNAL_DAMAGED"
    SET_ASIDE = "SET_ASIDE"
    # Its products
    REPLACE_DENIED = "REPLACE_DENIED"
    PLACE_TAKEN = "PLACE_TAKEN"
    PLACE_OPEN = "PLACE_OPEN"
    SLOT_MISSING = "SLOT_MISSING"
    SLOT_CHANGED = "SLOT_CHANGED"
    SLOT_KEPT = "SLOT_KEPT"
    FILE_CHANGED = "FILE_CHANGED"
    LINK_ASTRAY = "LINK_ASTRAY"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"
    RESTART_FAILED = "RESTART_FAILED"
    ROLLED_BACK = "ROLLED_BACK"
    UPDATE_FAILED = "UPDATE_FAILED"
    HOLD_OLD = "HOLD_OLD"
    REVOKED_RUNNING = "REVOKED_RUNNING"
    BELOW_FLOOR = "BELOW_FLOOR"


WARNINGS = frozenset(
    {
        Sign.BELOW_FLOOR,
        Sign.CA_EXPIRING,
        Sign.HOLD_OLD,
        Sign.INTERPRETER_AT_RISK,
        Sign.KEY_OLD,
        Sign.PLACE_OPEN,
        Sign.ROLLED_BACK,
        Sign.SERVICE_CHANGED,
        Sign.SERVICE_MISSING,
        Sign.SETTINGS_DOUBTFUL,
        Sign.SET_ASIDE,
        Sign.SLOT_KEPT,
        Sign.UPDATE_FAILED,
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        sign: which.
        subject: of what: a product, a path, an address, a part of the agent.
        message: what is wrong, in words; names the value.
        remedy: what a person can do about it.
    """

    sign: Sign
    subject: str
    message: str
    remedy: str

    @property
    def severity(self) -> Severity:
        """Tell how much it matters."""
        return Severity.WARNING if self.sign in WARNINGS else Severity.ERROR
