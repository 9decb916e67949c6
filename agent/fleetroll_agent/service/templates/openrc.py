"""OpenRC: one script under its supervisor, which starts the launcher again whenever it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.service.facts import LATEST_STOP_SECONDS, RESTART_SECONDS, File
from fleetroll_agent.service.templates.commands import Commands
from fleetroll_agent.service.templates.shell import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_agent.service.facts import Facts

_SCRIPT = """\
#!/sbin/openrc-run
# {mark}.
# A new install replaces this file; settings of your own belong into /etc/conf.d/{name}.

name="Fleetroll agent"
description="Keeps this host as its fleet wants it"
supervisor=supervise-daemon
command={python}
command_args={arguments}
pidfile="/run/${{RC_SVCNAME}}.pid"
umask=0077
respawn_delay={restart}
respawn_max=0
retry="TERM/{stop}/KILL/5"
error_log="/var/log/${{RC_SVCNAME}}.log"

depend() {{
\tneed localmount
\tuse net logger
\tafter bootmisc
}}
"""


def render(facts: Facts) -> Mapping[str, File]:
    """Return the script. The arguments are quoted twice: OpenRC lets a shell read them once more."""
    text = _SCRIPT.format(
        mark=facts.mark,
        name=facts.name,
        python=quoted(facts.python),
        arguments=quoted(" ".join(quoted(word) for word in facts.command[1:])),
        restart=RESTART_SECONDS,
        stop=LATEST_STOP_SECONDS,
    )
    return {f"/etc/init.d/{facts.name}": File(text, 0o755)}


def commands(facts: Facts) -> Commands:
    """Return the calls of OpenRC."""
    return Commands(
        installed=(("rc-update", "add", facts.name, "default"),),
        start=(("rc-service", facts.name, "start"),),
        remove=(("rc-service", facts.name, "stop"), ("rc-update", "--all", "delete", facts.name)),
    )
