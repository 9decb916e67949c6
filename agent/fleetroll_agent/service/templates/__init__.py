"""One file per init system: what it reads, and the commands that it is asked with. Pure texts and values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.service.facts import Init
from fleetroll_agent.service.templates import launchd, openrc, systemd, sysv, windows
from fleetroll_agent.service.templates.commands import Commands

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fleetroll_agent.service.facts import Facts, File

_RENDERERS: Mapping[Init, Callable[[Facts], Mapping[str, File]]] = {
    Init.SYSTEMD: systemd.render,
    Init.OPENRC: openrc.render,
    Init.SYSV: sysv.render,
    Init.LAUNCHD: launchd.render,
    Init.WINDOWS: windows.render,
    Init.NONE: lambda _facts: {},
}
_COMMANDS: Mapping[Init, Callable[[Facts], Commands]] = {
    Init.SYSTEMD: systemd.commands,
    Init.OPENRC: openrc.commands,
    Init.SYSV: sysv.commands,
    Init.LAUNCHD: launchd.commands,
    Init.WINDOWS: windows.commands,
    Init.NONE: lambda _facts: Commands(),
}


def render(init: Init, facts: Facts) -> Mapping[str, File]:
    """Return the files of the service by absolute path."""
    return _RENDERERS[init](facts)


def commands(init: Init, facts: Facts) -> Commands:
    """Return the commands of ``init`` for the service."""
    return _COMMANDS[init](facts)
