"""``fleetroll tokens``: tokens with which hosts join and programs call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from google.protobuf.duration_pb2 import Duration

from fleetroll.v1 import options_pb2, tokens_pb2, types_pb2
from fleetroll_cli.context import CALL_SECONDS, JsonOption, connected, fleet_of
from fleetroll_cli.names import local_time, role_name
from fleetroll_cli.output import print_json, print_table, say
from fleetroll_cli.parse import between, duration, labels
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from datetime import timedelta

app = typer.Typer(no_args_is_help=True)
join_app = typer.Typer(no_args_is_help=True)
api_app = typer.Typer(no_args_is_help=True)
app.add_typer(join_app, name="join", help="Tokens with which hosts enrol.")
app.add_typer(api_app, name="api", help="Tokens of programs and people.")

TokenArgument = Annotated[str, typer.Argument(help="Id of the token.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept with the decision.")]
LabelsOption = Annotated[list[str] | None, typer.Option("--label", help="key=value for its hosts; may be repeated.")]
_ALL = types_pb2.Page(size=1000)


@join_app.command("create")
def create_join(
    context: typer.Context,
    fleet: Annotated[str, typer.Option(help="The fleet; default: the context's, else the default fleet.")] = "",
    uses: Annotated[int, typer.Option(callback=between(1, 100_000, "max_uses"), help="Hosts that may use it.")] = 1,
    valid_for: Annotated[str, typer.Option(help="How long it is valid, such as 30m, 24h, 7d.")] = "24h",
    label: LabelsOption = None,
    reason: ReasonOption = "",
    json: JsonOption = False,
) -> None:
    """Make a token and print its join string; the secret is shown this once."""
    request = tokens_pb2.CreateJoinTokenRequest(
        fleet_id=fleet_of(context, fleet),
        max_uses=uses,
        labels=labels(label or []),
        valid_for=_wire(duration(valid_for)),
        reason=reason,
    )
    with connected(context) as client:
        answer = client.tokens.CreateJoinToken(request, timeout=CALL_SECONDS)
    print_json(answer) if json else say(answer.join_string)


@join_app.command("list")
def list_join(context: typer.Context, json: JsonOption = False) -> None:
    """List join tokens, newest first."""
    with connected(context) as client:
        answer = client.tokens.ListJoinTokens(tokens_pb2.ListJoinTokensRequest(page=_ALL), timeout=CALL_SECONDS)
    if json:
        print_json(answer)
        return
    rows = [
        (t.id, t.fleet_id, f"{t.uses}/{t.max_uses}", local_time(t, "expires_at"), "revoked" if t.revoked else "valid")
        for t in answer.tokens
    ]
    print_table(("ID", "FLEET", "USES", "EXPIRES", "STATE"), rows)


@join_app.command("revoke")
def revoke_join(
    context: typer.Context, token_id: TokenArgument, reason: ReasonOption = "", json: JsonOption = False
) -> None:
    """End a join token; hosts that used it stay."""
    with connected(context) as client:
        request = tokens_pb2.RevokeJoinTokenRequest(token_id=token_id, reason=reason)
        answer = client.tokens.RevokeJoinToken(request, timeout=CALL_SECONDS)
    print_json(answer) if json else say(f"{answer.token.id} is revoked")


@api_app.command("create")
def create_api(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What people call it.")],
    role: Annotated[str, typer.Option(help="viewer, operator or admin.")],
    scope: Annotated[list[str] | None, typer.Option("--scope", help="Only this scope; may be repeated.")] = None,
    fleet: Annotated[list[str] | None, typer.Option("--fleet", help="Only this fleet; may be repeated.")] = None,
    valid_for: Annotated[str, typer.Option(help="How long it is valid, such as 24h, 90d.")] = "90d",
    reason: ReasonOption = "",
    json: JsonOption = False,
) -> None:
    """Make a token and print it; the secret is shown this once."""
    request = tokens_pb2.CreateApiTokenRequest(
        name=name,
        role=_role(role),
        scopes=scope or [],
        fleet_ids=fleet or [],
        valid_for=_wire(duration(valid_for)),
        reason=reason,
    )
    with connected(context) as client:
        answer = client.tokens.CreateApiToken(request, timeout=CALL_SECONDS)
    print_json(answer) if json else say(answer.secret)


@api_app.command("list")
def list_api(context: typer.Context, json: JsonOption = False) -> None:
    """List API tokens, newest first, without their secrets."""
    with connected(context) as client:
        answer = client.tokens.ListApiTokens(tokens_pb2.ListApiTokensRequest(page=_ALL), timeout=CALL_SECONDS)
    if json:
        print_json(answer)
        return
    rows = [
        (t.id, t.name, role_name(t.role), local_time(t, "expires_at"), "revoked" if t.revoked else "valid")
        for t in answer.tokens
    ]
    print_table(("ID", "NAME", "ROLE", "EXPIRES", "STATE"), rows)


@api_app.command("revoke")
def revoke_api(
    context: typer.Context, token_id: TokenArgument, reason: ReasonOption = "", json: JsonOption = False
) -> None:
    """End an API token at once."""
    with connected(context) as client:
        request = tokens_pb2.RevokeApiTokenRequest(token_id=token_id, reason=reason)
        answer = client.tokens.RevokeApiToken(request, timeout=CALL_SECONDS)
    print_json(answer) if json else say(f"{answer.token.id} is revoked")


def _role(text: str) -> options_pb2.Role.ValueType:
    """Read a role.

    Raises:
        RequestError: it is none of the three (caller's fault).
    """
    if text not in {"viewer", "operator", "admin"}:
        message = f"role: {text!r} is no role"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="viewer, operator or admin", field="role")
    return options_pb2.Role.Value(f"ROLE_{text.upper()}")


def _wire(value: timedelta) -> Duration:
    """Return a duration of the wire."""
    wire = Duration()
    wire.FromTimedelta(value)
    return wire
