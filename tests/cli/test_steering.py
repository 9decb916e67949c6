"""Halt and back at the command line: what is asked of the server, what is said, and the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fleetroll.v1 import agents_pb2, reasons_pb2, releases_pb2, rollouts_pb2
from fleetroll_cli.exits import Exit
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from tests.cli.commands import Commands

BACK = rollouts_pb2.ROLLOUT_STATE_ROLLED_BACK


def shown(state: rollouts_pb2.RolloutState.ValueType, **values: Any) -> rollouts_pb2.Rollout:
    return rollouts_pb2.Rollout(id="r1", product="agent", version="1.1.0", state=state, decision_revision=7, **values)


def rolled_back(commands: Commands) -> None:
    commands.answers["GetRollout"] = rollouts_pb2.GetRolloutResponse(rollout=shown(BACK, revert_id="r2"))
    commands.answers["RollBackRollout"] = rollouts_pb2.RollBackRolloutResponse(
        rollout=shown(rollouts_pb2.ROLLOUT_STATE_ROLLING_BACK, revert_id="r2"),
        revert=rollouts_pb2.Rollout(id="r2", product="agent", version="1.0.0", parent_id="r1"),
        exclusions=[
            rollouts_pb2.Exclusion(
                name="edge-1", code=reasons_pb2.REASON_CODE_BELOW_FLOOR, message="edge-1: cannot go back: floor 2.0.0"
            )
        ],
    )


@pytest.mark.parametrize(
    ("words", "mode", "wave"),
    [
        (("--failed",), rollouts_pb2.ROLL_BACK_MODE_FAILED, 0),
        (("--wave", "2"), rollouts_pb2.ROLL_BACK_MODE_WAVE, 2),
        (("--wave", "0"), rollouts_pb2.ROLL_BACK_MODE_WAVE, 0),
        (("--all",), rollouts_pb2.ROLL_BACK_MODE_ALL, 0),
    ],
)
def test_a_roll_back_names_its_hosts_and_says_who_stays(
    commands: Commands, words: tuple[str, ...], mode: int, wave: int
) -> None:
    rolled_back(commands)
    ended = commands.run("rollout", "roll-back", "r1", *words, "--max-concurrent", "3", "--reason", "bad")
    (request,) = commands.requests("RollBackRollout")
    assert (request.mode, request.wave, request.decision_revision, request.reason) == (mode, wave, 7, "bad")
    assert (request.limits.max_concurrent, request.limits.HasField("max_failed")) == (3, False)
    assert ended.code == Exit.OK
    assert "taken back by r2" in ended.out
    assert "takes back r1" in ended.out
    assert "leaves out edge-1: BELOW_FLOOR: edge-1: cannot go back: floor 2.0.0" in ended.out


@pytest.mark.parametrize("words", [(), ("--all", "--failed"), ("--wave", "1", "--all")])
def test_which_hosts_go_back_has_to_be_said_in_one_way(commands: Commands, words: tuple[str, ...]) -> None:
    ended = commands.run("rollout", "roll-back", "r1", *words)
    assert (ended.code, ended.out) == (Exit.ERROR, "")
    assert "name --failed, --wave or --all" in ended.err
    assert commands.asked == []


def test_a_roll_back_that_is_watched_ends_with_its_own_code(commands: Commands) -> None:
    rolled_back(commands)
    assert commands.run("rollout", "roll-back", "r1", "--all", "--watch").code == Exit.ROLLED_BACK


def test_a_retry_and_a_skip_say_where_they_left_the_rollout(commands: Commands) -> None:
    running = shown(rollouts_pb2.ROLLOUT_STATE_RUNNING)
    commands.answers["RetryRollout"] = rollouts_pb2.RetryRolloutResponse(rollout=running)
    commands.answers["SkipHost"] = rollouts_pb2.SkipHostResponse(rollout=running)
    retried = commands.run("rollout", "retry", "r1", "--revision", "7", "--retry-bad", "--reason", "the disk")
    skipped = commands.run("rollout", "skip-host", "r1", "edge-1")
    assert retried.out == skipped.out == "r1  agent 1.1.0  RUNNING\n"
    assert commands.requests("RetryRollout")[0].retry_bad
    assert commands.requests("SkipHost")[0].agent == "edge-1"


def test_one_host_now_prints_its_attempt_and_what_steers_it(commands: Commands) -> None:
    begun = agents_pb2.DirectAttempt(
        attempt_id="a1/agent/3", generation=3, rollout_id="r9", from_version="1.0.0", to_version="1.1.0"
    )
    commands.answers["UpdateAgent"] = agents_pb2.UpdateAgentResponse(attempt=begun)
    commands.answers["RollBackAgent"] = agents_pb2.RollBackAgentResponse(attempt=begun)
    commands.answers["GetRollout"] = rollouts_pb2.GetRolloutResponse(rollout=shown(rollouts_pb2.ROLLOUT_STATE_HALTED))
    ended = commands.run("agents", "update", "edge-1", "--version", "1.1.0")
    assert (ended.code, ended.out) == (Exit.OK, "a1/agent/3  1.0.0 → 1.1.0  by r9\n")
    assert commands.run("agents", "rollback", "edge-1", "--watch").code == Exit.HALTED
    assert commands.requests("UpdateAgent")[0].version == "1.1.0"
    assert commands.requests("GetRollout")[0].rollout_id == "r9"


def test_a_refusal_of_one_host_says_its_code(commands: Commands) -> None:
    commands.answers["UpdateAgent"] = RequestError("agent: edge-1 has no live session", code=Code.HOST_OFFLINE)
    ended = commands.run("agents", "update", "edge-1")
    assert (ended.code, "HOST_OFFLINE" in ended.err) == (Exit.ERROR, True)


def test_a_yank_with_recall_names_what_takes_it_back(commands: Commands) -> None:
    commands.answers["GetProductPolicy"] = releases_pb2.GetProductPolicyResponse(role_version=3)
    commands.answers["ChangeReleases"] = releases_pb2.ChangeReleasesResponse(role_version=4, reverts=["r2"])
    ended = commands.run("release", "yank", "--product", "agent", "--version", "1.1.0", "--reason", "bad", "--recall")
    assert (ended.code, commands.requests("ChangeReleases")[0].recall) == (Exit.OK, True)
    assert "recalled by r2: fleetroll rollout watch r2" in ended.out
