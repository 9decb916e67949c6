"""How far the update of a managed product went, and what is installed: the part of its record that the agent has not.

The agent itself needs none of it: the launcher's record says what runs there. Values only, immutable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetroll_common.values.codes import Code


@dataclass(frozen=True, slots=True)
class Installed:
    """A version of a product that was kept.

    Attributes:
        version: semantic version.
        sha256: of the artefact, hex; of the release manifest for a product of commands.
        backup_id: of the backup that was made before this version came; empty = none.
        migrated: this version's migration was begun: the one before needs that backup.
    """

    version: str
    sha256: str
    backup_id: str = ""
    migrated: bool = False


@dataclass(frozen=True, slots=True)
class Ban:
    """A digest that must not run.

    Attributes:
        sha256: of the artefact, hex.
        reason: in the publisher's words.
    """

    sha256: str
    reason: str


@dataclass(frozen=True, slots=True)
class About:
    """What the signed metadata says of the release, and what was found on the host, when the target was found.

    Attributes:
        channels: that the release is in.
        git_sha: its commit.
        migrations_required: its migrate step must run.
        breaking_changes: in words; empty = none.
        supported_from: the lowest version that may be updated to it; empty = any.
        fresh: nothing of the product is on this host yet: there is nothing to go back to.
        hop: a stop that the publisher requires on the way up: it counts as no update of its own.
    """

    channels: tuple[str, ...] = ()
    git_sha: str = ""
    migrations_required: bool = False
    breaking_changes: str = ""
    supported_from: str = ""
    fresh: bool = False
    hop: bool = False


@dataclass(frozen=True, slots=True)
class Child:
    """A process that was started for a step: enough to end that one later, and no other.

    Attributes:
        pid: also the number of its process group and session.
        start_ticks: when it started, in the kernel's ticks since boot: a later process of that number has another; 0 =
            the host does not tell.
        boot_id: of the boot in which both mean something; empty = the host does not tell.
    """

    pid: int
    start_ticks: int
    boot_id: str


@dataclass(frozen=True, slots=True)
class Work:
    """What was begun since Go, and the asking of the host's own lock, written down before it was begun.

    Attributes:
        from_version: what was installed before; empty = nothing that is known.
        from_sha256: of that.
        pulled: the step ``pull`` was begun.
        migrated: the step ``migrate`` was begun.
        switched: the step ``switch`` was begun.
        backup_id: as the backup's command named it.
        tries: how often the step at hand was begun.
        cuts: how often an orderly stop cut the step at hand; those tries do not count, within a bound.
        going_back: the way back was begun.
        code: why it goes back, or failed.
        message: in words.
        output_tail: last output of what failed.
        unproven: nobody proved that the release is to blame.
        back_failed: what failed on the way back, in words; empty = nothing so far.
        child: the process of the step at hand, or of the host's own lock; None = none was started.
        left_version: what a person takes back by hand; empty elsewhere.
        paused: the step at hand came to its end, and the process left before the next one.
    """

    from_version: str = ""
    from_sha256: str = ""
    pulled: bool = False
    migrated: bool = False
    switched: bool = False
    backup_id: str = ""
    tries: int = 0
    cuts: int = 0
    going_back: bool = False
    code: Code | None = None
    message: str = ""
    output_tail: str = ""
    unproven: bool = False
    back_failed: str = ""
    child: Child | None = None
    left_version: str = ""
    paused: bool = False

    @property
    def changed(self) -> bool:
        """Tell whether something on the host may be other than it was before Go."""
        return self.pulled or self.migrated or self.switched
