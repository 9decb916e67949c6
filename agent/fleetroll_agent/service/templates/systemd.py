"""systemd: one unit. The launcher says when the agent is up, and feeds the watchdog while its beats come.

No start limit: a unit that systemd has given up needs a person on every host. ``KillMode=mixed``: the launcher is asked
to end and ends its agent itself; whatever is left is killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.service.facts import RESTART_SECONDS, START_SECONDS, STOP_SECONDS, WATCHDOG_SECONDS, File
from fleetroll_agent.service.templates.commands import Commands

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_agent.service.facts import Facts

FOLDER = "/etc/systemd/system"

_UNIT = """\
# {mark}.
# A new install replaces this file; settings of your own belong into a drop-in (systemctl edit {name}).
[Unit]
Description=Fleetroll agent
After=network.target
RequiresMountsFor={state}
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
Restart=always
RestartSec={restart}
TimeoutStartSec={start}
TimeoutStopSec={stop}
WatchdogSec={watchdog}
WatchdogSignal=SIGTERM
KillMode=mixed
# Above the bound on data that the launcher gives its agent (512 MiB and the stacks of its threads) on hosts of up to 32
# processors: so the agent ends with its own reason first, and this is for all else that the unit starts. A command of
# a product has a scope of its own, with the host's own limits.
MemoryMax=1536M
OOMPolicy=continue
UMask=0077

[Install]
WantedBy=multi-user.target
"""


def render(facts: Facts) -> Mapping[str, File]:
    """Return the unit."""
    text = _UNIT.format(
        mark=facts.mark,
        name=facts.name,
        state=quoted(facts.state, command=False),
        command=" ".join(quoted(word) for word in facts.command),
        restart=RESTART_SECONDS,
        start=START_SECONDS,
        stop=STOP_SECONDS,
        watchdog=WATCHDOG_SECONDS,
    )
    return {f"{FOLDER}/{facts.name}.service": File(text, 0o644)}


def commands(facts: Facts) -> Commands:
    """Return the calls of systemctl. Starting does not wait: a host without an interpreter would hold it for ever."""
    unit = f"{facts.name}.service"
    return Commands(
        installed=(("systemctl", "daemon-reload"), ("systemctl", "enable", unit)),
        start=(("systemctl", "--no-block", "start", unit),),
        remove=(("systemctl", "disable", "--now", unit),),
        removed=(("systemctl", "daemon-reload"),),
    )


def quoted(word: str, *, command: bool = True) -> str:
    """Return ``word`` as one word of a unit: specifiers doubled, quotes and backslashes escaped.

    Args:
        word: printable text.
        command: it stands in a command line, where a dollar begins a variable.
    """
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    if command:
        text = text.replace("$", "$$")
    plain = all(letter.isalnum() or letter in "/._-=+:,@" for letter in text)
    return text if plain else f'"{text}"'
