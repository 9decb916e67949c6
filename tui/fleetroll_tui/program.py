"""The program ``fleetroll-console``: options, files, and one sentence for every error."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_client import Wanted, resolve
from fleetroll_client.contexts import Environment
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, RequestError
from fleetroll_tui.app import ConsoleApp
from fleetroll_tui.feed.journal import Journal
from fleetroll_tui.feed.live import LiveServer
from fleetroll_tui.feed.replay import Replay
from fleetroll_tui.letters import speaks_utf8
from fleetroll_tui.start import EXIT_INTERRUPTED
from fleetroll_tui.sweeping import by_hand
from fleetroll_tui.text import clean
from fleetroll_tui.theme import PALETTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_BANDS = {
    Environment.PRODUCTION: "production",
    Environment.STAGING: "staging",
    Environment.DEVELOPMENT: "staging",
}

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
"""Signals that end the console in order: a terminal is never left without echo, or on the console's own screen."""
KILLED = 128
"""A program that a signal ended says this and the signal's number."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the console; every error is one line on standard error and the exit code 1, of usage 2, interrupted 130."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its words would stand on the screen; ours say what is wrong
    said = parser().parse_args(arguments)
    try:
        make = _console(said)
        _check_terminal()
        return asyncio.run(_run(make))
    except FleetrollError as error:
        sys.stderr.write(f"fleetroll-console: {clean(str(error), 2000)}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("fleetroll-console: interrupted\n")
        return EXIT_INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(
        prog="fleetroll-console", description="Watch a fleet and its rollouts live, and stop them.", allow_abbrev=False
    )
    add = found.add_argument
    add("--context", metavar="NAME", help="a named server of the file of contexts (FLEETROLL_CONTEXT)")
    add("--server", metavar="HOST:PORT", help="the server (FLEETROLL_SERVER)")
    add("--ca", type=Path, metavar="FILE", help="the server's CA certificate (FLEETROLL_CA)")
    add("--token-file", type=Path, metavar="FILE", help="file with the API token (FLEETROLL_TOKEN_FILE)")
    add("--ascii", action="store_true", help="write nothing outside ASCII; so it is where the locale is not UTF-8")
    add("--theme", choices=sorted(PALETTES), default="dark", help="dark (the default) or light")
    add("--replay", type=Path, metavar="FILE", help="play a recording instead of asking a server")
    add("--record", type=Path, metavar="FILE", help="write down whatever the server says; the file must be new")
    return found


async def _run(make: Callable[[], ConsoleApp]) -> int:
    """Run the console in its loop, and let go of the server."""
    by_hand()
    app = make()
    loop = asyncio.get_running_loop()
    for number in ENDING:
        loop.add_signal_handler(number, app.exit, None, KILLED + number)
    try:
        left_with = await app.run_async()
        if left_with is not None:
            return left_with
        return 1 if app.return_code is None else app.return_code  # it was ended by something that is no key of ours
    finally:
        await app.server.close()


def _console(said: argparse.Namespace) -> Callable[[], ConsoleApp]:
    """Return what makes the app, with every file read.

    Raises:
        RequestError: an option is missing, or a file can't be used (caller's fault).
    """
    look = {"ticks": time.monotonic, "theme_name": said.theme, "ascii_only": said.ascii or not speaks_utf8()}
    if said.replay is not None:
        if said.server or said.record:
            message = "replay: a recording is played alone"
            raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="leave out --server and --record")
        replay = Replay(said.replay)
        return lambda: ConsoleApp(replay, environment=said.replay.name, **look)
    meant = resolve(Wanted(said.server or "", said.ca, said.token_file, said.context or ""))
    journal = Journal(said.record) if said.record is not None else None
    environment = meant.context if meant.environment is not Environment.OTHER else ""
    look["band"] = _BANDS.get(meant.environment, "")
    look["who"] = f"context {meant.context}" if meant.context and not environment else ""
    return lambda: ConsoleApp(
        LiveServer(meant.endpoint, journal), environment=environment or meant.endpoint.address, **look
    )


def _check_terminal() -> None:
    """Refuse to be a console where nobody sees it or types.

    Raises:
        RequestError: standard input or output is no terminal (caller's fault).
    """
    for name, stream in (("input", sys.stdin), ("output", sys.stdout)):
        if stream is None or not stream.isatty():
            message = f"standard {name} is no terminal"
            remedy = "start it in a terminal (with ssh: -t), or use fleetroll events --follow"
            raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy)
