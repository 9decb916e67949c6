"""The command line ``fleetroll-server``: init, run, backup, restore, --version."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fleetroll_common.buildinfo import build_info
from fleetroll_common.values.errors import FleetrollError

PROGRAM = "fleetroll-server"


EXIT_INTERRUPTED = 130
"""As shells say it of a command that ctrl+c ended; a server that runs ends in order by it, with 0."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code: 0 done, 1 refused or failed, 2 usage, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _run(options: argparse.Namespace) -> int:
    """Run the command, or say why not."""
    try:
        from fleetroll_server import commands, keeping  # noqa: PLC0415 (what needs the extra is loaded where its absence is said)
    except ImportError as error:
        if (error.name or "").startswith("fleetroll"):
            raise
        print(f"{PROGRAM}: {error.name} is not installed: pip install 'fleetroll[server]'", file=sys.stderr)
        return 1
    try:
        if options.command == "init":
            return commands.init(options)
        return {"run": commands.run, "backup": keeping.backup, "restore": keeping.restore}[options.command](options)
    except FleetrollError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
    except OSError as error:
        remedy = "see that it is there, of the right kind, and open to this user"
        print(f"{PROGRAM}: {error.filename or 'system'}: {error.strerror or error}; {remedy}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="The control plane of Fleetroll.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {build_info().shown}")
    commands = parser.add_subparsers(dest="command", required=True)
    init = commands.add_parser("init", help="make a new data folder, its keys and the first admin token")
    init.add_argument("--data", type=Path, required=True, help="the folder to make")
    init.add_argument("--root-keys", type=Path, help="where the root keys go: outside of --data, to be taken away")
    init.add_argument(
        "--trust",
        type=Path,
        metavar="DIR",
        help="instead: the folder for-server of `fleetroll keys init`; no root key comes near this machine",
    )
    init.add_argument(
        "--trust-secret-file", type=Path, help="its first line opens the keys in --trust; without it, it is asked for"
    )
    init.add_argument(
        "--address",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="where hosts will reach the server; may be given several times",
    )
    init.add_argument(
        "--passphrase-file", type=Path, help="its first line protects the root keys; without it they are unprotected"
    )
    init.add_argument("--demo", action="store_true", help="let builds of a dirty source tree be published here")
    run = commands.add_parser("run", help="run the server until it is told to stop")
    run.add_argument("--data", type=Path, required=True, help="the folder that init made")
    run.add_argument("--listen", metavar="HOST:PORT", help="where to listen; port 0 takes a free one")
    _add_keeping(commands)
    return parser


def _add_keeping(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add backup and restore."""
    backup = commands.add_parser("backup", help="write all that a server is into one file, while it runs")
    backup.add_argument("--data", type=Path, required=True, help="the folder that init made")
    backup.add_argument("--out", type=Path, required=True, help="the file to make")
    how = backup.add_mutually_exclusive_group(required=True)
    how.add_argument("--passphrase-file", type=Path, help="its first line encrypts the backup")
    how.add_argument(
        "--plaintext", action="store_true", help="do not encrypt it: whoever can read the file has the whole server"
    )
    backup.add_argument(
        "--without-artefacts", action="store_true", help="leave the bytes of releases out: the file is much smaller"
    )
    restore = commands.add_parser("restore", help="make a data folder from a backup; the server starts in recovery")
    restore.add_argument("--data", type=Path, required=True, help="the folder to make")
    restore.add_argument("--from", dest="source", type=Path, required=True, metavar="FILE", help="the backup")
    restore.add_argument("--passphrase-file", type=Path, help="its first line opens an encrypted backup")
    restore.add_argument(
        "--stops",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="the lost server's stops.log; without it every join token is suspended",
    )


if __name__ == "__main__":
    sys.exit(main())
