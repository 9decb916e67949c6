"""``fleetroll anchors``: where hosts find their servers, whom they trust there, and the change of both."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (typer reads the annotations)
from typing import TYPE_CHECKING, Annotated

import typer

from fleetroll.v1 import anchors_pb2 as pb
from fleetroll_cli.context import CALL_SECONDS, JsonOption, connected
from fleetroll_cli.names import local_time
from fleetroll_cli.output import print_json, print_table, say
from fleetroll_client.resolving import CA, read_file
from fleetroll_common.values.anchors import certificate_fault
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from fleetroll_client import AdminClient

app = typer.Typer(no_args_is_help=True)
rotate_app = typer.Typer(no_args_is_help=True)
app.add_typer(rotate_app, name="rotate-ca", help="Let another CA follow: prepare, switch, drop.")

ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept with the decision.")]
_ROLES = {
    pb.AUTHORITY_ROLE_OLD: "old",
    pb.AUTHORITY_ROLE_CURRENT: "current",
    pb.AUTHORITY_ROLE_NEXT: "next",
}


@app.command()
def show(context: typer.Context, json: JsonOption = False) -> None:
    """Show addresses, CAs, the server's certificate, and how many hosts have which anchors."""
    with connected(context) as client:
        answer = _get(client)
    _print(answer, answer.state, as_json=json)


@app.command("set")
def set_anchors(
    context: typer.Context,
    address: Annotated[
        list[str] | None, typer.Option("--address", help="host:port, in the order to try; may be repeated.")
    ] = None,
    ca: Annotated[
        list[Path] | None,
        typer.Option("--ca-file", help="File with a CA to trust; may be repeated. Default: as it is."),
    ] = None,
    serial: Annotated[int | None, typer.Option("--serial", help="Only if the anchors still have this serial.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also where the CAs do not lead to this server; needs --reason.")
    ] = False,
    reason: ReasonOption = "",
    json: JsonOption = False,
) -> None:
    """Sign other addresses or CAs; hosts take them with their next refresh."""
    request = pb.SetAnchorsRequest(addresses=address or [], certificates=certificates_in(ca or []), force=force)
    request.reason = reason
    if serial is not None:
        request.expected_serial = serial
    with connected(context) as client:
        answer = client.anchors.SetAnchors(request, timeout=CALL_SECONDS)
    _print(answer, answer.state, as_json=json)


@rotate_app.command()
def prepare(context: typer.Context, reason: ReasonOption = "", json: JsonOption = False) -> None:
    """Make the CA's successor and announce it beside the old one."""
    with connected(context) as client:
        answer = client.anchors.PrepareAuthority(pb.PrepareAuthorityRequest(reason=reason), timeout=CALL_SECONDS)
    _print(answer, answer.state, as_json=json)


@rotate_app.command()
def switch(
    context: typer.Context,
    force: Annotated[
        bool, typer.Option("--force", help="Also where the anchors do not list the successor; needs --reason.")
    ] = False,
    reason: ReasonOption = "",
    json: JsonOption = False,
) -> None:
    """Let the successor sign the server's certificate; streams that are open stay."""
    request = pb.SwitchAuthorityRequest(force=force, reason=reason)
    with connected(context) as client:
        answer = client.anchors.SwitchAuthority(request, timeout=CALL_SECONDS)
    _print(answer, answer.state, as_json=json)


@rotate_app.command()
def drop(context: typer.Context, reason: ReasonOption = "", json: JsonOption = False) -> None:
    """Let hosts trust the old CA no more; do it when all that matter have the newest anchors."""
    with connected(context) as client:
        answer = client.anchors.DropAuthority(pb.DropAuthorityRequest(reason=reason), timeout=CALL_SECONDS)
    _print(answer, answer.state, as_json=json)


def authorities_of(client: AdminClient) -> tuple[str, ...]:
    """Return the certificates of the CAs that the anchors list, and of the one behind this server's certificate.

    Raises:
        RequestError: INVALID_ARGUMENT: the server names none, or what is no certificate (its fault).
    """
    wanted = [one for one in _get(client).state.authorities if one.listed or one.role == pb.AUTHORITY_ROLE_CURRENT]
    fault = next((fault for one in wanted if (fault := certificate_fault(one.certificate))), "")
    if fault or not wanted:
        message = (
            f"certificates: of those that the server lists {fault}" if fault else "certificates: the server lists none"
        )
        remedy = "the file stays as it is: find out who answers in the server's place"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="certificates")
    return tuple(one.certificate for one in wanted)


def _get(client: AdminClient) -> pb.GetAnchorsResponse:
    return client.anchors.GetAnchors(pb.GetAnchorsRequest(), timeout=CALL_SECONDS)


def certificates_in(files: list[Path]) -> list[str]:
    """Return the certificates of files, one by one: a file may hold several."""
    texts = [read_file(path, "ca-file", CA).decode("ascii", "replace").replace("\r\n", "\n") for path in files]
    end = "-----END CERTIFICATE-----\n"
    return [part.lstrip() + end for text in texts for part in f"{text}\n".split(end) if part.strip()]


def _print(answer: object, state: pb.AnchorsState, *, as_json: bool) -> None:
    """Print how things stand."""
    if as_json:
        print_json(answer)  # type: ignore[arg-type]  # each response holds the state alone
        return
    say(f"serial       {state.serial}" if state.serial else "serial       0: nothing is signed yet")
    for address in state.addresses:
        say(f"address      {address}")
    say(f"certificate  {state.leaf_fingerprint[:16]} until {local_time(state, 'leaf_expires_at')}")
    if not state.signs_here:
        say("signing      the targets key is not on this server: sign anchors where it is")
    rows = [_row(one) for one in state.authorities]
    print_table(("CA", "ROLE", "ANNOUNCED", "EXPIRES"), rows)
    print_table(("HOSTS AT SERIAL", "HOSTS"), [(str(one.serial), str(one.hosts)) for one in state.reported])


def _row(one: pb.Authority) -> tuple[str, ...]:
    """Return one CA as a row."""
    role, listed = _ROLES.get(one.role, "unknown"), "yes" if one.listed else "no"
    return (one.fingerprint[:16], role, listed, local_time(one, "expires_at"))
