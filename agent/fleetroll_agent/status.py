"""What this host's files say about its agent: a plain reading, changing nothing, with or without a running agent."""

from __future__ import annotations

from dataclasses import asdict
from enum import Enum
from typing import TYPE_CHECKING, Any

from fleetroll_agent.identity.store import IdentityStore
from fleetroll_agent.jobs.keeper import ProductFile
from fleetroll_agent.launcher import files
from fleetroll_agent.launcher.errors import RecordDamagedError
from fleetroll_agent.launcher.record import decode
from fleetroll_common.values.ids import SystemIds

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_agent.launcher.values import Record


def read_status(folder: Path) -> dict[str, Any]:
    """Return the status of the state folder ``folder`` as plain JSON values.

    Raises:
        FleetrollError: the host is not enrolled, or a file is damaged.
    """
    enrolment = IdentityStore(folder / "identity", SystemIds()).load().enrolment
    record = ProductFile(folder).read()
    boot = _boot(folder)
    last = record.outcomes[-1] if record.outcomes else None
    return {
        "agent_id": enrolment.agent_id,
        "fleet_id": enrolment.fleet_id,
        "servers": list(enrolment.addresses),
        "version": None if boot is None else boot.current.version,
        "previous_version": None if boot is None or boot.previous is None else boot.previous.version,
        "trial_version": None if boot is None or boot.trial is None else boot.trial.slot.version,
        "highest_generation": record.highest,
        "attempt": None if record.attempt is None else _plain(asdict(record.attempt)),
        "waiting": None if record.waiting is None else _plain(asdict(record.waiting)),
        "last_outcome": None if last is None else _plain(asdict(last)),
    }


def sentences(status: dict[str, Any]) -> list[str]:
    """Return the status as lines for people."""
    lines = [f"agent     {status['agent_id']} in fleet {status['fleet_id']}", f"version   {_versions(status)}"]
    attempt, last = status["attempt"], status["last_outcome"]
    if attempt is not None:
        step = f" ({attempt['step']})" if attempt["step"] else ""
        lines.append(f"attempt   {attempt['generation']} to {attempt['version']}: {attempt['stage']}{step}")
    if last is not None:
        why = f": {last['code']} {last['message']}".rstrip() if last["code"] else ""
        lines.append(f"last      {last['generation']} to {last['version']} {last['said'].lower()}{why}")
    return lines


def _versions(status: dict[str, Any]) -> str:
    if status["version"] is None:
        return "none: no release is installed"
    trial = f", on trial: {status['trial_version']}" if status["trial_version"] else ""
    previous = f" (before: {status['previous_version']})" if status["previous_version"] else ""
    return f"{status['version']}{previous}{trial}"


def _boot(folder: Path) -> Record | None:
    """Return the boot record; None when there is none that can be read: the launcher says why when it starts."""
    try:
        data = files.read_small(files.record_path(str(folder)))
        return None if data is None else decode(data)
    except (OSError, RecordDamagedError):
        return None


def _plain(value: Any) -> Any:  # noqa: ANN401 (plain JSON)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value.value if isinstance(value, Enum) else value
