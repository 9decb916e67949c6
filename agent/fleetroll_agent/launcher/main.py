"""The launcher's command line: ``python3 -m fleetroll_agent.launcher run --state DIR``."""

import argparse
import contextlib
import os
import select
import sys
from typing import List, Optional

from fleetroll_agent.launcher import files
from fleetroll_agent.launcher.bootid import read_boot_id
from fleetroll_agent.launcher.errors import LauncherError
from fleetroll_agent.launcher.executor import Executor
from fleetroll_agent.launcher.limits import MAX_LEASE_SECONDS, Limits
from fleetroll_agent.launcher.lock import StateLock
from fleetroll_agent.launcher.loop import Loop
from fleetroll_agent.launcher.notify import Notifier
from fleetroll_agent.launcher.output import Output
from fleetroll_agent.launcher.own import own_program
from fleetroll_agent.launcher.posix import PosixFamily, adopt_orphans
from fleetroll_agent.launcher.pythons import Pythons
from fleetroll_agent.launcher.recovery import Recovery, Source, from_bytes, from_slots
from fleetroll_agent.launcher.signals import Signals
from fleetroll_agent.launcher.status import StatusFile
from fleetroll_agent.launcher.telling import Teller

_LOCK_WAIT_SECONDS = 10.0
"""How long the child of a launcher that was killed is waited for; the kernel needs milliseconds."""


def run(state: str, limits: Limits) -> int:
    """Run the launcher on the state folder ``state`` until SIGTERM or SIGINT; return the exit code.

    Raises:
        LauncherError: another launcher holds the lock, or there is nothing to run.
    """
    state = os.path.abspath(state)
    notifier = Notifier()
    with StateLock(state, _LOCK_WAIT_SECONDS) as lock, Signals() as signals:
        adopt_orphans()
        pythons = Pythons()
        recovery = load(state, pythons)
        if recovery.source is not Source.RECORD:
            note("the boot record was damaged; going on with its {}".format(recovery.source.value))
        family = PosixFamily()
        executor = Executor(state, family, pythons, lock.handle, note)
        output = Output(os.path.join(state, files.LOG_NAME))
        teller = Teller(StatusFile(state), notifier, own_program(), note)
        parts = (executor, family, output, teller, note)
        Loop(recovery.record, read_boot_id(), limits, *parts).run(signals)
    return 0


def load(state: str, pythons: Pythons) -> Recovery:
    """Return the record of ``state``, repaired where power failed in the middle of a write.

    Raises:
        NothingToRunError: there is no version that may be started.
    """
    path = files.record_path(state)
    recovery = from_bytes(_bytes(path), _bytes(path + ".new"))
    if recovery is None:
        return from_slots(files.read_slots(state), pythons.by_abi())
    if recovery.source is Source.REPLACEMENT:
        try:
            files.finish_replacing(path)
        except OSError as error:
            note("the boot record could not be repaired: {}".format(error.strerror))
    return recovery


def note(text: str) -> None:
    """Write one line for the service's log, or drop it: no line is worth an agent, nor waiting for its reader.

    It is written only when there is room now: that a descriptor does not block would hold for all who share it.
    """
    line = "fleetroll-launcher: {}\n".format(text)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        try:
            handle = sys.stderr.fileno()
        except (OSError, ValueError):  # no file of the system is behind it
            sys.stderr.write(line)
            return
        if select.select([], [handle], [], 0)[1]:
            os.write(handle, line.encode("utf-8", "backslashreplace")[: select.PIPE_BUF])


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``run`` to ``parser``."""
    defaults = Limits()
    parser.add_argument("--state", required=True, help="the agent's state folder")
    parser.add_argument("--start-limit", type=_seconds, default=defaults.start, help="seconds to the first beat")
    parser.add_argument("--hang-limit", type=_seconds, default=defaults.hang, help="seconds between two beats")


def run_with(options: argparse.Namespace) -> int:
    """Run with the options of ``add_options``; a sentence instead of a traceback when it can't.

    Returns:
        0 after an orderly stop, 1 when there is nothing to run or somebody else runs it.
    """
    try:
        return run(options.state, Limits(start=options.start_limit, hang=options.hang_limit))
    except LauncherError as error:
        note(str(error))
        return 1


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command line; return the exit code (2 for wrong usage, by argparse)."""
    parser = argparse.ArgumentParser(prog="fleetroll-launcher", description="Start the agent, watch it, put it back.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    add_options(commands.add_parser("run", help="run the agent of a state folder until SIGTERM"))
    options = parser.parse_args(argv)
    if options.command is None:
        parser.error("a command is missing: run")
    return run_with(options)


def _bytes(path: str) -> Optional[bytes]:
    """Return the file's content; one that can't be read is as good as absent, and said."""
    try:
        return files.read_small(path)
    except OSError as error:
        note("{} can't be read: {}".format(path, error.strerror))
        return None


def _seconds(text: str) -> float:
    """Return a positive number of seconds."""
    value = float(text)
    if not 0 < value <= MAX_LEASE_SECONDS:
        raise argparse.ArgumentTypeError("{} is not between 0 and {:g} seconds".format(text, MAX_LEASE_SECONDS))
    return value
