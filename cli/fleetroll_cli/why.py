"""``fleetroll why HOST``: what is in its way, and what comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fleetroll.v1 import rollouts_pb2 as pb
from fleetroll_cli.context import CALL_SECONDS, JsonOption, connected
from fleetroll_cli.names import attempt_state, code_name, local_time
from fleetroll_cli.output import plain, print_json, say
from fleetroll_cli.parse import said

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEXT = {
    pb.NEXT_STEP_WAIT: "waits",
    pb.NEXT_STEP_OFFER: "gets its offer next",
    pb.NEXT_STEP_GO: "gets Go at its next ask",
    pb.NEXT_STEP_END: "ends without an update at its turn",
    pb.NEXT_STEP_UNDER_WAY: "is under way",
    pb.NEXT_STEP_ENDED: "has its result",
}


def why(
    context: typer.Context,
    agent: Annotated[str, typer.Argument(callback=said("agent"), help="Id or name of the host.")],
    product: Annotated[str, typer.Option("--product", callback=said("product"), help="The product.")] = "agent",
    json: JsonOption = False,
) -> None:
    """Say why a host is not updating: every rule that is in its way, and when it clears."""
    with connected(context) as client:
        answer = client.rollouts.ExplainHost(pb.ExplainHostRequest(agent=agent, product=product), timeout=CALL_SECONDS)
    if json:
        print_json(answer)
        return
    for line in lines_of(answer):
        say(line)


def lines_of(answer: pb.ExplainHostResponse) -> Iterator[str]:
    """Give what is printed."""
    host = f"{plain(answer.name)}  {plain(answer.product)}"
    if not answer.standings:
        yield f"{host}: no rollout means it"
    for one in answer.standings:
        words = _NEXT.get(one.next, f"comes to what only a newer version knows ({one.next})")
        where = f"{attempt_state(one.state)}, wave {one.wave} of {plain(one.rollout_id)}"
        yield f"{host} {plain(one.version)}  {where}: {words}"
        for finding in one.findings:
            clears = ""
            if finding.HasField("clears_at"):
                clears = f"; clears {local_time(finding, 'clears_at')}"
            yield f"  {code_name(finding.code)}: {plain(finding.message, 500)}{clears}"
