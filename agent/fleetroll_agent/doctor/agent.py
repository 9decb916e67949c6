"""Checks of the agent itself: does it run, can it be started again, will its host start it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fleetroll_agent import interpreter
from fleetroll_agent.control.place import NAME, connect
from fleetroll_agent.doctor.values import Finding, Sign
from fleetroll_agent.hooks.processes import read_process
from fleetroll_agent.jobs.lock import LOCK_NAME
from fleetroll_agent.launcher.bootid import read_boot_id
from fleetroll_agent.reading import agent_log
from fleetroll_agent.reading.files import is_locked
from fleetroll_agent.status import CALM, service_status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll_agent.doctor.host import Host
    from fleetroll_agent.jobs.work import Child

CONNECT_SECONDS = 5.0
_OURS = {"same", "older"}


def runs(host: Host) -> Iterator[Finding]:
    """Tell when no agent runs, or one that answers nobody."""
    if not host.runs:
        text = f"no launcher holds {host.folder}: nothing is updated, and the server sees this host as offline"
        remedy = f"start its service (systemctl start fleetroll-agent), or: {host.command('run')}"
        yield Finding(Sign.AGENT_NOT_RUNNING, "agent", text, remedy)
        return
    try:
        connect(host.folder, CONNECT_SECONDS).close()
    except OSError as error:
        text = f"a launcher runs, and no agent answers at {NAME}: {error.strerror or error}"
        remedy = f"wait a minute; when it stays so, its last words say why: {host.command('log')}"
        yield Finding(Sign.AGENT_SILENT, "agent", text, remedy)


def refuses(host: Host) -> Iterator[Finding]:
    """Tell when the agent's last start ended because of this host's own state."""
    said = agent_log.last(host.log, "host_refuses", "started")
    if said is not None and said["event"] == "host_refuses":
        text = f"its last start was refused by this host: {said.get('reason')} ({said.get('timestamp')})"
        yield Finding(Sign.AGENT_REFUSES, "agent", text, "mend what it names; the launcher starts it again by itself")


def launcher(host: Host) -> Iterator[Finding]:
    """Tell what the launcher says keeps it from running the agent."""
    status = host.told.get("status")
    if status in CALM:
        return
    detail = str(host.told.get("detail") or "")
    if status == "no_interpreter":
        remedy = "install that Python again (docs: Interpreters); the launcher starts the agent as soon as it is back"
        yield Finding(Sign.NO_INTERPRETER, "launcher", f"no Python of this host runs the agent: {detail}", remedy)
        return
    remedy = f"read its agent's last words: {host.command('log')}"
    yield Finding(Sign.LAUNCHER_TROUBLE, "launcher", f"it says {status}: {detail}".rstrip(": "), remedy)


def python(host: Host) -> Iterator[Finding]:
    """Tell what threatens the agent's next start."""
    threat = "" if host.boot is None else interpreter.look(host.boot.current)
    if threat:
        remedy = "keep that Python installed, or install it again, until a release for the new one runs here"
        yield Finding(Sign.INTERPRETER_AT_RISK, "python", threat, remedy)


def release(host: Host) -> Iterator[Finding]:
    """Tell when there is nothing to start."""
    if host.boot is None and not host.boot_fault:
        text = "no release of the agent is installed: there is no boot record"
        yield Finding(Sign.NO_RELEASE, "agent", text, "run fleetroll-agent enroll again: it goes on where it stopped")


def service(host: Host) -> Iterator[Finding]:
    """Tell when the host would not start the agent after a boot, or not with what was installed."""
    status = service_status(host.folder, host.root)
    install = host.command("service install")
    if status is None:
        if not host.container:
            text = "the agent is no service of this host: after a boot nothing starts it"
            yield Finding(Sign.SERVICE_MISSING, "service", text, f"make it one: {install}")
        return
    if not status["launcher"]:
        text = "no copy of the launcher in its own place is as it was made"
        yield Finding(Sign.LAUNCHER_DAMAGED, "launcher", text, f"put it there again: {install}")
    for path, found in status["files"].items():
        if found == "absent":
            text = f"{path} is gone: after a boot {status['init']} does not start the agent"
            yield Finding(Sign.SERVICE_MISSING, path, text, f"write it again: {install}")
        elif found not in _OURS:
            remedy = f"look at it; then move it away and run: {install}"
            yield Finding(Sign.SERVICE_CHANGED, path, f"{path} is not what was installed for {host.folder}", remedy)


def left_behind(host: Host) -> Iterator[Finding]:
    """Tell what an agent that is gone left: the job lock in somebody's hands, a command that goes on."""
    if host.runs:
        return
    if _is_held(host):
        text = f"{LOCK_NAME} is held although no agent runs: no job would begin"
        remedy = f"find who holds it (fuser -v {host.folder / LOCK_NAME}) and end that process"
        yield Finding(Sign.JOB_LOCK_LEFT, LOCK_NAME, text, remedy)
    for kept in host.managed:
        attempt = kept.record.attempt
        child = None if attempt is None or attempt.work is None else attempt.work.child
        if child is not None and _lives(child):
            text = f"a command of its update goes on without an agent: process {child.pid}"
            remedy = f"start the agent, which ends it and goes back; or look at it first: ps -fp {child.pid}"
            yield Finding(Sign.COMMAND_LEFT, kept.name, text, remedy)


def _is_held(host: Host) -> bool:
    """Tell whether the job lock is held; one that is not there is free."""
    try:
        handle = os.open(host.folder / LOCK_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return is_locked(handle)
    finally:
        os.close(handle)


def _lives(child: Child) -> bool:
    if not child.boot_id or child.boot_id != read_boot_id():
        return False
    found = read_process(child.pid)
    return found is not None and not found.dead and found.start_ticks == child.start_ticks
