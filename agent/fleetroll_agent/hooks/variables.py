"""The environment of every command of a product: these names and nothing else (docs/hooks.md lists them)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "FLEETROLL_"
FROM_AGENT = ("PATH", "HOME", "LANG", "TZ")
"""Taken from the agent's own environment where they are set: programs are found, and texts and times read as usual."""
BACKUP_ID_FILE = f"{PREFIX}BACKUP_ID_FILE"
"""Set for the step ``backup`` alone."""


@dataclass(frozen=True, slots=True)
class HookFacts:
    """What a command is told. Texts are empty where there is nothing to tell.

    Attributes:
        product: its name.
        version: that is to run.
        from_version: that runs, or ran before.
        sha: of the source that the version was made from, 7 to 64 hex digits.
        channel: that the version came by.
        migrations_required: the release says that the step ``migrate`` is needed.
        breaking_changes: the release's text for people, at most 4096 characters; None = none.
        attempt: its id.
        slot: absolute path of the version's folder, for kinds that have one.
        backup_id: what the step ``backup`` answered; empty before it, and where there is none.
        step: the name of the step that runs.
    """

    product: str
    version: str
    from_version: str
    sha: str
    channel: str
    migrations_required: bool
    breaking_changes: str | None
    attempt: str
    slot: str
    backup_id: str
    step: str


def environment(facts: HookFacts, agent: Mapping[str, str], backup_id_file: str = "") -> dict[str, str]:
    """Return the whole environment of a command.

    Args:
        facts: of the attempt and the step.
        agent: the agent's own environment.
        backup_id_file: the file that the step ``backup`` may write; empty for all others.
    """
    told = {
        "PRODUCT": facts.product,
        "VERSION": facts.version,
        "FROM_VERSION": facts.from_version,
        "SHA": facts.sha,
        "CHANNEL": facts.channel,
        "MIGRATIONS_REQUIRED": "true" if facts.migrations_required else "false",
        "BREAKING_CHANGES": facts.breaking_changes or "",
        "ATTEMPT": facts.attempt,
        "SLOT": facts.slot,
        "BACKUP_ID": facts.backup_id,
        "STEP": facts.step,
    }
    result = {name: agent[name] for name in FROM_AGENT if name in agent}
    result.update({f"{PREFIX}{name}": _fit(value) for name, value in told.items()})
    if backup_id_file:
        result[BACKUP_ID_FILE] = backup_id_file
    return result


def _fit(value: str) -> str:
    """Return ``value`` without what no variable can hold: a NUL ends it, half a letter has no bytes."""
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
