"""SysV: one script with an LSB header. SysV watches nothing, so the script keeps a loop that starts the launcher again.

The loop is the service: its pid is in the pid file, with the instant of its start, so that no stranger that got the
same number is ever stopped. A stop that takes longer than its limit goes on; a start that comes meanwhile is noted, and
the loop goes on with it when what it started has ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.service.facts import LATEST_STOP_SECONDS, RESTART_SECONDS, File
from fleetroll_agent.service.templates.commands import Commands
from fleetroll_agent.service.templates.shell import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_agent.service.facts import Facts

_SCRIPT = """\
#!/bin/sh
# {mark}.
# A new install replaces this file; settings of your own belong into /etc/default/{name}.
### BEGIN INIT INFO
# Provides:          {name}
# Required-Start:    $local_fs $remote_fs
# Required-Stop:     $local_fs $remote_fs
# Should-Start:      $network $syslog
# Should-Stop:       $network $syslog
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: Fleetroll agent
# Description:       Keeps this host as its fleet wants it
### END INIT INFO

name={quoted_name}
pid_file="/run/$name.pid"
log="/var/log/$name.log"
ending_file="$pid_file.ending"
again_file="$pid_file.again"
defaults="/etc/default/$name"
if [ -r "$defaults" ]; then
    . "$defaults"
fi
umask 077

started() {{
    # The 22nd word of stat is the instant of the start; the command's name stands in brackets before the third, which
    # is Z for one that has ended and that nobody has collected: in containers nobody may ever.
    sed -n -e 's/.*) //' -e '/^[ZX]/!p' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20
}}

running() {{
    [ -r "$pid_file" ] || return 1
    read -r pid since <"$pid_file" || return 1
    case "$pid" in
        '' | *[!0-9]*) return 1 ;;
    esac
    [ -n "$since" ] && [ "$(started "$pid")" = "$since" ]
}}

supervise() {{
    ending=
    child=
    trap '' HUP
    trap 'ending=1; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM INT
    while [ -z "$ending" ] || [ -e "$again_file" ]; do
        if [ -n "$ending" ]; then
            ending=
            rm -f "$again_file" "$ending_file"
        fi
        {command} &
        child=$!
        # A signal cuts wait short: the child may still be ending then.
        while kill -0 "$child" 2>/dev/null; do
            wait "$child"
        done
        child=
        [ -n "$ending" ] || sleep {restart}
    done
}}

start() {{
    if running; then
        [ -e "$ending_file" ] || return 0
        : >"$again_file"
        # The loop may have looked just before.
        sleep 1
        if running; then
            echo "$name is still ending, and is started when it has ended" >&2
            return 0
        fi
    fi
    rm -f "$ending_file" "$again_file"
    "$0" supervise </dev/null >>"$log" 2>&1 &
    pid=$!
    echo "$pid $(started "$pid")" >"$pid_file"
}}

stop() {{
    rm -f "$again_file"
    if ! running; then
        rm -f "$pid_file" "$ending_file"
        return 0
    fi
    : >"$ending_file"
    kill -TERM "$pid" 2>/dev/null
    left={stop}
    while running && [ "$left" -gt 0 ]; do
        sleep 1
        left=$((left - 1))
    done
    if running; then
        echo "$name did not end within {stop} s" >&2
        return 1
    fi
    rm -f "$pid_file" "$ending_file"
}}

case "$1" in
    start) start ;;
    stop) stop ;;
    restart | force-reload)
        stop
        start
        ;;
    status)
        if running; then
            echo "$name runs"
        else
            echo "$name does not run"
            exit 3
        fi
        ;;
    supervise) supervise ;;
    *)
        echo "usage: $0 start|stop|restart|force-reload|status" >&2
        exit 2
        ;;
esac
"""

_SHELL = ("sh", "-c")
_ADD = 'if command -v update-rc.d >/dev/null; then exec update-rc.d "$1" defaults; else exec chkconfig --add "$1"; fi'
_DELETE = 'if command -v chkconfig >/dev/null; then exec chkconfig --del "$1"; fi'
_FORGET = 'if command -v update-rc.d >/dev/null; then exec update-rc.d "$1" remove; fi'
"""Of the two usual programs one wants the script to be there when it is taken out, the other wants it gone."""


def render(facts: Facts) -> Mapping[str, File]:
    """Return the script."""
    text = _SCRIPT.format(
        mark=facts.mark,
        name=facts.name,
        quoted_name=quoted(facts.name),
        command=" ".join(quoted(word) for word in facts.command),
        restart=RESTART_SECONDS,
        stop=LATEST_STOP_SECONDS,
    )
    return {f"/etc/init.d/{facts.name}": File(text, 0o755)}


def commands(facts: Facts) -> Commands:
    """Return the calls; the links of the run levels are made by whichever of the two usual programs is there."""
    script = f"/etc/init.d/{facts.name}"
    return Commands(
        installed=((*_SHELL, _ADD, "sh", facts.name),),
        start=((script, "start"),),
        remove=((script, "stop"), (*_SHELL, _DELETE, "sh", facts.name)),
        removed=((*_SHELL, _FORGET, "sh", facts.name),),
    )
