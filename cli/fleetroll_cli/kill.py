"""``fleetroll kill``: the kill switch."""

from __future__ import annotations

from typing import Annotated

import typer

from fleetroll.v1 import rollouts_pb2
from fleetroll_cli.context import CALL_SECONDS, JsonOption, connected
from fleetroll_cli.output import plain, print_json, print_table, say
from fleetroll_cli.parse import said

app = typer.Typer(no_args_is_help=True)

FleetOption = Annotated[
    str | None, typer.Option("--fleet", callback=said("fleet"), help="Only this fleet; without it, all fleets.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept with the decision.")]


@app.command()
def press(
    context: typer.Context, fleet: FleetOption = None, reason: ReasonOption = "", json: JsonOption = False
) -> None:
    """Stop everything at once: nothing new starts on any host of the scope."""
    with connected(context) as client:
        request = rollouts_pb2.PressKillSwitchRequest(fleet_id=fleet or "", reason=reason)
        answer = client.rollouts.PressKillSwitch(request, timeout=CALL_SECONDS)
    if json:
        print_json(answer)
        return
    switch = answer.kill_switch
    say(f"{plain(switch.scope)} is suspended; running rollouts are paused")
    if switch.in_use:
        say(f"{switch.in_use} hosts were past Go: they finish or go back; a Go given before may be used for 60 s more")


@app.command()
def lift(
    context: typer.Context, fleet: FleetOption = None, reason: ReasonOption = "", json: JsonOption = False
) -> None:
    """End a suspension; starts nothing: resume the rollouts that shall go on."""
    with connected(context) as client:
        request = rollouts_pb2.LiftKillSwitchRequest(fleet_id=fleet or "", reason=reason)
        answer = client.rollouts.LiftKillSwitch(request, timeout=CALL_SECONDS)
    print_json(answer) if json else say(f"{plain(answer.kill_switch.scope)} is lifted; nothing was started")


@app.command()
def status(context: typer.Context, json: JsonOption = False) -> None:
    """Show every scope that was ever suspended."""
    with connected(context) as client:
        answer = client.rollouts.GetKillSwitch(rollouts_pb2.GetKillSwitchRequest(), timeout=CALL_SECONDS)
    if json:
        print_json(answer)
        return
    rows = [
        (item.scope, "SUSPENDED" if item.active else "lifted", item.decision.actor.id, item.decision.reason)
        for item in answer.kill_switches
    ]
    print_table(("SCOPE", "STATE", "BY", "REASON"), rows)
