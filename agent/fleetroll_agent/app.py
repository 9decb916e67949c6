"""The agent's command line. Each command imports what it needs: the launcher's process stays small."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_agent.launcher.errors import LauncherError
from fleetroll_agent.launcher.main import add_options, run_with
from fleetroll_agent.launcher.pipe import HOST_REFUSES_EXIT
from fleetroll_common.buildinfo import build_info
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError
from fleetroll_common.values.plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fleetroll_agent.enrol import Wish

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 (it has no other name)

EXIT_FAILED = 1
EXIT_UNREACHABLE = 20
EXIT_REFUSED = 21
EXIT_INTERRUPTED = 130
"""Exit codes of names.md; 2 is wrong usage, by argparse.

An agent that its launcher runs has four more: 0 and 75 for ends on purpose (75: start what your record says), 78
(``pipe.HOST_REFUSES_EXIT``) when the host's own state keeps it from starting, which counts against no version, and 79
(``pipe.WRONG_NAME_EXIT``) on trial as another version than it was built as. A self-test ends with 78 likewise.
"""


_NO_SERVER = frozenset({Code.UNAVAILABLE, Code.DOWNLOAD_FAILED})
"""No server answered, or it went away in the middle."""
_LINE_CHARS = 2000
"""What a terminal is shown of one sentence: servers have their words in some."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code. Never a traceback for what a person can mend."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    try:
        words = list(sys.argv[1:] if argv is None else argv)
        options = parser(words[0] if words else "").parse_args(words)
        run: Callable[[argparse.Namespace], int] = options.run
        return run(options)
    except FleetrollError as error:
        return _complain(str(error), _exit_code(error))
    except LauncherError as error:
        return _complain(str(error), EXIT_REFUSED)
    except OSError as error:
        return _complain(f"the host refused: {error}", EXIT_FAILED)
    except KeyboardInterrupt:
        return _complain("interrupted; nothing is lost: run it again to go on where it stopped", EXIT_INTERRUPTED)


