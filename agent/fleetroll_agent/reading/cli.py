"""The commands that only look: ``status policy history log doctor``. None of them needs a running agent."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError
from fleetroll_common.values.plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fleetroll_agent.reading.follow import Follower

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 (it has no other name)

LINE_CHARS = 2000
"""What a terminal is shown of one line."""
EXIT_FOUND = 1
"""Of ``doctor``: something is wrong, or doubtful."""
HISTORY = 20
MAX_HISTORY = 1000
LOG_LINES = 200


def add_commands(commands: Commands) -> None:
    """Add the commands to the parser of all commands."""
    _add(commands, "status", "show versions, what goes on, and how the last attempts ended", _status)
    policy = _add(commands, "policy", "show what this host allows, and where each value comes from", _policy)
    policy.add_argument("product", nargs="?", default="", metavar="PRODUCT", help="of this one alone")
    history = _add(commands, "history", "list the attempts that have ended here, the newest first", _history)
    history.add_argument("product", nargs="?", default="", metavar="PRODUCT", help="of this one alone")
    most = f"as many at most ({HISTORY}), up to {MAX_HISTORY}"
    history.add_argument("--limit", type=_count(MAX_HISTORY), default=HISTORY, metavar="N", help=most)
    log = _add(commands, "log", "show what an attempt's commands printed, or the agent's own log", _log)
    log.add_argument("product", nargs="?", default="", metavar="PRODUCT", help="whose commands; left out: the agent's")
    which = "its generation, or local:N as history has it; left out: the one that printed last"
    log.add_argument("attempt", nargs="?", default="", metavar="ATTEMPT", help=which)
    log.add_argument("--lines", type=_count(10_000), default=LOG_LINES, metavar="N", help=f"the last N ({LOG_LINES})")
    log.add_argument("--follow", action="store_true", help="go on with what is added, until Ctrl-C")
    doctor = _add(commands, "doctor", "look for what is wrong with this host, and say what to do", _doctor)
    doctor.epilog = f"Exit codes: 0 nothing was found, {EXIT_FOUND} something was, 2 usage. It changes nothing."


def _status(options: argparse.Namespace) -> int:
    from fleetroll_agent.status import read_status, sentences  # noqa: PLC0415 (the launcher's process stays small)

    status = read_status(options.state.absolute())
    _show(options, status, sentences(status))
    return 0


def _policy(options: argparse.Namespace) -> int:
    from datetime import datetime, timezone  # noqa: PLC0415 (see _status)

    from fleetroll_agent.host import time_zone  # noqa: PLC0415 (see _status)
    from fleetroll_agent.reading import policy  # noqa: PLC0415 (see _status)

    text = policy.settings_text(_folder(options))
    known = policy.only(policy.effective(text, datetime.now(timezone.utc), time_zone()), options.product)
    _show(options, policy.document(known), policy.sentences(known))
    return 0


def _history(options: argparse.Namespace) -> int:
    from fleetroll_agent.jobs.journal import read_journal  # noqa: PLC0415 (see _status)
    from fleetroll_agent.reading import files, history  # noqa: PLC0415 (see _status)

    folder = _folder(options)
    records = {name: files.read_product(folder, name)[0] for name in files.recorded_products(folder)}
    journal = read_journal(folder / "journal") if (folder / "journal").is_dir() else []
    past = history.history(records, journal)
    chosen = [each for each in past if options.product in ("", each.product)]
    kept = chosen[: options.limit]
    found = {"attempts": [history.document(each) for each in kept], "left_out": len(chosen) - len(kept)}
    _show(options, found, [history.sentence(each) for each in kept] or ["no attempt has ended here"])
    return 0


def _log(options: argparse.Namespace) -> int:
    from fleetroll_agent.reading import logs  # noqa: PLC0415 (see _status)
    from fleetroll_agent.reading.follow import Follower  # noqa: PLC0415 (see _status)

    folder = _folder(options)
    # Before the reading: a line that is added in between is shown twice, rather than never.
    follower = Follower(folder, options.product, options.attempt) if options.follow else None
    if options.product:
        printed = logs.attempt_lines(folder, options.product, options.attempt, options.lines)
    else:
        printed = logs.agent_lines(folder, options.lines)
    said = {"path": str(printed.path), "lines": list(printed.lines), "left_out": printed.left_out}
    head = [f"{printed.left_out} earlier lines are in {printed.path}"] if printed.left_out else []
    _show(options, said, [*head, *printed.lines])
    if follower is not None:
        _follow(options, follower)
    return 0


def _follow(options: argparse.Namespace, follower: Follower) -> None:
    """Print what is added until a person has seen enough; with ``--json`` one object per look."""
    from fleetroll_agent.reading.follow import LOOK_SECONDS  # noqa: PLC0415 (see _status)

    try:
        while True:
            lines = follower.lines()
            if lines:
                _show(options, {"lines": lines}, lines)
                sys.stdout.flush()
            time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        return


def _doctor(options: argparse.Namespace) -> int:
    from fleetroll_agent.doctor.run import diagnose, document, sentences  # noqa: PLC0415 (see _status)

    found = diagnose(options.state.absolute())
    _show(options, document(found), sentences(found))
    return EXIT_FOUND if found.findings else 0


def _add(commands: Commands, name: str, what: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=what)
    command.add_argument("--state", required=True, type=Path, metavar="DIR", help="the agent's state folder")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=lambda options: _in_words(name, run, options))
    return command


def _in_words(name: str, run: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """Run a command; what nobody thought of is told in a sentence as well: people call these when all else is broken.

    Raises:
        FleetrollError, OSError: the command's own; INTERNAL for a defect.
    """
    try:
        return run(options)
    except (FleetrollError, OSError):
        raise
    except Exception as error:
        text = f"{name} met a file that it can't make sense of: {error!r:.300}"
        remedy = f"run: fleetroll-agent doctor --state {options.state}"
        raise AgentError(text, code=Code.INTERNAL, remedy=remedy) from error


def _folder(options: argparse.Namespace) -> Path:
    """Return the state folder.

    Raises:
        AgentError: NOT_FOUND: there is none.
    """
    folder: Path = options.state.absolute()
    if not folder.is_dir():
        remedy = "name the folder that enrolment made"
        raise AgentError(f"there is no folder {folder}", code=Code.NOT_FOUND, remedy=remedy)
    return folder


def _show(options: argparse.Namespace, document: dict[str, Any], lines: Iterable[str]) -> None:
    if options.json:
        print(json.dumps(document, sort_keys=True))
        return
    for line in lines:
        print(plain(line, LINE_CHARS))


def _count(most: int) -> Callable[[str], int]:
    """Return the reader of a whole number from 1 to ``most``."""

    def count(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= most):
            message = f"{text!r} is no number from 1 to {most}"
            raise argparse.ArgumentTypeError(message)
        return int(text)

    return count
