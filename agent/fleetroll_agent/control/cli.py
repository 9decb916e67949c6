"""The commands of ``fleetroll-agent`` that steer the running agent of this host through its socket."""

from __future__ import annotations

import argparse
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_agent.control import exits
from fleetroll_agent.control.messages import Ask
from fleetroll_common.values.plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_agent.control.messages import Done

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 (it has no other name)

_TEXT_CHARS = 4000
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd])", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def add_commands(commands: Commands) -> None:
    """Add the commands to the parser of all commands."""
    check = _add(commands, "check", "say whether a newer release is listed that this host may take (exit 10)")
    _add_source(check)
    update = _add(commands, "update", "update a product to a version, or to the newest that this host may take")
    update.add_argument("--version", type=version, default=argparse.SUPPRESS, metavar="V", help="the version to reach")
    _add_source(update)
    update.add_argument("--retry-bad", action="store_true", help="also where this digest failed here before")
    _add_work(update)
    rollback = _add(commands, "rollback", "go back to the version before, with its data where a migration had begun")
    _add_work(rollback)
    restore = _add(commands, "restore", "restore the data of a backup under the version that runs")
    restore.add_argument(
        "--backup",
        type=named,
        default=argparse.SUPPRESS,
        metavar="ID",
        dest="backup_id",
        help="the last one, unless it is named",
    )
    _add_work(restore, hold=False)
    hold = _add(commands, "hold", "let the server's assignments of a product wait")
    hold.add_argument("--for", type=span, default=_UNITS["d"] * 7, dest="hold_seconds", metavar="TIME", help="7d")
    hold.add_argument("--reason", default="", help="shown at the server")
    _add(commands, "cancel", "end what was started on this host, while nothing is changed yet")
    _add(commands, "unhold", "let the server's assignments come again")


def named(text: str) -> str:
    """Return ``text``, which somebody gave: nothing stands for no default.

    Raises:
        argparse.ArgumentTypeError: it is empty, as a variable of a script is that was never set.
    """
    if not text:
        message = "it is empty: leave the option out, or name something"
        raise argparse.ArgumentTypeError(message)
    return text


def version(text: str) -> str:
    """Return ``text`` when it is a version.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    from fleetroll_common.values.errors import RequestError  # noqa: PLC0415 (the launcher's process stays small)
    from fleetroll_common.values.version import Version  # noqa: PLC0415 (the launcher's process stays small)

    try:
        return str(Version.parse(text))
    except RequestError as error:
        message = f"{error.message}; {error.remedy}"
        raise argparse.ArgumentTypeError(message) from error


def span(text: str) -> float:
    """Return a time such as ``90s``, ``30m``, ``12h`` or ``7d`` in seconds.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    found = _SPAN.fullmatch(text)
    if found is None:
        message = f"{text!r} is no time; write it like 30m, 12h or 7d"
        raise argparse.ArgumentTypeError(message)
    return float(found.group(1)) * _UNITS[found.group(2)]


def run(options: argparse.Namespace, show: Callable[[str], None] = print) -> int:
    """Ask the agent and print what it says; return its exit code.

    Raises:
        FleetrollError: it refused, or none runs.
    """
    from fleetroll_agent.control.client import ask_agent  # noqa: PLC0415 (the launcher's process stays small)

    quiet = options.json
    names = ("product", "version", "source", "backup_id", "soak_seconds", "hold_seconds", "retry_bad", "reason", "wait")
    given = {name: getattr(options, name) for name in names if hasattr(options, name)}
    if given.get("source") and "://" not in given["source"]:
        given["source"] = str(Path(given["source"]).absolute())  # the agent's own folder is another one
    person = os.environ.get("SUDO_USER", "")[:64].encode("utf-8", "replace").decode()
    ask = Ask(options.command, person=person, **given)
    done = ask_agent(options.state.absolute(), ask, lambda line: None if quiet else show(plain(line, _TEXT_CHARS)))
    _print(done, show, as_json=quiet)
    return done.exit


def _print(done: Done, show: Callable[[str], None], *, as_json: bool) -> None:
    if as_json:
        show(json.dumps({**done.data, "exit": done.exit, "text": done.text}, sort_keys=True))
        return
    for line in done.text.splitlines():
        show(plain(line, _TEXT_CHARS))


def _add(commands: Commands, name: str, what: str) -> argparse.ArgumentParser:
    codes = f"Exit codes: {exits.GOOD} current or done, {exits.AVAILABLE} update available, {exits.UNREACHABLE} "
    codes += (
        f"unreachable, {exits.REFUSED} refused, {exits.ROLLED_BACK} rolled back, {exits.ROLLBACK_FAILED} roll-back "
    )
    codes += "failed, 2 usage, 1 anything else."
    command = commands.add_parser(name, help=what, epilog=codes)
    command.add_argument("product", nargs="?", default="", metavar="PRODUCT", help="may be left out where there is one")
    command.add_argument("--state", required=True, type=Path, metavar="DIR", help="the agent's state folder")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)
    return command


def _add_source(command: argparse.ArgumentParser) -> None:
    what = "take it from this bundle, folder of a mirror, or address of one, instead of the server"
    command.add_argument(
        "--from", "--bundle", type=named, default=argparse.SUPPRESS, dest="source", metavar="PLACE", help=what
    )


def _add_work(command: argparse.ArgumentParser, *, hold: bool = True) -> None:
    command.add_argument(
        "--soak", type=span, default=60.0, dest="soak_seconds", metavar="TIME", help="hold health so long (60s)"
    )
    command.add_argument("--reason", default="", help="shown in the history, and at the server")
    command.add_argument("--no-wait", action="store_false", dest="wait", help="return when it has begun")
    if hold:
        what = "how long the server's assignments wait afterwards (7d); 0s = not at all"
        command.add_argument(
            "--hold", type=span, default=_UNITS["d"] * 7.0, dest="hold_seconds", metavar="TIME", help=what
        )
