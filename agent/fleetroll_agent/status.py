"""What this host's files say about its agent: a plain reading, changing nothing, with or without a running agent."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetroll_agent import host, interpreter
from fleetroll_agent.containers import container_marker
from fleetroll_agent.identity.store import IdentityStore
from fleetroll_agent.jobs.values import PRODUCT
from fleetroll_agent.launcher import files
from fleetroll_agent.reading import agent_log
from fleetroll_agent.reading.files import launcher_runs, read_boot, read_product, read_told
from fleetroll_agent.reading.instants import instant
from fleetroll_agent.reading.openings import next_opening
from fleetroll_agent.reading.policy import document, effective, settings_text, with_agent
from fleetroll_agent.reading.product_status import Sources, agent_lines, product_lines, product_status
from fleetroll_agent.service.install import Wish, read_service
from fleetroll_agent.service.record import read_installed
from fleetroll_agent.settings import Settings, parse_settings
from fleetroll_common.values.errors import FleetrollError, RequestError
from fleetroll_common.values.ids import SystemIds
from fleetroll_common.values.plain import plain

if TYPE_CHECKING:
    from fleetroll_agent.jobs.values import ProductRecord
    from fleetroll_agent.launcher.values import Record

_LINE_CHARS = 1000
"""What a line for people shows at most."""
CALM = frozenset({"running", "starting", "stopped", "ending", None})
"""What a launcher says that has no trouble."""


def read_status(folder: Path, root: Path = Path("/")) -> dict[str, Any]:
    """Return the status of the state folder ``folder`` as plain JSON values.

    Args:
        folder: the state folder.
        root: of the file system in which the service's files are looked for.

    Raises:
        FleetrollError: the host is not enrolled, or a file of its identity is damaged.
    """
    enrolment = IdentityStore(folder / "identity", SystemIds()).peek().enrolment
    record, _ = read_product(folder, PRODUCT)
    boot, _ = read_boot(folder)
    text, fault = _settings(folder)
    told = read_told(folder)
    known = agent_log.events(agent_log.tail(folder / files.LOG_NAME).splitlines())
    return {
        "agent_id": enrolment.agent_id,
        "fleet_id": enrolment.fleet_id,
        "servers": list(enrolment.addresses),
        "version": None if boot is None else boot.current.version,
        "previous_version": None if boot is None or boot.previous is None else boot.previous.version,
        "trial_version": None if boot is None or boot.trial is None else boot.trial.slot.version,
        **_attempts(record),
        "products": _products(folder, parse_settings(text), boot),
        "agent_runs": launcher_runs(folder),
        "launcher": None if told is None else {"status": told.get("status"), "detail": told.get("detail")},
        "service": service_status(folder, root),
        "connection": agent_log.last_word(known),
        "interpreter": None if boot is None else _interpreter(boot),
        "container": container_marker(root=root) or None,
        "policy": document(effective(text, datetime.now(timezone.utc), host.time_zone())),
        "next_check_in": instant(agent_log.next_check_in(known)),
        "settings_fault": fault or None,
    }


def service_status(folder: Path, root: Path = Path("/")) -> dict[str, Any] | None:
    """Return the service that was installed for this state folder; None when none was, or it can't be told."""
    if read_installed(folder) is None:
        return None
    state = Path("/") / folder.relative_to(root) if folder.is_relative_to(root) else folder
    try:
        return read_service(Wish(state=state, name="", root=root))
    except (FleetrollError, OSError):
        return None


def sentences(status: dict[str, Any]) -> list[str]:
    """Return the status as lines for people. Servers have their words in some: nothing that a terminal obeys."""
    lines = [f"agent     {status['agent_id']} in fleet {status['fleet_id']}", f"version   {_versions(status)}"]
    attempt, last = status["attempt"], status["last_outcome"]
    if attempt is not None:
        step = f" ({attempt['step']})" if attempt["step"] else ""
        lines.append(f"attempt   {_id(attempt)} to {attempt['version']}: {attempt['stage']}{step}")
    if last is not None:
        why = f": {last['code']} {last['message']}".rstrip() if last["code"] else ""
        lines.append(f"last      {_id(last)} to {last['version']} {last['said'].lower()}{why}")
    for said in status.get("products", ()):
        lines += agent_lines(said) if said["product"] == PRODUCT else product_lines(said)
    return [plain(line, _LINE_CHARS) for line in (*lines, *_host(status), *_troubles(status))]


def _host(status: dict[str, Any]) -> list[str]:
    """Return how the host keeps in touch, and what runs there."""
    policy, service = status.get("policy"), status.get("service")
    lines = []
    if policy is not None:
        said = {key: row["value"] for key, row in policy["host"].items()}
        visits = f"a visit every {said['check_in_seconds']} s" if said["session"] == "poll" else "a stream"
        comes = f", next at {status['next_check_in']}" if status.get("next_check_in") else ""
        lines.append(f"policy    {visits}{comes}; without a server: {said['offline']}")
    if service is not None:
        lines.append(f"service   {service['name']} ({service['init']})")
    if status.get("container"):
        lines.append(f"container {status['container']}")
    return lines


def _troubles(status: dict[str, Any]) -> list[str]:
    """Return what keeps the agent from running, and from its server, where its files say that."""
    launcher, connection, python = status["launcher"], status["connection"], status["interpreter"]
    lines = []
    if status.get("agent_runs") is False:
        lines.append("stopped   no agent runs here")
    if status.get("settings_fault"):
        lines.append(f"settings  {status['settings_fault']}")
    if launcher is not None and launcher["status"] not in CALM:
        lines.append(f"launcher  {launcher['status']}: {launcher['detail']}".rstrip(": "))
    if python is not None and python["trouble"]:
        lines.append(f"python    {python['trouble']}")
    if connection is not None and connection["how"] != agent_log.VISITED:
        code = f" {connection['code']}" if connection["code"] else ""
        lines.append(f"server    {connection['how']}{code}: {connection['reason']} ({connection['at']})")
    return lines


def _settings(folder: Path) -> tuple[str, str]:
    """Return the text of agent.toml; an empty one, and what is wrong, where the agent would refuse it."""
    try:
        text = settings_text(folder)
        parse_settings(text)
    except RequestError as error:
        return "", str(error)
    return text, ""


def _attempts(record: ProductRecord) -> dict[str, Any]:
    """Return what the agent's own record says of its attempts."""
    last = record.outcomes[-1] if record.outcomes else None
    return {
        "highest_generation": record.highest,
        "attempt": None if record.attempt is None else _plain(asdict(record.attempt)),
        "waiting": None if record.waiting is None else _plain(asdict(record.waiting)),
        "last_outcome": None if last is None else _plain(asdict(last)),
    }


def _products(folder: Path, settings: Settings, boot: Record | None) -> list[dict[str, Any]]:
    seconds, zone = time.time(), host.time_zone()
    now = datetime.fromtimestamp(seconds, timezone.utc)
    found = []
    for product in with_agent(settings):
        record, fault = read_product(folder, product.name)
        opening = next_opening(product, now, zone)
        found.append(product_status(Sources(product, record, fault, boot, opening, seconds)))
    return found


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


def _id(attempt: dict[str, Any]) -> str:
    return f"local:{attempt['local']}" if attempt.get("local") else str(attempt["generation"])


def _plain(value: Any) -> Any:  # noqa: ANN401 (plain JSON)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value.value if isinstance(value, Enum) else value
