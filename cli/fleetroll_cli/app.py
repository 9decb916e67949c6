"""The program ``fleetroll``: global options and the nouns."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
import typer.exceptions

from fleetroll_cli import agents, kill, release, rollout, tokens
from fleetroll_cli.context import CaOption, ServerOption, Target, TokenOption
from fleetroll_cli.exits import Exit
from fleetroll_cli.output import plain, say
from fleetroll_common.buildinfo import build_info
from fleetroll_common.values.errors import FleetrollError

app = typer.Typer(
    name="fleetroll",
    help="Steer releases and rollouts of a fleet.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(agents.app, name="agents", help="Hosts and their identities.")
app.add_typer(release.app, name="release", help="Build and publish releases.")
app.add_typer(rollout.app, name="rollout", help="Bring a release to hosts, wave by wave.")
app.add_typer(kill.app, name="kill", help="The kill switch: stop everything at once.")
app.add_typer(tokens.app, name="tokens", help="Tokens of hosts and programs.")


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
    version: Annotated[  # noqa: ARG001 (its callback does the work)
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Keep the global options for the command."""
    context.obj = Target(server, ca, token_file)


def main() -> None:
    """Run the program; every error is one line on standard error and a documented exit code."""
    try:
        code = app(standalone_mode=False)
    except typer.exceptions.TyperException as error:
        if error.format_message():
            sys.stderr.write(f"fleetroll: {plain(error.format_message(), 2000)}\n")
        sys.exit(error.exit_code)
    except FleetrollError as error:
        sys.stderr.write(f"fleetroll: {plain(str(error), 2000)}\n")
        sys.exit(Exit.ERROR)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("fleetroll: interrupted; what the server was told goes on\n")
        sys.exit(Exit.ERROR)
    sys.exit(code if isinstance(code, int) else Exit.OK)
