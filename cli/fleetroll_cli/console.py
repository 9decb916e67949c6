"""``fleetroll console``: hands this terminal over to the console, a program of its own."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from fleetroll_cli.context import kept
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from fleetroll_client import Wanted

PROGRAM = "fleetroll_tui"
NEEDS = (PROGRAM, "textual")
"""What must be there: the program, and what its extra brings."""
SETTINGS = {"ignore_unknown_options": True}
"""Options that this command does not know are the console's."""


def console(
    context: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(help="Options of the console, such as --ascii.")] = None,
) -> None:
    """Open the console: the fleet, live, in this terminal."""
    if any(find_spec(name) is None for name in NEEDS):
        message = "console: it is not installed"
        raise RequestError(message, code=Code.UNIMPLEMENTED, remedy="install fleetroll with its extra: fleetroll[tui]")
    # -P: a folder in which somebody works must not bring modules of the same name.
    command = [sys.executable, "-P", "-m", PROGRAM, *_options(kept(context)), *(words or [])]
    sys.stdout.flush()
    os.execv(sys.executable, command)  # noqa: S606 (our own interpreter and our own program)


def _options(wanted: Wanted) -> list[str]:
    """Return the global options as the console takes them; the environment goes there by itself."""
    given = {
        "--server": wanted.server,
        "--ca": wanted.ca_file,
        "--token-file": wanted.token_file,
        "--context": wanted.context,
    }
    return [word for name, value in given.items() if value for word in (name, str(value))]
