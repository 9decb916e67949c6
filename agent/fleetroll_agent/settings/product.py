"""What ``agent.toml`` says of one product, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re

    from fleetroll_common.values.pins import Pin
    from fleetroll_common.values.windows import Window

Argv = tuple[str, ...]
"""A command: program by its absolute path, then its arguments. No shell comes near it."""


class Kind(str, Enum):
    """What a product is, and so how it is switched and taken back."""

    AGENT = "agent"
    SLOTS = "slots"
    FILE = "file"
    COMMAND = "command"


class AutoUpdate(str, Enum):
    """What the host takes. A person is an admin, or somebody on the host."""

    ASKED = "false"
    """What a person starts; the rest is NOT_OPTED_IN."""
    ALWAYS = "true"
    NEVER = "never"
    """Nothing: OPTED_OUT."""


class Hook(str, Enum):
    """The local commands of a product, in the order of an update, then those of the way back, then the questions."""

    BACKUP = "backup"
    PULL = "pull"
    MIGRATE = "migrate"
    SMOKE = "smoke"
    SWITCH = "switch"
    RESTART = "restart"
    RELOAD = "reload"
    ROLLBACK = "rollback"
    RESTORE = "restore"
    VERSION = "version"


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """Healthy: the answer has this status, holds ``body`` where that is given, and tells its version in a JSON field.

    Attributes:
        url: http or https.
        status: expected.
        body: text that the answer has to hold; None = any.
        version: names of JSON fields, outermost first, that lead to the version; empty = the answer tells none.
    """

    url: str
    status: int = 200
    body: str | None = None
    version: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TcpCheck:
    """Healthy: something accepts a connection. ``host`` is a name or an address, without brackets."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class CommandCheck:
    """Healthy: the command ends with 0."""

    command: Argv


@dataclass(frozen=True, slots=True)
class UnitCheck:
    """Healthy: the service manager calls the unit active."""

    unit: str


Check = HttpCheck | TcpCheck | CommandCheck | UnitCheck


@dataclass(frozen=True, slots=True)
class Health:
    """How the host asks whether a product works.

    Attributes:
        check: what is asked.
        interval_seconds: between two probes.
        start_seconds: how long it may take until the first healthy answer.
        timeout_seconds: of one probe.
    """

    check: Check
    interval_seconds: float = 2.0
    start_seconds: float = 60.0
    timeout_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Hooks:
    """The local commands; None = there is none. When each runs: :class:`Hook`."""

    backup: Argv | None = None
    pull: Argv | None = None
    migrate: Argv | None = None
    smoke: Argv | None = None
    switch: Argv | None = None
    restart: Argv | None = None
    reload: Argv | None = None
    rollback: Argv | None = None
    restore: Argv | None = None
    version: Argv | None = None

    def get(self, hook: Hook) -> Argv | None:
        """Return the command of ``hook``."""
        argv: Argv | None = getattr(self, hook.value)
        return argv


@dataclass(frozen=True, slots=True)
class Product:
    """The table ``[products.NAME]``.

    Attributes:
        name: the product's.
        kind: what it is.
        auto_update: which updates the host takes.
        allowed_channels: of releases that it takes; None = any.
        pin: part of the version that may not change; None = none.
        min_update_interval_seconds: between two updates.
        retry_bad: a digest that failed here may be taken again when a person asks.
        override_local: the server may end a hold that was set here.
        windows: in which work may begin; empty = always.
        redact: what is made unreadable in a command's output.
        lock_command: ends with 0 when an update may begin; None = it may.
        lock_deferrals: how often a lock may put the update off.
        time_limit_seconds: of each command that has no limit of its own.
        time_limits: the limits of their own, seconds by command.
        expected_seconds: how long the work takes, for windows.
        idempotent: commands that may run twice after a crash.
        health: what is asked; None = nothing is, see :attr:`smoke_is_health`.
        hooks: local commands.
        unit: the service that runs the product; None = none is known.
        path: the file, absolute; given with kind ``file`` alone.
        link: a symlink to the current slot, absolute; with kind ``slots`` alone.
        backup_mib: what the backup takes, as whoever wrote its command reckons; 0 = unknown, and nothing is asked.
        backup_folder: where it is written, absolute; None = beside the product.
        user: whom the commands run as; None = the agent's own user.
        revert_on_lost_contact: the product goes back when the server is out of reach after the switch.
    """

    name: str
    kind: Kind
    auto_update: AutoUpdate = AutoUpdate.ASKED
    allowed_channels: tuple[str, ...] | None = None
    pin: Pin | None = None
    min_update_interval_seconds: int = 600
    retry_bad: bool = True
    override_local: bool = True
    windows: tuple[Window, ...] = ()
    redact: tuple[re.Pattern[str], ...] = ()
    lock_command: Argv | None = None
    lock_deferrals: int = 1440
    time_limit_seconds: int = 600
    time_limits: tuple[tuple[Hook, int], ...] = ()
    expected_seconds: int = 120
    idempotent: frozenset[Hook] = frozenset()
    health: Health | None = None
    hooks: Hooks = Hooks()
    unit: str | None = None
    path: str | None = None
    link: str | None = None
    backup_mib: int = 0
    backup_folder: str | None = None
    user: str | None = None
    revert_on_lost_contact: bool = False

    @property
    def smoke_is_health(self) -> bool:
        """Tell whether the smoke command, repeated for the soak, stands in for a health check."""
        return self.kind is Kind.COMMAND and self.health is None

    @property
    def restart_command(self) -> Argv | None:
        """Return what brings the new version into use: the command for it, or the restart of the unit, or nothing."""
        own = self.hooks.restart or self.hooks.reload
        return own or (("systemctl", "restart", self.unit) if self.unit else None)

    def limit_seconds(self, hook: Hook) -> int:
        """Return the time limit of a command."""
        return dict(self.time_limits).get(hook, self.time_limit_seconds)
