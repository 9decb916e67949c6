"""``fleetroll rollout roll-back|retry|skip-host``: the way back, another try, one host less."""

from __future__ import annotations

from typing import Annotated

import typer

from fleetroll.v1 import rollouts_pb2
from fleetroll_cli import asking, following
from fleetroll_cli.context import CALL_SECONDS, JsonOption, connected
from fleetroll_cli.limits import limits_of
from fleetroll_cli.names import code_name
from fleetroll_cli.output import plain, print_json, say
from fleetroll_cli.parse import INT32_MAX, between, said
from fleetroll_cli.rollout import ReasonOption, RevisionOption, RolloutArgument  # noqa: TC001 (typer reads them)
from fleetroll_cli.watch import head_of
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError


def roll_back(  # noqa: PLR0913, PLR0917 (one parameter per option)
    context: typer.Context,
    rollout_id: RolloutArgument,
    failed: Annotated[bool, typer.Option("--failed", help="Only hosts that went bad and are not back.")] = False,
    wave: Annotated[
        int | None,
        typer.Option("--wave", callback=between(0, INT32_MAX, "wave"), help="Only this wave; 0 is the newest."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every host that got Go.")] = False,
    max_concurrent: Annotated[
        int | None,
        typer.Option(
            callback=between(-INT32_MAX, INT32_MAX, "max_concurrent"), help="Hosts past Go at once [as the rollout]."
        ),
    ] = None,
    max_failed: Annotated[
        int | None,
        typer.Option(
            callback=between(-INT32_MAX, INT32_MAX, "max_failed"), help="Bad hosts that stop it [as the rollout]."
        ),
    ] = None,
    failure_limit: Annotated[
        float | None, typer.Option(help="Share of failures that stops it [as the rollout].")
    ] = None,
    revision: RevisionOption = None,
    reason: ReasonOption = "",
    watching: Annotated[bool, typer.Option("--watch", help="Watch the rollout until it is back.")] = False,
    json: JsonOption = False,
) -> None:
    """Take a rollout back: each host to the version that it had before; name --failed, --wave or --all."""
    mode = _mode(failed=failed, wave=wave, every=every)
    numbers = {"max_concurrent": max_concurrent, "max_failed": max_failed, "failure_limit": failure_limit}
    with connected(context) as client:
        request = rollouts_pb2.RollBackRolloutRequest(
            rollout_id=rollout_id,
            decision_revision=asking.revision_of(client, rollout_id, revision),
            mode=mode,
            wave=wave or 0,
            limits=limits_of(numbers, {}, ""),
            reason=reason,
        )
        answer = client.rollouts.RollBackRollout(request, timeout=CALL_SECONDS)
        if not json:
            for line in (*head_of(answer.rollout), *head_of(answer.revert)):
                say(line)
            for left_out in answer.exclusions:
                say(f"leaves out {plain(left_out.name)}: {code_name(left_out.code)}: {plain(left_out.message, 500)}")
        elif not watching:  # a watcher's one document is the outcome
            print_json(answer)
        if watching:
            raise typer.Exit(following.follow(client, rollout_id, json=json))


def retry(
    context: typer.Context,
    rollout_id: RolloutArgument,
    retry_bad: Annotated[
        bool, typer.Option("--retry-bad", help="Also where the host rolled this digest back as bad; needs a reason.")
    ] = False,
    revision: RevisionOption = None,
    reason: ReasonOption = "",
    json: JsonOption = False,
) -> None:
    """Let hosts that have failed or gone back try again; a halted rollout goes on with it."""
    with connected(context) as client:
        request = rollouts_pb2.RetryRolloutRequest(
            rollout_id=rollout_id,
            decision_revision=asking.revision_of(client, rollout_id, revision),
            reason=reason,
            retry_bad=retry_bad,
        )
        answer = client.rollouts.RetryRollout(request, timeout=CALL_SECONDS)
    print_json(answer) if json else _decided(answer.rollout)


def skip_host(
    context: typer.Context,
    rollout_id: RolloutArgument,
    host: Annotated[str, typer.Argument(callback=said("agent"), help="Id or name of the host.")],
    reason: ReasonOption = "",
    json: JsonOption = False,
) -> None:
    """Leave one host out from now on; one that is past Go finishes."""
    with connected(context) as client:
        request = rollouts_pb2.SkipHostRequest(rollout_id=rollout_id, agent=host, reason=reason)
        answer = client.rollouts.SkipHost(request, timeout=CALL_SECONDS)
    print_json(answer) if json else _decided(answer.rollout)


def _mode(*, failed: bool, wave: int | None, every: bool) -> rollouts_pb2.RollBackMode.ValueType:
    """Return which hosts are meant.

    Raises:
        RequestError: none or several are named (caller's fault).
    """
    named = {
        rollouts_pb2.ROLL_BACK_MODE_FAILED: failed,
        rollouts_pb2.ROLL_BACK_MODE_WAVE: wave is not None,
        rollouts_pb2.ROLL_BACK_MODE_ALL: every,
    }
    modes = [mode for mode, is_named in named.items() if is_named]
    if len(modes) != 1:
        message = "mode: which hosts go back has to be said, in one way"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="name --failed, --wave or --all", field="mode")
    return modes[0]


def _decided(rollout: rollouts_pb2.Rollout) -> None:
    """Print where a decision left a rollout."""
    for line in head_of(rollout):
        say(line)
