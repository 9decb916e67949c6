"""``fleetroll context``: list, show, use, add, remove."""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleetroll_cli.anchors import authorities_of
from fleetroll_cli.context import JsonOption, kept
from fleetroll_cli.output import plain, print_table, say
from fleetroll_client import AdminClient, Endpoint, translate
from fleetroll_client.contexts import Context, load, read_environment
from fleetroll_client.keeping import put
from fleetroll_client.keeping import remove as remove_context
from fleetroll_client.keeping import use as use_context
from fleetroll_client.resolving import CA, TOKEN_FILE, read_file, token_in
from fleetroll_common.durable.files import write_durably

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_client.contexts import Contexts

app = typer.Typer(no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="Name of the context.")]


@app.command("list")
def list_contexts(json: JsonOption = False) -> None:
    """List the contexts; a star marks the current one."""
    known = load()
    if json:
        _print({"contexts": [_fields(each, known) for each in known.by_name.values()]})
        return
    rows = [
        ("*" if each.name == known.current else "", each.name, each.environment.value, each.server, each.fleet)
        for each in known.by_name.values()
    ]
    print_table(("", "NAME", "ENVIRONMENT", "SERVER", "FLEET"), rows)


@app.command()
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the context; default: the one in use.")] = "",
    json: JsonOption = False,
) -> None:
    """Show a context, and the file that it stands in. Neither the server nor the files it names are looked at."""
    known, wanted = load(), kept(context)
    found = known.named(name or wanted.context or known.current)
    if json:
        _print(_fields(found, known))
        return
    for key, value in _fields(found, known).items():
        say(f"{key.replace('_', ' '):12}  {plain(str(value), 500) or '-'}")
    say(f"{'in':12}  {plain(str(known.path), 500)}")


@app.command()
def use(name: NameArgument) -> None:
    """Make a context the current one."""
    use_context(name)
    say(f"{name} is current")


@app.command()
def add(
    context: typer.Context,
    name: NameArgument,
    server: Annotated[str, typer.Option("--server", help="The server, host:port.")] = "",
    ca: Annotated[Path | None, typer.Option("--ca", help="File with the server's CA certificate.")] = None,
    token_file: Annotated[Path | None, typer.Option("--token-file", help="File with the API token.")] = None,
    environment: Annotated[
        str, typer.Option("--environment", help="production, staging, development or other.")
    ] = "other",
    fleet: Annotated[str, typer.Option("--fleet", help="The fleet that is meant where none is named.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Also where the name is taken.")] = False,
) -> None:
    """Keep a server, its CA and a token file under a name; what is not given is what the global options mean."""
    wanted = kept(context)
    server, ca, token_file = server or wanted.server, ca or wanted.ca_file, token_file or wanted.token_file
    ca_pem = read_file(ca, "ca", CA)
    token = token_in(read_file(token_file, "token-file", TOKEN_FILE), token_file) if token_file is not None else ""
    Endpoint(server, ca_pem, token)  # refuses now what would not work later
    made = Context(
        name=name,
        server=server,
        ca_file=Path(ca or "").absolute(),
        token_file=token_file.absolute() if token_file is not None else None,
        environment=read_environment(environment),
        fleet=fleet,
    )
    known = put(made, replace=replace)
    say(f"{name} is added" + (", and current" if known.current == name else ""))


@app.command()
def refresh(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the context; default: the one in use.")] = "",
) -> None:
    """Write the CAs that the server's anchors list into the context's CA file. Do it while a CA follows another."""
    known, wanted = load(), kept(context)
    found = known.named(name or wanted.context or known.current)
    ca_pem = read_file(found.ca_file, "ca", CA)
    token = token_in(read_file(found.token_file, "token-file", TOKEN_FILE), found.token_file)
    # The server that says so has shown a certificate of a CA in the old file.
    with AdminClient(Endpoint(found.server, ca_pem, token)) as client, translate():
        fresh = "".join(authorities_of(client)).encode("ascii")
    if fresh == ca_pem:
        say(f"{found.ca_file} is what the server's anchors list")
        return
    write_durably(found.ca_file, fresh, 0o644)
    say(f"{found.ca_file} holds {fresh.count(b'BEGIN CERTIFICATE')} CA certificates now")


@app.command()
def remove(name: NameArgument) -> None:
    """Forget a context. The files that it names stay."""
    remove_context(name)
    say(f"{name} is removed")


def _fields(context: Context, known: Contexts) -> dict[str, str | bool]:
    """Return a context's values by name."""
    return {
        "name": context.name,
        "server": context.server,
        "ca_file": str(context.ca_file),
        "token_file": str(context.token_file or ""),
        "environment": context.environment.value,
        "fleet": context.fleet,
        "current": context.name == known.current,
    }


def _print(document: Mapping[str, object]) -> None:
    """Print one JSON document."""
    sys.stdout.write(json_format.dumps(document, indent=2, sort_keys=True).replace("\x7f", "\\u007f") + "\n")
