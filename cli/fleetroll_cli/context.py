"""Which server a command means, and with whose right: options, else environment, else a context."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleetroll_client import AdminClient, Resolved, Wanted, resolve, translate

if TYPE_CHECKING:
    from collections.abc import Iterator

CALL_SECONDS = 30.0
"""How long a command waits for an answer."""

ServerOption = Annotated[str, typer.Option("--server", envvar="FLEETROLL_SERVER", help="The server, host:port.")]
CaOption = Annotated[
    Path | None, typer.Option("--ca", envvar="FLEETROLL_CA", help="File with the server's CA certificate.")
]
TokenOption = Annotated[
    Path | None, typer.Option("--token-file", envvar="FLEETROLL_TOKEN_FILE", help="File with the API token.")
]
ContextOption = Annotated[
    str,
    typer.Option("--context", envvar="FLEETROLL_CONTEXT", help="Name of the context to use; default: the current one."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def keep(context: typer.Context, wanted: Wanted) -> None:
    """Keep what the global options said, for the command."""
    context.obj = wanted


def kept(context: typer.Context) -> Wanted:
    """Return what the global options said."""
    wanted: Wanted = context.obj
    return wanted


def meant(context: typer.Context) -> Resolved:
    """Return what the global options mean.

    Raises:
        RequestError: an option is missing, or a file can't be read (caller's fault).
    """
    return resolve(kept(context))


def fleet_of(context: typer.Context, given: str) -> str:
    """Return the fleet that is given, else the context's; empty for the server's default."""
    return given or meant(context).fleet


@contextmanager
def connected(context: typer.Context) -> Iterator[AdminClient]:
    """Open a client for the server that the options name; gRPC errors inside become typed ones.

    Raises:
        RequestError: an option is missing, a file can't be read, or the server refused (caller's fault).
    """
    with AdminClient(meant(context).endpoint) as client, translate():
        yield client
