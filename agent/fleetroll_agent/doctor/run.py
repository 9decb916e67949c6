"""Runs the checks. One that fails itself is a finding, never the end."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetroll_agent.doctor.host import look
from fleetroll_agent.doctor.patience import within
from fleetroll_agent.doctor.registry import CHECKS
from fleetroll_agent.doctor.values import Finding, Sign

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_agent.doctor.host import Host
    from fleetroll_agent.doctor.registry import Check


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found, in the order of the checks, and how many looked."""

    findings: tuple[Finding, ...]
    checks: int


def diagnose(
    folder: Path, now: datetime | None = None, root: Path = Path("/"), checks: Sequence[Check] = CHECKS
) -> Diagnosis:
    """Look at the host of the state folder ``folder``; blocks for some seconds where a network does not answer.

    Args:
        folder: the state folder.
        now: aware; None = the host's clock.
        root: of the file system in which the service's files are looked for.
        checks: to run.
    """
    early = _cannot_look(folder)
    if early is not None:
        return Diagnosis((early,), 1)
    host = look(folder, now or datetime.now(timezone.utc), root)
    found = [finding for check in checks for finding in _run(check, host)]
    return Diagnosis(tuple(found), len(checks))


def document(found: Diagnosis) -> dict[str, Any]:
    """Return it as plain JSON values."""
    findings = [
        {
            "code": finding.sign.value,
            "severity": finding.severity.value,
            "subject": finding.subject,
            "message": finding.message,
            "remedy": finding.remedy,
        }
        for finding in found.findings
    ]
    return {"findings": findings, "checks": found.checks}


def sentences(found: Diagnosis) -> list[str]:
    """Return it as lines for people, one for each finding."""
    if not found.findings:
        return [f"nothing is wrong: {found.checks} checks"]
    return [_line(finding) for finding in found.findings]


def _line(finding: Finding) -> str:
    return f"{finding.sign.value}  {finding.subject}: {finding.message}; to do: {finding.remedy}"


def _cannot_look(folder: Path) -> Finding | None:
    """Return why nothing can be found out at all."""
    try:
        owner = folder.stat().st_uid if folder.is_dir() else None
    except OSError:
        owner = None
    if owner is None and os.geteuid() == 0:
        text = f"there is no folder {folder}"
        remedy = "name the one that enrolment made, or enrol this host: fleetroll-agent enroll <join string>"
        return Finding(Sign.STATE_MISSING, "state", text, remedy)
    if os.geteuid() not in (0, owner):
        text = f"only root, or the agent's own account, can read {folder}"
        return Finding(Sign.NOT_ROOT, "doctor", text, "run it with sudo")
    return None


def _run(check: Check, host: Host) -> tuple[Finding, ...]:
    try:
        return within(check.seconds, lambda: tuple(check.look(host)))
    except Exception as error:  # noqa: BLE001 (whatever stands in a host's files, the other checks go on)
        text = f"the check {check.name} could not be done: {str(error) or repr(error):.300}"
        remedy = "mend what the other findings name first; else look at the files that it names"
        return (Finding(Sign.CHECK_FAILED, check.name, text, remedy),)
