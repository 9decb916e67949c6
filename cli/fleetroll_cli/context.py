"""Which server a command means, and with whose right: options, else environment."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleetroll_client import AdminClient, Endpoint, translate
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

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
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


@dataclass(frozen=True)
class Target:
    """What the global options said."""

    server: str
    ca: Path | None
    token_file: Path | None


@contextmanager
def connected(context: typer.Context) -> Iterator[AdminClient]:
    """Open a client for the server that the options name; gRPC errors inside become typed ones.

    Raises:
        RequestError: an option is missing, a file can't be read, or the server refused (caller's fault).
    """
    target: Target = context.obj
    if not target.server:
        message = "server: not given"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="give --server or set FLEETROLL_SERVER")
    ca = read_file(target.ca, "ca", "FLEETROLL_CA")
    token = read_file(target.token_file, "token-file", "FLEETROLL_TOKEN_FILE").decode("ascii", "replace").strip()
    with AdminClient(Endpoint(target.server, ca, token)) as client, translate():
        yield client


def read_file(path: Path | None, option: str, variable: str) -> bytes:
    """Return the bytes of the file that an option names.

    Raises:
        RequestError: not given or not readable (caller's fault).
    """
    if path is None:
        message = f"{option}: not given"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=f"give --{option} or set {variable}")
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"{option}: {path} can't be read: {error.strerror}"
        raise RequestError(
            message, code=Code.INVALID_ARGUMENT, remedy=f"name a readable file with --{option}"
        ) from error
