"""launchd: one property list. The job is kept alive whatever it ends with."""

from __future__ import annotations

import plistlib
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from fleetroll_agent.service.facts import LATEST_STOP_SECONDS, RESTART_SECONDS, File
from fleetroll_agent.service.templates.commands import Commands

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_agent.service.facts import Facts

_BEFORE = "<plist "
_START = 'launchctl print "system/$1" >/dev/null 2>&1 || exec launchctl bootstrap system "$2"'
"""To load a job that is loaded is an error there."""


def render(facts: Facts) -> Mapping[str, File]:
    """Return the property list, with the mark in a comment."""
    log = f"/var/log/{facts.name}.log"
    job = {
        "Label": facts.name,
        "ProgramArguments": list(facts.command),
        "RunAtLoad": True,
        "KeepAlive": True,
        "ThrottleInterval": RESTART_SECONDS,
        "ExitTimeOut": LATEST_STOP_SECONDS,
        "ProcessType": "Background",
        "Umask": 0o077,
        "StandardOutPath": log,
        "StandardErrorPath": log,
    }
    text = plistlib.dumps(job, sort_keys=False).decode()
    # A comment must not hold two hyphens in a row.
    mark = escape(facts.mark).replace("--", "-&#45;")
    return {path(facts): File(text.replace(_BEFORE, f"<!-- {mark}. -->\n{_BEFORE}", 1), 0o644)}


def path(facts: Facts) -> str:
    """Return where the property list stands."""
    return f"/Library/LaunchDaemons/{facts.name}.plist"


def commands(facts: Facts) -> Commands:
    """Return the calls of launchctl."""
    return Commands(
        installed=(("launchctl", "enable", f"system/{facts.name}"),),
        start=(("sh", "-c", _START, "sh", facts.name, path(facts)),),
        remove=(("launchctl", "bootout", f"system/{facts.name}"),),
    )
