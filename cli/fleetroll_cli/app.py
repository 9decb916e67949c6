"""The program ``fleetroll``: global options and the nouns."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated, NoReturn

import typer
import typer.exceptions

from fleetroll_cli import (
    agents,
    anchors,
    console,
    contexts,
    direct,
    events,
    kill,
    manifests,
    policy,
    recovery,
    release,
    rollout,
    steering,
    tokens,
    why,
)
from fleetroll_cli.context import CaOption, ContextOption, ServerOption, TokenOption, keep
from fleetroll_cli.exits import Exit, explained
from fleetroll_cli.interrupting import INTERRUPTED, end_when_interrupted
from fleetroll_cli.keys import app as keys
from fleetroll_cli.output import plain, say
from fleetroll_client import Wanted
from fleetroll_common.buildinfo import build_info
from fleetroll_common.streams import let_go
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError

app = typer.Typer(
    name="fleetroll",
    help="Steer releases and rollouts of a fleet.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
agents.app.command("update")(direct.update)
agents.app.command("rollback")(direct.rollback)
rollout.app.command("roll-back")(steering.roll_back)
rollout.app.command("retry")(steering.retry)
rollout.app.command("skip-host")(steering.skip_host)
app.add_typer(agents.app, name="agents", help="Hosts and their identities.")
app.add_typer(anchors.app, name="anchors", help="Where hosts find their servers, and whom they trust there.")
app.add_typer(release.app, name="release", help="Build and publish releases.")
app.add_typer(manifests.app, name="manifest", help="Release manifests of build pipelines.")
app.add_typer(rollout.app, name="rollout", help="Bring a release to hosts, wave by wave.")
app.add_typer(policy.app, name="policy", help="What fleets and hosts take, and when.")
app.add_typer(kill.app, name="kill", help="The kill switch: stop everything at once.")
app.add_typer(recovery.app, name="recovery", help="A restored server: where it stands, hosts to approve, its end.")
app.add_typer(tokens.app, name="tokens", help="Tokens of hosts and programs.")
app.add_typer(keys.app, name="keys", help="The keys that releases are signed with.")
app.add_typer(contexts.app, name="context", help="The servers that you steer, by name.")
app.command("why")(why.why)
app.command("events")(events.events)
app.command("console", context_settings=console.SETTINGS)(console.console)


def _version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        info = build_info()
        say(f"fleetroll {info.version} {info.git_sha}".rstrip())
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    server: ServerOption = "",
    ca: CaOption = None,
    token_file: TokenOption = None,
    named: ContextOption = "",
    version: Annotated[  # noqa: ARG001 (its callback does the work)
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Keep the global options for the command."""
    keep(context, Wanted(server, ca, token_file, named))


def main() -> None:
    """Run the program; every error is one line on standard error and a documented exit code."""
    code: object = Exit.OK
    end_when_interrupted()
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its words would come before ours, which say what is wrong
    if sys.stdout is None:
        sys.exit(f"fleetroll: output: it is closed ({Code.INTERNAL}); leave standard output open, or use /dev/null")
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()  # here a full disk still is an error of ours
    except typer.exceptions.TyperException as error:
        _end(error.format_message(), error.exit_code)
    except FleetrollError as error:
        _end(str(error), Exit.ERROR)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:  # whoever read has seen enough
        _end("", Exit.ERROR)
    except (ValueError, OSError) as error:
        _end(*explained(error, sys.argv[1:]))
    if code == INTERRUPTED:  # the library around the commands turns an interrupt into this code
        _end("interrupted; what the server was told goes on", INTERRUPTED)
    sys.exit(code if isinstance(code, int) else Exit.OK)


def _end(sentence: str, code: int) -> NoReturn:
    """Say why and end; what could not be printed is given up, so that the interpreter's end does not try it again."""
    if sentence:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"fleetroll: {plain(sentence, 2000)}\n")
    let_go(sys.stdout)
    sys.exit(code)
