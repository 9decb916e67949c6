"""What this host's files say about its agent: a plain reading, changing nothing, with or without a running agent."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict
from enum import Enum
from typing import TYPE_CHECKING, Any

from fleetroll_agent import interpreter
from fleetroll_agent.identity.store import IdentityStore
from fleetroll_agent.jobs.keeper import ProductFile
from fleetroll_agent.launcher import files
from fleetroll_agent.launcher.errors import RecordDamagedError
from fleetroll_agent.launcher.record import decode
from fleetroll_common.values.ids import SystemIds
from fleetroll_common.values.plain import plain

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_agent.launcher.values import Record

_TAIL_BYTES = 128 * 1024
"""Of the log: a host that is refused writes a line or two in minutes."""
_LINE_CHARS = 1000
"""What a line for people shows at most."""
_CALM = frozenset({"running", "starting", "stopped", "ending", None})
"""What a launcher says that has no trouble."""


def read_status(folder: Path) -> dict[str, Any]:
    """Return the status of the state folder ``folder`` as plain JSON values.

    Raises:
        FleetrollError: the host is not enrolled, or a file is damaged.
    """
    enrolment = IdentityStore(folder / "identity", SystemIds()).load().enrolment
    record = ProductFile(folder).read()
    boot = _boot(folder)
    last = record.outcomes[-1] if record.outcomes else None
    told = _told(folder)
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
        "launcher": None if told is None else {"status": told.get("status"), "detail": told.get("detail")},
        "connection": last_word(folder / files.LOG_NAME),
        "interpreter": None if boot is None else _interpreter(boot),
    }


def last_word(log: Path) -> dict[str, Any] | None:
    """Return how the agent's last session ended: ``how``, ``code``, ``reason``, ``at``; None when one is open since.

    It stands in the agent's own log and nowhere else; a log that is gone, or was begun anew since, says nothing.
    """
    found = None
    for line in _tail(log).splitlines():
        with contextlib.suppress(ValueError):
            said = json.loads(line)
            event = said.get("event") if isinstance(said, dict) else None
            if event == "stream_ended":
                found = {name: said.get(name) for name in ("how", "code", "reason")} | {"at": said.get("timestamp")}
            elif event == "session_open":
                found = None
    return found


def sentences(status: dict[str, Any]) -> list[str]:
    """Return the status as lines for people. Servers have their words in some: nothing that a terminal obeys."""
    lines = [f"agent     {status['agent_id']} in fleet {status['fleet_id']}", f"version   {_versions(status)}"]
    attempt, last = status["attempt"], status["last_outcome"]
    if attempt is not None:
        step = f" ({attempt['step']})" if attempt["step"] else ""
        lines.append(f"attempt   {attempt['generation']} to {attempt['version']}: {attempt['stage']}{step}")
    if last is not None:
        why = f": {last['code']} {last['message']}".rstrip() if last["code"] else ""
        lines.append(f"last      {last['generation']} to {last['version']} {last['said'].lower()}{why}")
    return [plain(line, _LINE_CHARS) for line in (*lines, *_troubles(status))]


def _troubles(status: dict[str, Any]) -> list[str]:
    """Return what keeps the agent from running, and from its server, where its files say that."""
    launcher, connection, python = status["launcher"], status["connection"], status["interpreter"]
    lines = []
    if launcher is not None and launcher["status"] not in _CALM:
        lines.append(f"launcher  {launcher['status']}: {launcher['detail']}".rstrip(": "))
    if python is not None and python["trouble"]:
        lines.append(f"python    {python['trouble']}")
    if connection is not None:
        code = f" {connection['code']}" if connection["code"] else ""
        lines.append(f"server    {connection['how']}{code}: {connection['reason']} ({connection['at']})")
    return lines


def _interpreter(boot: Record) -> dict[str, str]:
    """Return the Python of the current version, and what threatens its next start."""
    slot = boot.current
    return {"path": slot.python, "abi": slot.abi, "trouble": interpreter.look(slot)}


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


def _told(folder: Path) -> dict[str, Any] | None:
    """Return what the launcher wrote about itself last; None when there is nothing that can be read."""
    try:
        told = json.loads(files.read_small(str(folder / files.STATUS_NAME)) or b"null")
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def _tail(log: Path) -> bytes:
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return stream.read(_TAIL_BYTES)
    except OSError:
        return b""


def _plain(value: Any) -> Any:  # noqa: ANN401 (plain JSON)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value.value if isinstance(value, Enum) else value
