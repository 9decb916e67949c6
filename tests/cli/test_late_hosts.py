"""What commands say of a completed rollout whose late hosts were stopped: its state alone would hide it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import reasons_pb2, rollouts_pb2, types_pb2
from fleetroll_cli.exits import Exit

if TYPE_CHECKING:
    from tests.cli.commands import Commands


def paused() -> rollouts_pb2.Rollout:
    """Return a completed rollout whose late hosts a person paused."""
    stopped = types_pb2.Decision(code=reasons_pb2.REASON_CODE_PAUSED, reason="lunch")
    late = rollouts_pb2.LateHosts(left=2, waiting=2, stopped=stopped)
    state = rollouts_pb2.ROLLOUT_STATE_COMPLETED
    return rollouts_pb2.Rollout(id="r1", product="agent", version="1.1.0", state=state, late=late)


def test_the_list_shows_the_stop(commands: Commands) -> None:
    commands.answers["ListRollouts"] = rollouts_pb2.ListRolloutsResponse(rollouts=[paused()])
    ended = commands.run("rollout", "list")
    assert ended.code == Exit.OK
    assert "completed  late hosts paused: PAUSED: lunch" in ended.out


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("pause", rollouts_pb2.PauseRolloutResponse(rollout=paused())),
        ("resume", rollouts_pb2.ResumeRolloutResponse(rollout=paused())),
        ("cancel", rollouts_pb2.CancelRolloutResponse(rollout=paused())),
    ],
)
def test_a_decision_says_what_became_of_the_late_hosts(commands: Commands, command: str, answer: object) -> None:
    commands.answers[f"{command.title()}Rollout"] = answer
    revision = ("--revision", "1") if command == "resume" else ()
    ended = commands.run("rollout", command, "r1", *revision)
    assert ended.code == Exit.OK
    assert ended.out.splitlines() == [
        "r1  agent 1.1.0  COMPLETED",
        "late hosts  2 left, paused  PAUSED: lunch",
        "next: fleetroll rollout resume r1, or cancel it",
    ]


@pytest.mark.parametrize("command", ["show", "hosts"])
def test_hosts_that_refuse_the_artefact_are_followed_by_what_comes_next(commands: Commands, command: str) -> None:
    attempt = types_pb2.Attempt(state=types_pb2.ATTEMPT_STATE_FAILED, code=reasons_pb2.REASON_CODE_BAD_DIGEST)
    host = rollouts_pb2.RolloutHost(name="host-1", wave=1, attempt=attempt)
    commands.answers["GetRollout"] = rollouts_pb2.GetRolloutResponse(rollout=rollouts_pb2.Rollout(id="r1"))
    commands.answers["ListRolloutHosts"] = rollouts_pb2.ListRolloutHostsResponse(hosts=[host])
    ended = commands.run("rollout", command, "r1")
    assert ended.out.splitlines()[-1].startswith("next: BAD_DIGEST: 1 host")
    assert "next:" not in commands.run("rollout", command, "r1", "--json").out
