"""The command ``launcher-upgrade``: prepares, leaves a helper behind that needs neither terminal nor parent, and waits.

The helper is started by the person's command, never by the agent: a launcher that ends takes all below it along.
Whoever interrupts the waiting interrupts nothing else.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from fleetroll_agent.launcher import files
from fleetroll_agent.launcher.recovery import from_bytes
from fleetroll_agent.launcher.versions import runs_agent
from fleetroll_agent.reading.files import read_product, recorded_products
from fleetroll_agent.service import host
from fleetroll_agent.service.place import Place
from fleetroll_agent.service.processes import HostLaunchers, is_below
from fleetroll_agent.service.record import read_installed
from fleetroll_agent.service.upgrade import Helper, Upgrade, read_upgrade, write_upgrade
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fleetroll_agent.launcher.values import Record
    from fleetroll_agent.service.place import Source
    from fleetroll_agent.service.record import Installed

_LOOK_SECONDS = 0.2
_BEGIN_SECONDS = 20.0
"""To the helper's first word; it waits 10 s for the lock of the place."""
_LOG_NAME = "upgrade.log"
_AT_WORK = frozenset({"starting", "running", "ending"})
"""What a launcher says whose agent may go on with an update. A launcher in trouble has none, and is to be replaced."""


def upgrade(state: Path, source: Source) -> Upgrade:
    """Bring the launcher of ``state`` to ``source``; return how it ended.

    Blocks for some minutes; up to a quarter of an hour more while the agent waits for a step to come to its end.

    Raises:
        RequestError: NOT_FOUND: no service was installed; NOT_ALLOWED: this runs below the launcher that would end;
            UPDATE_IN_PROGRESS: an update is past its Go, or an agent on trial; VERSION_MISMATCH: the new launcher does
            not run a slot's agent.
        AgentError: the new launcher can't be loaded here, or the disk refuses; nothing was changed.
        LauncherError: LOCKED: another upgrade goes on.
    """
    installed = read_installed(state)
    if installed is None:
        text = f"state: {state} has no launcher of its own"
        remedy = f"install it first: fleetroll-agent service install --state {state}"
        raise RequestError(text, code=Code.NOT_FOUND, remedy=remedy, field="state")
    place = Place(state)
    launchers = HostLaunchers(state, place.starter, installed)
    if is_below(os.getpid(), launchers.pids()):
        text = "this command runs below the launcher, which takes it along when it ends"
        raise RequestError(text, code=Code.NOT_ALLOWED, remedy="run it from a shell of the host")
    check_agents(_record(state), source)
    if launchers.pids() and launchers.told().get("status") in _AT_WORK:
        check_attempts(state)
    begun = prepare(place, installed, source)
    if begun.new == begun.old and launchers.told().get("launcher_program") == begun.new and launchers.pids():
        return replace(begun, outcome="kept", detail=f"the launcher {begun.new} runs already; nothing was changed")
    detach(lambda: _help(place, begun, launchers), place.folder / _LOG_NAME)
    return wait(place, begun)


def check_agents(record: Record | None, source: Source) -> None:
    """Refuse a launcher that can't run what the record names, or that would come in the middle of a trial.

    Raises:
        RequestError: UPDATE_IN_PROGRESS or VERSION_MISMATCH.
    """
    if record is None:
        return
    if record.trial is not None:
        text = f"agent {record.trial.slot.version} is on trial; a stop would cost it a start"
        raise RequestError(text, code=Code.UPDATE_IN_PROGRESS, remedy="wait until it is kept or put back")
    for slot in (record.current, record.previous):
        if slot is not None and not runs_agent(slot.version, source.agents_from):
            text = f"the launcher {source.name} runs agents from {source.agents_from} on; this host has {slot.version}"
            raise RequestError(text, code=Code.VERSION_MISMATCH, remedy="update the agent first", version=slot.version)


def check_attempts(state: Path) -> None:
    """Refuse to stop the agent in the middle of an update: its records say whether one is past Go.

    Raises:
        RequestError: UPDATE_IN_PROGRESS.
    """
    for name in recorded_products(state):
        attempt = read_product(state, name)[0].attempt
        if attempt is not None and attempt.past_go:
            step = attempt.stage.value if attempt.step is None else attempt.step.value
            text = f"{name} is being updated to {attempt.version} ({step}); a stop would interrupt it"
            remedy = f"wait for its end: fleetroll-agent status --state {state}"
            raise RequestError(text, code=Code.UPDATE_IN_PROGRESS, remedy=remedy, product=name)


def prepare(place: Place, installed: Installed, source: Source) -> Upgrade:
    """Make the copy, let the host's Python load it, and begin the journal; nothing that runs is touched.

    Raises:
        AgentError: STEP_FAILED: it can't be loaded; or the disk refuses.
        LauncherError: LOCKED: another upgrade goes on.
    """
    with place.lock():
        choice, usable = place.choice(), place.usable()
        old = usable if choice is None else choice.previous if choice.trial else choice.current
        new = place.add(source)
        failed = host.run((installed.python, "-I", "-S", "-B", str(place.starter), "check", new))
        if failed:
            text = f"the launcher {new} can't be loaded here: {failed}"
            raise AgentError(text, code=Code.STEP_FAILED, remedy="take another version; nothing was changed")
        before = "" if choice is None or choice.trial else choice.previous
        old, before = (name if place.complete(name) and name else "" for name in (old, before))
        begun = Upgrade(id=secrets.token_hex(4), new=new, old=old, before=before)
        write_upgrade(place, begun)
    return begun


def detach(work: Callable[[], None], log: Path) -> None:
    """Run ``work`` in a process that is nobody's child, in a session of its own, with ``log`` as its output.

    Returns at once; what ``work`` raises is written to ``log``.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    between = os.fork()
    if between:
        os.waitpid(between, 0)
        return
    code = 1
    try:
        os.setsid()
        if os.fork():
            code = 0
        else:
            _quiet(log)
            os.chdir("/")
            work()
            code = 0
    except BaseException as error:  # noqa: BLE001 (this process must end here, whatever came)
        with contextlib.suppress(OSError):
            os.write(2, f"fleetroll-agent: {error}\n".encode())
    finally:
        os._exit(code)


def wait(place: Place, begun: Upgrade) -> Upgrade:
    """Return the upgrade once its journal has the outcome, or once its helper is gone: then without one."""
    until = time.monotonic() + _BEGIN_SECONDS
    while True:
        known = read_upgrade(place)
        if known is None or known.id != begun.id:
            known = begun
        if known.outcome:
            return known
        if known.helper == 0 and time.monotonic() >= until:
            return known
        if known.helper and not _lives(known.helper):
            last = read_upgrade(place)
            return known if last is None or last.id != begun.id else last
        time.sleep(_LOOK_SECONDS)


def _help(place: Place, begun: Upgrade, launchers: HostLaunchers) -> None:
    """Be the helper. The lock is not inherited by what it starts: a launcher keeps itself once the helper is gone."""
    with place.lock():
        mine = replace(begun, helper=os.getpid())
        write_upgrade(place, mine)
        Helper(place, mine, launchers).run()
        place.prune()


def _quiet(log: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, targets in ((nothing, (0,)), (written, (1, 2))):
        for target in targets:
            os.dup2(source, target)
        os.close(source)


def _record(state: Path) -> Record | None:
    path = files.record_path(str(state))
    found = from_bytes(files.read_small(path), files.read_small(f"{path}.new"))
    return None if found is None else found.record


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
