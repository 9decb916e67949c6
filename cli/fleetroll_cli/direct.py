"""``fleetroll agents update|rollback``: one host now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fleetroll.v1 import agents_pb2
from fleetroll_cli import following
from fleetroll_cli.agents import AgentArgument, ReasonOption  # noqa: TC001 (typer reads the annotations)
from fleetroll_cli.context import CALL_SECONDS, JsonOption, connected
from fleetroll_cli.output import plain, print_json, say
from fleetroll_cli.parse import said

if TYPE_CHECKING:
    from fleetroll_client import AdminClient

ProductOption = Annotated[str, typer.Option("--product", callback=said("product"), help="The product.")]
WatchOption = Annotated[bool, typer.Option("--watch", help="Watch it until its outcome, which is the exit code.")]


def update(  # noqa: PLR0913, PLR0917 (one parameter per option)
    context: typer.Context,
    agent: AgentArgument,
    version: Annotated[
        str | None,
        typer.Option("--version", callback=said("version"), help="The version; default: the newest stable one."),
    ] = None,
    product: ProductOption = "agent",
    retry_bad: Annotated[
        bool, typer.Option("--retry-bad", help="Also where the host rolled this digest back as bad; needs a reason.")
    ] = False,
    acknowledge: Annotated[bool, typer.Option("--acknowledge-breaking-changes", help="Accept them.")] = False,
    reason: ReasonOption = "",
    watching: WatchOption = False,
    json: JsonOption = False,
) -> None:
    """Update one host that is online, now, by a rollout of its own."""
    request = agents_pb2.UpdateAgentRequest(
        agent=agent,
        product=product,
        version=version or "",
        reason=reason,
        retry_bad=retry_bad,
        acknowledge_breaking_changes=acknowledge,
    )
    with connected(context) as client:
        answer = client.agents.UpdateAgent(request, timeout=CALL_SECONDS)
        _show(client, answer, watching=watching, json=json)


def rollback(
    context: typer.Context,
    agent: AgentArgument,
    product: ProductOption = "agent",
    reason: ReasonOption = "",
    watching: WatchOption = False,
    json: JsonOption = False,
) -> None:
    """Take one host that is online back to the version that it had before, now."""
    request = agents_pb2.RollBackAgentRequest(agent=agent, product=product, reason=reason)
    with connected(context) as client:
        answer = client.agents.RollBackAgent(request, timeout=CALL_SECONDS)
        _show(client, answer, watching=watching, json=json)


def _show(
    client: AdminClient,
    answer: agents_pb2.UpdateAgentResponse | agents_pb2.RollBackAgentResponse,
    *,
    watching: bool,
    json: bool,
) -> None:
    """Print what was begun, then watch it where that is wanted."""
    begun = answer.attempt
    if not json:
        way = f"{plain(begun.from_version) or 'none'} → {plain(begun.to_version)}"
        say(f"{plain(begun.attempt_id)}  {way}  by {plain(begun.rollout_id)}")
    elif not watching:  # a watcher's one document is the outcome
        print_json(answer)
    if watching:
        raise typer.Exit(following.follow(client, begun.rollout_id, json=json))
