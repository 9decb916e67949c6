"""``fleetroll rollout``: start, preview, approve, watch, show, list, pause, resume, advance, cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fleetroll.v1 import rollouts_pb2, types_pb2
from fleetroll_cli import asking, following
from fleetroll_cli.checks import checks_of
from fleetroll_cli.context import CALL_SECONDS, JsonOption, connected, fleet_of
from fleetroll_cli.limits import limits_of
from fleetroll_cli.names import attempt_state, code_name, rollout_state
from fleetroll_cli.output import note, plain, print_json, print_table, say
from fleetroll_cli.parse import INT32_MAX, between, instant, labels, said, waves, why_not_both
from fleetroll_cli.plans import lines_of_preview
from fleetroll_cli.watch import head_of, lines_of, next_for, why_of

if TYPE_CHECKING:
    from collections.abc import Iterable

app = typer.Typer(no_args_is_help=True)

RolloutArgument = Annotated[str, typer.Argument(callback=said("rollout_id"), help="Id of the rollout.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept with the decision.")]
RevisionOption = Annotated[
    int | None,
    typer.Option(
        "--revision",
        callback=between(0, 2**63 - 1, "decision_revision"),
        help="The decision revision that you saw; default: the newest, shown first.",
    ),
]


@app.command()
def start(  # noqa: PLR0913, PLR0917 (one parameter per option)
    context: typer.Context,
    version: Annotated[
        str | None,
        typer.Option("--version", callback=said("version"), help="The version; default: the newest stable one."),
    ] = None,
    product: Annotated[str, typer.Option("--product", help="The product.")] = "agent",
    fleet: Annotated[
        str | None,
        typer.Option(
            "--fleet", callback=said("fleet"), help="The fleet; default: the context's, else the default fleet."
        ),
    ] = None,
    host: Annotated[list[str] | None, typer.Option("--host", help="Only this host; may be repeated.")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="Only hosts with key=value; may be repeated.")
    ] = None,
    selector: Annotated[
        str | None,
        typer.Option(
            "--selector",
            callback=said("label_selector"),
            help="Only hosts whose labels fulfil it, such as 'site in (ams,fra),!spare'.",
        ),
    ] = None,
    versions: Annotated[
        str | None,
        typer.Option(
            "--versions", callback=said("version_range"), help="Only hosts on a version of it, such as '>=1.2,<2'."
        ),
    ] = None,
    behind: Annotated[
        bool, typer.Option("--behind", help="Only hosts below the newest stable release for their platform.")
    ] = False,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", help="Not this host; may be repeated.")] = None,
    canary: Annotated[
        str | None,
        typer.Option(
            "--canary", callback=said("canary"), help="A first wave of all hosts whose labels fulfil this selector."
        ),
    ] = None,
    wave: Annotated[
        str | None,
        typer.Option("--waves", callback=said("waves"), help="Waves in order, such as 1,10%,rest."),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size", callback=between(1, INT32_MAX, "batch_size"), help="What is left in waves of so many hosts."
        ),
    ] = None,
    order_by: Annotated[
        str, typer.Option("--order-by", help="Hosts fill the waves by: name, label:KEY or list [name].")
    ] = "",
    max_concurrent: Annotated[
        int | None,
        typer.Option(callback=between(-INT32_MAX, INT32_MAX, "max_concurrent"), help="Hosts past Go at once [1]."),
    ] = None,
    max_failed: Annotated[
        int | None,
        typer.Option(callback=between(-INT32_MAX, INT32_MAX, "max_failed"), help="Bad hosts that stop a wave [1]."),
    ] = None,
    failure_limit: Annotated[float | None, typer.Option(help="Share of failures that stops a wave [0.02].")] = None,
    min_sample: Annotated[
        int | None,
        typer.Option(
            callback=between(-INT32_MAX, INT32_MAX, "min_sample"), help="Hosts that must have been tried per wave [1]."
        ),
    ] = None,
    bake: Annotated[str, typer.Option(help="Watch a wave for so long after its last host [0s].")] = "",
    soak: Annotated[str, typer.Option(help="A host must hold its health for so long [60s].")] = "",
    lease: Annotated[str, typer.Option(help="A trial may wait so long for contact and promotion [5m].")] = "",
    not_after: Annotated[str, typer.Option(help="Hosts wait so long for Go at most [7d].")] = "",
    offline: Annotated[str, typer.Option(help="Hosts that are offline before Go: wait, skip or fail [wait].")] = "",
    check_http: Annotated[
        list[str] | None, typer.Option(help="NAME=URL that must answer 200 to 299; may be repeated.")
    ] = None,
    check_prometheus: Annotated[
        list[str] | None, typer.Option(help="'NAME=URL;QUERY;< 0.05' that must hold; may be repeated.")
    ] = None,
    check_command: Annotated[
        list[str] | None, typer.Option(help="A name of the server's gate_commands; may be repeated.")
    ] = None,
    check_interval: Annotated[str, typer.Option(help="Between two readings of a check [30s].")] = "",
    check_in_a_row: Annotated[
        int | None,
        typer.Option(callback=between(1, 100, "in_a_row"), help="Readings in a row that it takes to act [3]."),
    ] = None,
    manual: Annotated[bool, typer.Option("--manual", help="Every wave but the first waits for a person.")] = False,
    approve_waves: Annotated[
        bool, typer.Option("--approve-waves", help="Every wave but the first waits for a second admin.")
    ] = False,
    require_approval: Annotated[
        bool, typer.Option("--require-approval", help="Nothing begins before a second admin approved it.")
    ] = False,
    start_at: Annotated[
        str, typer.Option("--start-at", help="Begin then, such as 2026-05-01T22:00Z, or in 8h [at once].")
    ] = "",
    retry_bad: Annotated[bool, typer.Option("--retry-bad", help="Also where this digest was bad.")] = False,
    acknowledge: Annotated[bool, typer.Option("--acknowledge-breaking-changes", help="Accept them.")] = False,
    supersede: Annotated[
        bool, typer.Option("--supersede", help="Take hosts over from paused or halted rollouts, which end.")
    ] = False,
    reason: ReasonOption = "",
    key: Annotated[str, typer.Option("--idempotency-key", help="The same key starts one rollout.")] = "",
    previewing: Annotated[bool, typer.Option("--preview", help="Show the plan; start nothing.")] = False,
    watching: Annotated[bool, typer.Option("--watch", help="Watch it until its outcome.")] = False,
    json: JsonOption = False,
) -> None:
    """Plan and start a rollout; a bare one takes one host at a time and halts at the first failure."""
    previewing = previewing or context.info_name == "preview"
    why_not_both("--preview", previewing, "--watch", watching)
    why_not_both("--manual", manual, "--approve-waves", approve_waves)
    first = [rollouts_pb2.WaveSpec(label_selector=canary)] if canary else []
    request = rollouts_pb2.StartRolloutRequest(
        product=product,
        version=version or "",
        selection=rollouts_pb2.Selection(
            fleet_id=fleet_of(context, fleet or ""),
            hosts=host or [],
            labels=labels(label or []),
            exclude=exclude or [],
            label_selector=selector or "",
            version_range=versions or "",
            behind=behind,
        ),
        waves=[*first, *waves(wave or "")],
        limits=limits_of(
            {
                "max_concurrent": max_concurrent,
                "max_failed": max_failed,
                "failure_limit": failure_limit,
                "min_sample": min_sample,
            },
            {"bake": bake, "soak": soak, "lease": lease, "not_after": not_after},
            offline,
        ),
        manual_advance=manual,
        reason=reason,
        acknowledge_breaking_changes=acknowledge,
        idempotency_key=key,
        retry_bad=retry_bad,
        gate_checks=checks_of(
            check_http or [],
            check_prometheus or [],
            check_command or [],
            interval=check_interval,
            in_a_row=check_in_a_row,
        ),
        batch_size=batch_size or 0,
        order_by=order_by,
        require_approval=require_approval,
        wave_advance=rollouts_pb2.WAVE_ADVANCE_APPROVAL if approve_waves else rollouts_pb2.WAVE_ADVANCE_UNSPECIFIED,
        supersede=supersede,
    )
    if start_at:
        request.start_at.FromDatetime(instant(start_at, "start_at"))
    if previewing:
        _preview(context, request, json=json)
        return
    with connected(context) as client:
        answer = client.rollouts.StartRollout(request, timeout=CALL_SECONDS)
        if not json:
            for line in lines_of(answer.rollout):
                say(line)
            for left_out in answer.exclusions:
                say(f"leaves out {plain(left_out.name)}: {code_name(left_out.code)}")
        elif not watching:  # a watcher's one document is the outcome
            print_json(answer)
        if watching:
            raise typer.Exit(following.follow(client, answer.rollout.id, json=json))


app.command("preview", help="Show what a start with these options would do now: the same plan; nothing is started.")(
    start
)


@app.command()
def approve(
    context: typer.Context,
    rollout_id: RolloutArgument,
    revision: RevisionOption = None,
    reason: ReasonOption = "",
    json: JsonOption = False,
) -> None:
    """Let a rollout begin, or its next wave open, that another admin started. Who refuses cancels it instead."""
    with connected(context) as client:
        request = rollouts_pb2.ApproveRolloutRequest(
            rollout_id=rollout_id, decision_revision=asking.revision_of(client, rollout_id, revision), reason=reason
        )
        answer = client.rollouts.ApproveRollout(request, timeout=CALL_SECONDS)
    if json:
        print_json(answer)
        return
    _decided(answer.rollout)
    say(plain(answer.note, 500))


@app.command()
def watch(context: typer.Context, rollout_id: RolloutArgument, json: JsonOption = False) -> None:
    """Show a rollout live, until its outcome, which is the exit code; one that is paused goes on being watched."""
    with connected(context) as client:
        raise typer.Exit(following.follow(client, rollout_id, json=json))


@app.command()
def show(context: typer.Context, rollout_id: RolloutArgument, json: JsonOption = False) -> None:
    """Show a rollout, its waves and its hosts."""
    with connected(context) as client:
        answer = asking.get(client, rollout_id)
        hosts = asking.hosts_of(client, rollout_id)
    if json:
        print_json(answer)
        return
    for line in lines_of(answer.rollout):
        say(line)
    rows = [
        (
            host.name,
            str(host.wave),
            attempt_state(host.attempt.state),
            code_name(host.waiting) or code_name(host.attempt.code),
            host.attempt.message,
        )
        for host in hosts
    ]
    print_table(("HOST", "WAVE", "STATE", "CODE", "MESSAGE"), rows)
    _say_next(hosts)


@app.command()
def hosts(context: typer.Context, rollout_id: RolloutArgument, json: JsonOption = False) -> None:
    """List the hosts of a rollout in their stored order."""
    with connected(context) as client:
        rows = asking.hosts_of(client, rollout_id)
    if json:
        print_json(rollouts_pb2.ListRolloutHostsResponse(hosts=rows))
        return
    print_table(
        ("HOST", "WAVE", "STATE", "CODE"),
        [(h.name, str(h.wave), attempt_state(h.attempt.state), code_name(h.attempt.code)) for h in rows],
    )
    _say_next(rows)


@app.command("list")
def list_rollouts(
    context: typer.Context,
    active: Annotated[bool, typer.Option("--active", help="Only those that have not ended.")] = False,
    json: JsonOption = False,
) -> None:
    """List rollouts, newest first."""
    with connected(context) as client:
        request = rollouts_pb2.ListRolloutsRequest(active_only=active, page=types_pb2.Page(size=100))
        answer = client.rollouts.ListRollouts(request, timeout=CALL_SECONDS)
    if json:
        print_json(answer)
        return
    rows = [(r.id, r.product, r.version, rollout_state(r.state), why_of(r)) for r in answer.rollouts]
    print_table(("ID", "PRODUCT", "VERSION", "STATE", "WHY"), rows)
    if answer.next_cursor:
        note(f"there are more: these are the newest {len(rows)}")


@app.command()
def pause(
    context: typer.Context, rollout_id: RolloutArgument, reason: ReasonOption = "", json: JsonOption = False
) -> None:
    """Stop at once: no host starts any more; those past Go finish. Of a completed rollout: its late hosts."""
    with connected(context) as client:
        request = rollouts_pb2.PauseRolloutRequest(rollout_id=rollout_id, reason=reason)
        answer = client.rollouts.PauseRollout(request, timeout=CALL_SECONDS)
    print_json(answer) if json else _decided(answer.rollout)


@app.command()
def resume(
    context: typer.Context,
    rollout_id: RolloutArgument,
    revision: RevisionOption = None,
    reason: ReasonOption = "",
    json: JsonOption = False,
) -> None:
    """Continue a paused or halted rollout, or the late hosts of a completed one."""
    with connected(context) as client:
        request = rollouts_pb2.ResumeRolloutRequest(
            rollout_id=rollout_id, decision_revision=asking.revision_of(client, rollout_id, revision), reason=reason
        )
        answer = client.rollouts.ResumeRollout(request, timeout=CALL_SECONDS)
    print_json(answer) if json else _decided(answer.rollout)


@app.command()
def advance(
    context: typer.Context,
    rollout_id: RolloutArgument,
    revision: RevisionOption = None,
    reason: ReasonOption = "",
    json: JsonOption = False,
) -> None:
    """Open the next wave of a rollout that waits for a person."""
    with connected(context) as client:
        request = rollouts_pb2.AdvanceRolloutRequest(
            rollout_id=rollout_id, decision_revision=asking.revision_of(client, rollout_id, revision), reason=reason
        )
        answer = client.rollouts.AdvanceRollout(request, timeout=CALL_SECONDS)
    print_json(answer) if json else _decided(answer.rollout)


@app.command()
def cancel(
    context: typer.Context,
    rollout_id: RolloutArgument,
    let_finish: Annotated[
        bool, typer.Option("--let-finish", help="Hosts past Go finish instead of going back.")
    ] = False,
    reason: ReasonOption = "",
    json: JsonOption = False,
) -> None:
    """End a rollout, or the late hosts of a completed one: before Go they stop for free, past Go go back or finish."""
    with connected(context) as client:
        request = rollouts_pb2.CancelRolloutRequest(rollout_id=rollout_id, let_finish=let_finish, reason=reason)
        answer = client.rollouts.CancelRollout(request, timeout=CALL_SECONDS)
    print_json(answer) if json else _decided(answer.rollout)


def _preview(context: typer.Context, request: rollouts_pb2.StartRolloutRequest, *, json: bool) -> None:
    """Print what a start would do."""
    with connected(context) as client:
        asked = rollouts_pb2.PreviewRolloutRequest(start=request)
        answer = client.rollouts.PreviewRollout(asked, timeout=CALL_SECONDS)
    if json:
        print_json(answer)
        return
    for line in lines_of_preview(answer):
        say(line)


def _decided(rollout: rollouts_pb2.Rollout) -> None:
    """Print where a decision left a rollout, and its late hosts: a completed one stays so, whatever stops them."""
    for line in head_of(rollout):
        say(line)


def _say_next(hosts: Iterable[rollouts_pb2.RolloutHost]) -> None:
    """Print what to do about these hosts, where the table alone does not say it."""
    line = next_for(hosts)
    if line:
        say(line)
