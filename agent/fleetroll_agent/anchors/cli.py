"""``fleetroll-agent anchors``: show what this host goes by, import newer ones from a bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError
from fleetroll_common.values.plain import plain

if TYPE_CHECKING:
    import argparse

    from fleetroll_agent.control.messages import Done

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 (it has no other name)

_TEXT_CHARS = 4000
_CODES = "Exit codes: 0 done, or taken already, 20 unreachable, 21 refused, 2 usage, 1 anything else."


def add_commands(commands: Commands) -> None:
    """Add the commands to the parser of all commands."""
    anchors = commands.add_parser("anchors", help="show where servers are and whom this host trusts; import newer ones")
    verbs = anchors.add_subparsers(dest="verb", metavar="VERB", required=True)
    show = verbs.add_parser("show", help="show addresses and CAs; needs no running agent")
    _add_state(show)
    show.set_defaults(run=_show)
    importing = verbs.add_parser("import", help="take newer signed ones from a bundle or a mirror's folder")
    importing.epilog = _CODES
    importing.add_argument("source", metavar="FILE", help="a bundle, or the folder of a mirror")
    _add_state(importing)
    importing.set_defaults(run=_import)


def _add_state(command: argparse.ArgumentParser) -> None:
    command.add_argument("--state", required=True, type=Path, metavar="DIR", help="the agent's state folder")
    command.add_argument("--json", action="store_true", help="print one JSON object")


def _show(options: argparse.Namespace) -> int:
    from fleetroll_agent.anchors.showing import document, sentences  # noqa: PLC0415 (the launcher's process stays small)

    found = document(options.state.absolute())
    _print([json.dumps(found, sort_keys=True)] if options.json else sentences(found))
    return 0


def _import(options: argparse.Namespace) -> int:
    from fleetroll_agent.anchors.importing import import_alone  # noqa: PLC0415 (see _show)
    from fleetroll_agent.control.client import ask_agent  # noqa: PLC0415 (see _show)
    from fleetroll_agent.control.messages import Ask  # noqa: PLC0415 (see _show)
    from fleetroll_agent.reading.files import launcher_runs  # noqa: PLC0415 (see _show)

    folder = options.state.absolute()
    source = options.source if "://" in options.source else str(Path(options.source).absolute())
    try:
        done = ask_agent(folder, Ask("anchors", source=source), lambda line: None if options.json else _print([line]))
    except AgentError as error:
        if error.code is not Code.UNAVAILABLE or launcher_runs(folder):
            raise
        done = import_alone(folder, source)
    _print([_json(done)] if options.json else done.text.splitlines())
    return done.exit


def _json(done: Done) -> str:
    found: dict[str, Any] = {**done.data, "exit": done.exit, "text": done.text}
    return json.dumps(found, sort_keys=True)


def _print(lines: list[str]) -> None:
    for line in lines:
        print(plain(line, _TEXT_CHARS))