def parser(first: str = "") -> argparse.ArgumentParser:
    """Return the parser of all commands; with ``run`` as the ``first`` word it knows that one alone, and is small."""
    top = argparse.ArgumentParser(prog="fleetroll-agent", description="Keeps this host as its fleet wants it.")
    top.add_argument("--version", action="version", version=f"fleetroll-agent {build_info().shown}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    (_add_run if first == "run" else _add_all)(commands)
    return top


def _add_run(commands: Commands) -> None:
    run = commands.add_parser("run", help="run the launcher, which runs the agent, until SIGTERM")
    add_options(run)
    run.add_argument("--launcher-pipe", metavar="R,W", help=argparse.SUPPRESS)
    run.set_defaults(run=_run)


def _add_all(commands: Commands) -> None:
    from fleetroll_agent.anchors.cli import add_commands as add_anchors  # noqa: PLC0415 (see the module)
    from fleetroll_agent.control.cli import add_commands as add_control  # noqa: PLC0415 (see the module)
    from fleetroll_agent.reading.cli import add_commands as add_reading  # noqa: PLC0415 (see the module)
    from fleetroll_agent.service.cli import add_commands as add_service  # noqa: PLC0415 (see the module)

    enroll = commands.add_parser("enroll", help="make this host an agent of the server that the join string names")
    _add_wish(enroll)
    enroll.add_argument("--channel", default="stable", help="begin with a release of this channel (stable)")
    again = "take up this agent again, with its readmission string, on a machine that lost its state folder"
    enroll.add_argument("--agent-id", default="", metavar="ID", help=again)
    enroll.set_defaults(run=_enroll)
    readmit = commands.add_parser("readmit", help="give this agent a new key, after a copy of it was seen")
    _add_wish(readmit)
    damaged = "the agent that this host is; needed only where its damaged files don't say it"
    readmit.add_argument("--agent-id", default="", metavar="ID", help=damaged)
    readmit.set_defaults(run=_readmit, channel="stable")
    _add_run(commands)
    test = commands.add_parser("self-test", help="check that this program works here, and say its version")
    _add_state(test)
    test.set_defaults(run=_self_test)
    add_reading(commands)
    add_control(commands)
    add_anchors(commands)
    add_service(commands)


def _add_state(command: argparse.ArgumentParser) -> None:
    command.add_argument("--state", required=True, type=Path, metavar="DIR", help="the agent's state folder")


def _add_wish(command: argparse.ArgumentParser) -> None:
    command.add_argument("join_string", help="as the server printed it, in one piece; - reads it from standard input")
    _add_state(command)
    command.add_argument("--name", default="", help="the host's name for the server (its own)")
    command.add_argument("--label", action="append", default=[], type=_label, metavar="K=V", help="may be repeated")
    python = os.path.realpath(sys.executable)
    command.add_argument("--interpreter", default=python, metavar="PATH", help="the Python that runs the agent")


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        message = f"{text!r} is not KEY=VALUE"
        raise argparse.ArgumentTypeError(message)
    return key, value


def _wish(options: argparse.Namespace) -> Wish:
    from fleetroll_agent.enrol import Wish  # noqa: PLC0415 (see the module)
    from fleetroll_agent.host import host_name  # noqa: PLC0415 (see the module)
    from fleetroll_common.wire.joinstring import JoinString  # noqa: PLC0415 (see the module)

    text = sys.stdin.read() if options.join_string == "-" else options.join_string
    return Wish(
        join=JoinString.decode(text),
        folder=options.state.absolute(),
        host_name=options.name or host_name(),
        channel=options.channel,
        interpreter=options.interpreter,
        labels=dict(options.label),
        agent_id=options.agent_id,
    )


def _enroll(options: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415 (see the module)

    from fleetroll_agent.enrol import enroll  # noqa: PLC0415 (see the module)

    _log_to_stderr()
    print(plain(asyncio.run(enroll(_wish(options))), _LINE_CHARS))
    return 0


def _readmit(options: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415 (see the module)

    from fleetroll_agent.enrol import readmit  # noqa: PLC0415 (see the module)

    _log_to_stderr()
    print(plain(asyncio.run(readmit(_wish(options))), _LINE_CHARS))
    return 0


def _run(options: argparse.Namespace) -> int:
    if options.launcher_pipe is None:
        return run_with(options)
    import asyncio  # noqa: PLC0415 (see the module)

    from fleetroll_agent.daemon import run_daemon  # noqa: PLC0415 (see the module)

    _log_to_stderr()
    return asyncio.run(run_daemon(Path(options.state).absolute(), options.launcher_pipe))


def _self_test(options: argparse.Namespace) -> int:
    from fleetroll_agent.self_check import self_check  # noqa: PLC0415 (see the module)

    _log_to_stderr()
    try:
        print(json.dumps(self_check(options.state.absolute())))
    except AgentError as error:
        if error.code is not Code.VERSION_MISMATCH:
            raise
        return _complain(str(error), HOST_REFUSES_EXIT)
    return 0


def _log_to_stderr() -> None:
    """Log one JSON object per line to standard error, which the launcher keeps."""
    import logging  # noqa: PLC0415 (see the module)
    from typing import TextIO, cast  # noqa: PLC0415 (see the module)

    import structlog  # noqa: PLC0415 (see the module)

    from fleetroll_common.streams import LogSink  # noqa: PLC0415 (see the module)

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", LogSink())),
    )


def _exit_code(error: FleetrollError) -> int:
    if isinstance(error, AgentError):
        return EXIT_UNREACHABLE if error.code in _NO_SERVER else EXIT_FAILED
    return EXIT_REFUSED


def _complain(sentence: str, exit_code: int) -> int:
    sys.stderr.write(f"fleetroll-agent: {plain(sentence, _LINE_CHARS)}\n")
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
