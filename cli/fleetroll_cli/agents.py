"""``fleetroll agents``: list, show, revoke, readmit, dismiss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fleetroll.v1 import agents_pb2, types_pb2
from fleetroll_cli.context import CALL_SECONDS, JsonOption, connected
from fleetroll_cli.names import attempt_state, code_name, local_time
from fleetroll_cli.output import plain, print_json, print_table, say
from fleetroll_cli.parse import said
from fleetroll_client import ServerRefusedError, translate
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.release import AGENT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleetroll_client import AdminClient

app = typer.Typer(no_args_is_help=True)

AgentArgument = Annotated[str, typer.Argument(help="Id or name of the host.")]
OUTPUT_LINES = 10
"""Of what a command printed, for people; --json has all that is known."""
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept with the decision.")]


@app.command("list")
def list_agents(
    context: typer.Context,
    fleet: Annotated[str | None, typer.Option(callback=said("fleet"), help="Only this fleet.")] = None,
    name: Annotated[str, typer.Option(help="Only names that contain this.")] = "",
    revoked: Annotated[bool, typer.Option("--revoked", help="Revoked hosts too.")] = False,
    json: JsonOption = False,
) -> None:
    """List hosts by name."""
    answer = agents_pb2.ListAgentsResponse()
    cursor = b""
    with connected(context) as client:
        while True:
            request = agents_pb2.ListAgentsRequest(
                fleet_id=fleet or "",
                name_contains=name,
                include_revoked=revoked,
                page=types_pb2.Page(size=1000, cursor=cursor),
            )
            page = client.agents.ListAgents(request, timeout=CALL_SECONDS)
            answer.agents.extend(page.agents)
            cursor = page.next_cursor
            if not cursor:
                break
    if json:
        print_json(answer)
        return
    print_table(("NAME", "ID", "FLEET", "STATE", "PRODUCTS", "LAST SEEN"), [_row(agent) for agent in answer.agents])


@app.command()
def show(context: typer.Context, agent: AgentArgument, json: JsonOption = False) -> None:
    """Show one host and its newest attempts."""
    with connected(context) as client:
        answer = client.agents.GetAgent(agents_pb2.GetAgentRequest(agent=agent), timeout=CALL_SECONDS)
    if json:
        print_json(answer)
        return
    row = dict(zip(("name", "id", "fleet", "state", "products", "last seen"), _row(answer.agent), strict=True))
    for field, value in row.items():
        say(f"{field:10} {plain(value)}")
    say(f"{'labels':10} {plain(', '.join(f'{k}={v}' for k, v in sorted(answer.agent.labels.items())) or '-')}")
    print_table(("ATTEMPT", "FROM", "TO", "STATE", "CODE", "MESSAGE"), [_attempt(item) for item in answer.attempts])
    _say_output(answer.attempts)


@app.command()
def revoke(context: typer.Context, agent: AgentArgument, reason: ReasonOption, json: JsonOption = False) -> None:
    """Cut a host off, for good; what runs on it is not touched."""
    with connected(context) as client:
        request = agents_pb2.RevokeAgentRequest(agent_id=id_of(client, agent), reason=reason)
        answer = client.agents.RevokeAgent(request, timeout=CALL_SECONDS)
    print_json(answer) if json else say(f"{plain(answer.agent.name)} is revoked")


@app.command()
def readmit(context: typer.Context, agent: AgentArgument, reason: ReasonOption, json: JsonOption = False) -> None:
    """Print the one-use string with which local root gives this host a new key; elsewhere it changes nothing."""
    with connected(context) as client:
        request = agents_pb2.ReadmitAgentRequest(agent_id=id_of(client, agent), reason=reason)
        answer = client.agents.ReadmitAgent(request, timeout=CALL_SECONDS)
    print_json(answer) if json else say(answer.join_string)


@app.command()
def dismiss(context: typer.Context, agent: AgentArgument, reason: ReasonOption, json: JsonOption = False) -> None:
    """Take a broken host out of the budgets that it holds."""
    with connected(context) as client:
        request = agents_pb2.DismissAgentRequest(agent_id=id_of(client, agent), reason=reason)
        answer = client.agents.DismissAgent(request, timeout=CALL_SECONDS)
    print_json(answer) if json else say(f"freed: {', '.join(answer.scopes) or 'nothing'}")


def id_of(client: AdminClient, agent: str) -> str:
    """Return the id of the host that ``show`` shows; decisions go by ids alone.

    Raises:
        RequestError: several hosts have the name: each is named by its id (caller's fault).
    """
    try:
        with translate():
            return client.agents.GetAgent(agents_pb2.GetAgentRequest(agent=agent), timeout=CALL_SECONDS).agent.id
    except ServerRefusedError as error:
        if error.code is not Code.INVALID_ARGUMENT:
            raise
        ids = ", ".join(found.id for found in _called(client, agent))
        if not ids:
            raise
        message = f"agent: several hosts are called {agent[:80]!r}"
        raise RequestError(message, code=error.code, remedy=f"name one by its id: {ids}", field="agent") from error


def _called(client: AdminClient, name: str) -> list[agents_pb2.Agent]:
    """Return the hosts of exactly this name, revoked ones too."""
    request = agents_pb2.ListAgentsRequest(name_contains=name, include_revoked=True, page=types_pb2.Page(size=1000))
    answer = client.agents.ListAgents(request, timeout=CALL_SECONDS)
    return [found for found in answer.agents if found.name == name]


def _row(agent: agents_pb2.Agent) -> tuple[str, ...]:
    """Return a host's cells."""
    marks = [word for word, holds in (("revoked", agent.revoked), ("quarantined", agent.quarantined)) if holds]
    state = ", ".join(["online" if agent.online else "offline", *marks])
    products = ", ".join(_product(product) for product in agent.products) or "-"
    return (agent.name, agent.id, agent.fleet_id, state, products, local_time(agent, "last_seen_at"))


def _product(product: agents_pb2.ProductStatus) -> str:
    """Return "agent 1.0.0", "agent 1.0.0 → 1.1.0 staged", or "shop none" where the host keeps it and has none yet.

    Where somebody on the host has changed it since its last rollout: "shop 1.0.0, changed on the host from 1.1.0".
    """
    unknown = "?" if product.product == AGENT else "none"
    text = f"{product.product} {product.current_version or unknown}"
    if product.changed_on_host:
        text += f", changed on the host from {product.target_version}"
    elif product.target_version and product.target_version != product.current_version:
        text += f" → {product.target_version} {attempt_state(product.update_state)}"
    return f"{text} ({plain(product.note)})" if product.note else text


def _say_output(attempts: Iterable[types_pb2.Attempt]) -> None:
    """Print the last output of the newest attempt that left any; the attempts are the newest first."""
    spoke = next((attempt for attempt in attempts if attempt.output_tail), None)
    if spoke is not None:
        say(f"last output of {spoke.id}:")
        for line in spoke.output_tail.splitlines()[-OUTPUT_LINES:]:
            say(f"  {plain(line)}")


def _attempt(attempt: types_pb2.Attempt) -> tuple[str, ...]:
    """Return an attempt's cells."""
    return (
        attempt.id,
        attempt.from_version,
        attempt.to_version,
        attempt_state(attempt.state),
        code_name(attempt.code),
        attempt.message,
    )
