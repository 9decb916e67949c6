"""The commands ``service`` and ``launcher-upgrade`` of the agent's command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_agent.service.facts import DEFAULT_NAME, Init

if TYPE_CHECKING:
    import argparse

    from fleetroll_agent.service.install import Wish

EXIT_HELPER_GONE = 1
EXIT_ROLLED_BACK = 22
EXIT_FAILED = 23
_EXITS = {"kept": 0, "rolled_back": EXIT_ROLLED_BACK, "failed": EXIT_FAILED, "": EXIT_HELPER_GONE}
"""Exit codes of names.md for an update, here of the launcher."""


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add both commands; the upgrade of the launcher is for few hands and not in the list of the help."""
    service = commands.add_parser("service", help="install, remove or show this agent as a service of the host")
    actions = service.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, run, said in (
        ("install", _install, "put the launcher in its own place, write the service's files, and start it"),
        ("uninstall", _uninstall, "stop the service and remove its files; the state folder stays"),
        ("status", _status, "show what is installed"),
    ):
        action = actions.add_parser(name, help=said)
        _add_wish(action)
        action.set_defaults(run=run)
        if name == "status":
            action.add_argument("--json", action="store_true", help="print one JSON object")
        else:
            action.add_argument("--force", action="store_true", help="also where a file is not this service's own")
    upgrade = commands.add_parser("launcher-upgrade", description="Bring the service's launcher to this program's own.")
    upgrade.add_argument("--state", required=True, type=Path, metavar="DIR", help="the agent's state folder")
    upgrade.set_defaults(run=_upgrade)


def _add_wish(action: argparse.ArgumentParser) -> None:
    inits = [init.value for init in Init]
    action.add_argument("--state", required=True, type=Path, metavar="DIR", help="the agent's state folder")
    action.add_argument("--init", choices=inits, help="the init system (the one that runs this host)")
    action.add_argument(
        "--root", default=Path("/"), type=Path, metavar="DIR", help="work below another root; run nothing"
    )
    action.add_argument("--name", default=DEFAULT_NAME, help=f"of the service ({DEFAULT_NAME})")
    action.add_argument("--python", default="", metavar="PATH", help="the Python that runs the launcher (a stable one)")


def _wish(options: argparse.Namespace) -> Wish:
    from fleetroll_agent.service.install import Wish  # noqa: PLC0415 (the launcher's process stays small)

    return Wish(
        state=options.state.absolute(),
        name=options.name,
        init=None if options.init is None else Init(options.init),
        root=options.root.absolute(),
        python=options.python,
        force=getattr(options, "force", False),
    )


def _install(options: argparse.Namespace) -> int:
    from fleetroll_agent.service.install import install  # noqa: PLC0415 (see _wish)

    print("\n".join(install(_wish(options))))
    return 0


def _uninstall(options: argparse.Namespace) -> int:
    from fleetroll_agent.service.install import uninstall  # noqa: PLC0415 (see _wish)

    print("\n".join(uninstall(_wish(options))))
    return 0


def _status(options: argparse.Namespace) -> int:
    from fleetroll_agent.service.install import read_service  # noqa: PLC0415 (see _wish)

    status = read_service(_wish(options))
    if options.json:
        print(json.dumps(status, sort_keys=True))
        return 0
    runs = "runs this host" if status["init_runs"] else "does not run here"
    before = f" (before: {status['previous']})" if status["previous"] else ""
    trial = ", on trial" if status["on_trial"] else ""
    print(f"service   {status['name']}, {status['init']}, which {runs}")
    print(f"launcher  {status['launcher'] or 'none in its place'}{before}{trial}")
    for path, found in status["files"].items():
        print(f"file      {path}: {found}")
    return 0


def _upgrade(options: argparse.Namespace) -> int:
    from fleetroll_agent.service.detached import upgrade  # noqa: PLC0415 (see _wish)
    from fleetroll_agent.service.place import running_source  # noqa: PLC0415 (see _wish)

    ended = upgrade(options.state.absolute(), running_source())
    gone = f"the helper ended after the step {ended.step!r}; run the command again: it begins anew"
    print(ended.detail or gone)
    return _EXITS.get(ended.outcome, EXIT_HELPER_GONE)
