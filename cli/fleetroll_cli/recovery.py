"""``fleetroll recovery``: a restored server takes its fleet back."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (typer reads the annotations)
from typing import Annotated

import typer

from fleetroll.v1 import recovery_pb2
from fleetroll_cli import bringing
from fleetroll_cli.context import CALL_SECONDS, JsonOption, connected
from fleetroll_cli.names import local_time
from fleetroll_cli.output import plain, print_json, print_table, say
from fleetroll_cli.parse import between

app = typer.Typer(no_args_is_help=True)

ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept with the decision.")]
HostsArgument = Annotated[
    list[str] | None, typer.Argument(help="Ids of younger hosts; without any, all that are listed: see --listed.")
]
MOST_HOSTS = 2**31 - 1
_CAUSES = {
    recovery_pb2.RECOVERY_CAUSE_RESTORED: "a backup was restored",
    recovery_pb2.RECOVERY_CAUSE_WENT_BACK: "the database went back by itself",
}


@app.command()
def show(context: typer.Context, json: JsonOption = False) -> None:
    """Show where the recovery stands: hosts seen and not seen, what is not known, hosts to approve."""
    with connected(context) as client:
        answer = client.recovery.GetRecovery(recovery_pb2.GetRecoveryRequest(), timeout=CALL_SECONDS)
    print_json(answer) if json else _show(answer.recovery)


@app.command()
def approve(
    context: typer.Context,
    host: HostsArgument = None,
    listed: Annotated[
        int,
        typer.Option(
            "--listed",
            callback=between(0, MOST_HOSTS, "hosts_listed"),
            help="Without ids: how many hosts are listed as younger, as show says.",
        ),
    ] = 0,
    reason: ReasonOption = "",
    json: JsonOption = False,
) -> None:
    """Let hosts have updates that are younger than the database that was brought back."""
    with connected(context) as client:
        request = recovery_pb2.ApproveHostsRequest(agent_ids=host or [], hosts_listed=listed, reason=reason)
        answer = client.recovery.ApproveHosts(request, timeout=CALL_SECONDS)
    if json:
        print_json(answer)
        return
    for agent_id in answer.agent_ids:
        say(f"{plain(agent_id)} is approved")
    if not answer.agent_ids:
        say("no host is listed as younger")


@app.command()
def bring(
    context: typer.Context,
    *,
    keys_dir: Annotated[
        list[Path] | None,
        typer.Option(
            "--keys-dir", help="Folder of key files: what was signed from there lies beside. May be repeated."
        ),
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option("--files", help="Folder of signed files, such as metadata of keys backup. May be repeated."),
    ] = None,
    reason: ReasonOption = "",
    json: JsonOption = False,
) -> None:
    """Give a server that went back what was signed since: root, targets and products, as they lie beside the keys."""
    found = bringing.files_in(keys_dir or [], files or [])
    with connected(context) as client:
        answer = bringing.bring(client, found, reason)
    if json:
        print_json(answer)
        return
    for name in answer.taken:
        say(f"taken  {plain(name)}")
    say(f"{len(answer.taken)} of {len(found)} files were missing there")
    _show_keys(answer.recovery)


@app.command()
def end(
    context: typer.Context,
    not_seen: Annotated[
        int,
        typer.Option(
            "--not-seen",
            callback=between(0, MOST_HOSTS, "hosts_not_seen"),
            help="How many hosts have not come, as show says: they may be past Go, and are in no budget.",
        ),
    ],
    reason: ReasonOption = "",
    json: JsonOption = False,
) -> None:
    """Let the server offer again; what was paused stays paused."""
    with connected(context) as client:
        request = recovery_pb2.EndRecoveryRequest(hosts_not_seen=not_seen, reason=reason)
        answer = client.recovery.EndRecovery(request, timeout=CALL_SECONDS)
    print_json(answer) if json else say("the recovery is over; resume the rollouts that shall go on")


def _show(recovery: recovery_pb2.Recovery) -> None:
    """Print it for people."""
    if not recovery.HasField("since"):
        say("the database never went back")
        return
    state = "ACTIVE: nothing is offered" if recovery.active else "over"
    say(f"recovery     {state}")
    say(f"cause        {_CAUSES.get(recovery.cause, 'unknown')}")
    say(f"since        {local_time(recovery, 'since')}")
    say(f"stood at     {local_time(recovery, 'taken_at')}")
    read = "read" if recovery.stops_read else "not read"
    say(f"stops        {read}; not known from {local_time(recovery, 'blind_from')} on")
    say(f"hosts        {recovery.hosts_seen} of {recovery.hosts_known} seen, {recovery.hosts_not_seen} not")
    if recovery.hosts_not_seen:
        say("             those that were not seen may be past Go, and are in no budget")
    say(f"unconfirmed  {recovery.unconfirmed} attempts")
    if recovery.suspended_tokens:
        say(f"suspended    {recovery.suspended_tokens} join tokens")
    for role in recovery.missing:
        say(f"missing      {plain(role.role)} {role.version}: {plain(role.reason) or 'no host could bring it back'}")
    if recovery.missing:
        say("             hosts refuse what the server has of it: recovery bring, from where it was signed, or sign it")
        say("             above that version")
    _show_keys(recovery)
    if recovery.younger:
        say(f"younger      {len(recovery.younger)} hosts wait for approval")
        rows = [(host.agent_id, host.name, host.fleet_id, local_time(host, "came_at")) for host in recovery.younger]
        print_table(("AGENT", "NAME", "FLEET", "CAME"), rows)


def _show_keys(recovery: recovery_pb2.Recovery) -> None:
    """Say what the server can't sign, and what helps."""
    if recovery.keys_missing:
        roles = ", ".join(map(plain, recovery.keys_missing))
        say(f"keys         {roles}: root names keys that are not on the server; no list is signed, hosts take nothing")
        say("             exchange them: fleetroll keys rotate snapshot timestamp")
