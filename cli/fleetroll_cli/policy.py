"""``fleetroll policy``: what fleets and hosts take, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from fleetroll.v1 import policy_pb2, types_pb2
from fleetroll_cli.agents import id_of
from fleetroll_cli.context import CALL_SECONDS, JsonOption, connected, fleet_of
from fleetroll_cli.names import local_time, policy_origin
from fleetroll_cli.output import plain, print_json, print_table, say
from fleetroll_cli.parse import between, said
from fleetroll_cli.policy_values import in_words, read_values
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from fleetroll_client import AdminClient

app = typer.Typer(no_args_is_help=True)

DEFAULT_FLEET = "default"
FleetOption = Annotated[
    str | None,
    typer.Option("--fleet", callback=said("fleet"), help="The fleet; default: the context's, else the default fleet."),
]
GlobalOption = Annotated[bool, typer.Option("--global", help="What is said for all fleets.")]
HostOption = Annotated[str, typer.Option("--host", help="What is said for this host: its id or name.")]
ProductOption = Annotated[str, typer.Option("--product", help="What is said for this product; default: for all.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept with the decision.")]
SerialOption = Annotated[
    int | None,
    typer.Option(
        "--serial",
        callback=between(0, 2**63 - 1, "serial"),
        help="The serial that you saw; refused when it is another one by now. Default: the one that is read first.",
    ),
]


@dataclass(frozen=True, slots=True)
class _Where:
    """The options that name a level."""

    fleet: str | None
    all_fleets: bool
    host: str
    product: str

    def level(self, context: typer.Context, client: AdminClient) -> policy_pb2.PolicyLevel:
        """Return the level.

        Raises:
            RequestError: the options contradict each other, or there is no such host (caller's fault).
        """
        if self.all_fleets and (self.fleet or self.host):
            message = "global: it goes with neither a fleet nor a host"
            raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="name one of them", field="global")
        if self.host:
            agent_id = id_of(client, self.host)
            return policy_pb2.PolicyLevel(fleet_id=self.fleet or "", agent_id=agent_id, product=self.product)
        fleet = "" if self.all_fleets else fleet_of(context, self.fleet or "") or DEFAULT_FLEET
        return policy_pb2.PolicyLevel(fleet_id=fleet, product=self.product)


@app.command()
def show(
    context: typer.Context,
    fleet: FleetOption = None,
    all_fleets: GlobalOption = False,
    host: HostOption = "",
    product: ProductOption = "",
    json: JsonOption = False,
) -> None:
    """Show what holds, where each value comes from, and who said it."""
    where = _Where(fleet, all_fleets, host, product)
    with connected(context) as client:
        request = policy_pb2.GetPolicyRequest(level=where.level(context, client))
        answer = client.policy.GetPolicy(request, timeout=CALL_SECONDS)
    if json:
        print_json(answer)
        return
    print_table(("FIELD", "VALUE", "FROM", "BY", "SET"), [_field(item) for item in answer.fields])
    own = answer.documents[0] if answer.documents else policy_pb2.PolicyDocument()
    say(f"{_level(own.level)}: serial {own.serial}")


@app.command("set")
def set_(  # noqa: PLR0913 (one parameter per option)
    context: typer.Context,
    fields: Annotated[list[str], typer.Argument(help="field=value, such as pin='minor 1.4' or windows=none.")],
    reason: ReasonOption,
    *,
    fleet: FleetOption = None,
    all_fleets: GlobalOption = False,
    host: HostOption = "",
    product: ProductOption = "",
    serial: SerialOption = None,
    json: JsonOption = False,
) -> None:
    """Set fields at one level; rollouts under way go by them at once."""
    values = read_values(fields)
    where = _Where(fleet, all_fleets, host, product)
    with connected(context) as client:
        level = where.level(context, client)
        request = policy_pb2.SetPolicyRequest(
            level=level, set=values, reason=reason, serial=_serial(client, level, serial)
        )
        answer = client.policy.SetPolicy(request, timeout=CALL_SECONDS)
    print_json(answer) if json else _say_changed(answer)


@app.command()
def unset(  # noqa: PLR0913 (one parameter per option)
    context: typer.Context,
    fields: Annotated[list[str], typer.Argument(help="Fields that are not said here any more.")],
    reason: ReasonOption,
    *,
    fleet: FleetOption = None,
    all_fleets: GlobalOption = False,
    host: HostOption = "",
    product: ProductOption = "",
    serial: SerialOption = None,
    json: JsonOption = False,
) -> None:
    """Say nothing about fields at one level: what is said above it holds again."""
    where = _Where(fleet, all_fleets, host, product)
    with connected(context) as client:
        level = where.level(context, client)
        request = policy_pb2.SetPolicyRequest(
            level=level, unset=fields, reason=reason, serial=_serial(client, level, serial)
        )
        answer = client.policy.SetPolicy(request, timeout=CALL_SECONDS)
    print_json(answer) if json else _say_changed(answer)


@app.command()
def history(
    context: typer.Context,
    fleet: FleetOption = None,
    all_fleets: GlobalOption = False,
    host: HostOption = "",
    product: ProductOption = "",
    json: JsonOption = False,
) -> None:
    """List the changes of one level, newest first."""
    where = _Where(fleet, all_fleets, host, product)
    answer, cursor = policy_pb2.ListPolicyHistoryResponse(), b""
    with connected(context) as client:
        level = where.level(context, client)
        while True:
            page = client.policy.ListPolicyHistory(
                policy_pb2.ListPolicyHistoryRequest(level=level, page=types_pb2.Page(size=1000, cursor=cursor)),
                timeout=CALL_SECONDS,
            )
            answer.changes.extend(page.changes)
            cursor = page.next_cursor
            if not cursor:
                break
    if json:
        print_json(answer)
        return
    rows = [
        (
            str(change.serial),
            local_time(change.decision, "decided_at"),
            change.decision.actor.id,
            text,
            change.decision.reason,
        )
        for change in answer.changes
        for text in in_words(change)
    ]
    print_table(("SERIAL", "WHEN", "BY", "CHANGE", "REASON"), rows)


@app.command()
def windows(  # noqa: PLR0913 (one parameter per option)
    context: typer.Context,
    fleet: FleetOption = None,
    all_fleets: GlobalOption = False,
    host: HostOption = "",
    product: ProductOption = "",
    *,
    zone: Annotated[str, typer.Option("--zone", help="Zone of a host; default: the host's own, or UTC.")] = "",
    count: Annotated[int, typer.Option("--count", callback=between(1, 50, "count"), help="Openings to show.")] = 5,
    tried: Annotated[
        list[str] | None, typer.Option("--set", help="field=value as it would be; may be repeated. Nothing is changed.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show when work may begin next; by the server's policy, beside which a host may have windows of its own."""
    where = _Where(fleet, all_fleets, host, product)
    with connected(context) as client:
        request = policy_pb2.PreviewPolicyRequest(level=where.level(context, client), time_zone=zone, count=count)
        if tried:
            request.set.CopyFrom(read_values(tried))
        answer = client.policy.PreviewPolicy(request, timeout=CALL_SECONDS)
    if json:
        print_json(answer)
        return
    say(f"now: {'open' if answer.open else f'shut: {plain(answer.why)}'}")
    rows = [(local_time(one, "begins"), local_time(one, "ends")) for one in answer.openings]
    print_table(("OPENS", "CLOSES"), rows)


def _serial(client: AdminClient, level: policy_pb2.PolicyLevel, given: int | None) -> int:
    """Return the serial that the caller saw, else the one that stands."""
    if given is not None:
        return given
    answer = client.policy.GetPolicy(policy_pb2.GetPolicyRequest(level=level), timeout=CALL_SECONDS)
    return answer.documents[0].serial if answer.documents else 0


def _say_changed(answer: policy_pb2.SetPolicyResponse) -> None:
    """Say what stands now."""
    under_way = f"; {answer.rollouts} rollouts under way go by it" if answer.rollouts else ""
    say(f"{_level(answer.document.level)}: serial {answer.document.serial}{under_way}")


def _level(level: policy_pb2.PolicyLevel) -> str:
    """Return a level as people read it."""
    whose = (
        f"host {level.agent_id}" if level.agent_id else f"fleet {level.fleet_id}" if level.fleet_id else "all fleets"
    )
    return plain(f"{whose}, {level.product or 'all products'}")


def _field(item: policy_pb2.EffectiveField) -> tuple[str, ...]:
    """Return the cells of a field."""
    origin = policy_origin(item.origin) + (f" for {item.product}" if item.product else "")
    return (item.name, item.value, origin, item.set_by.id or "-", local_time(item, "set_at"))
