"""Which server is meant, and with whose right: options, else environment, else the context.

1. An option is stronger than a variable, a variable stronger than a context. The context is the one that ``--context``
   or ``$FLEETROLL_CONTEXT`` names, else the current one.
2. Where options and variables say all, and name no context, the file is not looked at.
3. A context's environment and fleet hold for its own server alone: the band of staging over another server would lie.
4. A context's token goes only to servers that its own CA vouches for.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_client.contexts import Context, Environment, config_path, load
from fleetroll_client.endpoint import Endpoint
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVER, CA, TOKEN_FILE, CONTEXT = "FLEETROLL_SERVER", "FLEETROLL_CA", "FLEETROLL_TOKEN_FILE", "FLEETROLL_CONTEXT"

MAX_FILE_BYTES = 1 << 20
"""Far above any token and any list of certificates."""


@dataclass(frozen=True)
class Wanted:
    """What options said; each may be absent.

    Attributes:
        server: ``host:port``.
        ca_file: the server's CA certificate.
        token_file: the API token alone.
        context: name of a context.
    """

    server: str = ""
    ca_file: Path | None = None
    token_file: Path | None = None
    context: str = ""


@dataclass(frozen=True)
class Resolved:
    """What is meant.

    Attributes:
        endpoint: the server, its CA, the token.
        context: name of the context that said any of it; empty for none.
        environment: what the server is for.
        fleet: the context's; empty for the server's default.
    """

    endpoint: Endpoint
    context: str = ""
    environment: Environment = Environment.OTHER
    fleet: str = ""


def resolve(wanted: Wanted | None = None, environ: Mapping[str, str] = os.environ) -> Resolved:
    """Return what is meant, with the files read.

    Raises:
        RequestError: something is not given, can't be read, or is wrong: named with its remedy (caller's fault).
    """
    wanted = wanted or Wanted()
    server = wanted.server or environ.get(SERVER, "")
    ca_file = wanted.ca_file or _path(environ, CA)
    token_file = wanted.token_file or _path(environ, TOKEN_FILE)
    name = wanted.context or environ.get(CONTEXT, "")
    context = _context(name, environ) if name or not (server and ca_file and token_file) else None
    if context is not None and (ca_file is None or ca_file == context.ca_file):
        token_file = token_file or context.token_file
    server = server or (context.server if context is not None else "")
    ca_file = ca_file or (context.ca_file if context is not None else None)
    if not server:
        raise _absent("server", SERVER)
    ca_pem = read_file(ca_file, "ca", CA)
    token = token_in(read_file(token_file, "token-file", TOKEN_FILE), token_file)
    endpoint = Endpoint(server, ca_pem, token)
    if context is None or server != context.server:
        return Resolved(endpoint, context.name if context is not None else "")
    return Resolved(endpoint, context.name, context.environment, context.fleet)


def _context(name: str, environ: Mapping[str, str]) -> Context | None:
    """Return the context of a name, or the current one; None where there is no current one."""
    known = load(config_path(environ))
    wanted = name or known.current
    return known.named(wanted) if wanted else None


def _path(environ: Mapping[str, str], variable: str) -> Path | None:
    """Return the path in a variable."""
    return Path(environ[variable]) if environ.get(variable) else None


def token_in(content: bytes, path: Path | None) -> str:
    """Return the token that a file holds.

    Raises:
        RequestError: it holds none: a token is one word of ASCII (caller's fault).
    """
    words = content.split()
    if len(words) != 1 or not words[0].isascii() or not words[0].decode().isprintable():
        message = f"token-file: {path} does not hold one API token"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="name the file that holds the token alone")
    return words[0].decode()


def read_file(path: Path | None, option: str, variable: str) -> bytes:
    """Return the bytes of the file that an option names: :data:`MAX_FILE_BYTES` at most.

    A pipe is read until its writer closes it, however long that takes; an interrupt ends the waiting.

    Raises:
        RequestError: not given or not readable (caller's fault).
    """
    if path is None:
        raise _absent(option, variable)
    try:
        with path.open("rb") as file:  # a pipe too, so its size is not known before
            content = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no file has such a name"
        raise _unfit(option, f"{path} can't be read: {why}") from error
    if len(content) > MAX_FILE_BYTES:
        raise _unfit(option, f"{path} has more than {MAX_FILE_BYTES} bytes")
    return content


def _unfit(option: str, what: str) -> RequestError:
    """Return the error of a file that is not what an option wants."""
    return RequestError(
        f"{option}: {what}", code=Code.INVALID_ARGUMENT, remedy=f"name a readable file with --{option}", field=option
    )


def _absent(option: str, variable: str) -> RequestError:
    """Return the error of what is not given."""
    remedy = f"give --{option}, set {variable}, or name a context (fleetroll context add)"
    return RequestError(f"{option}: not given", code=Code.INVALID_ARGUMENT, remedy=remedy, field=option)
