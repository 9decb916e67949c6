"""``--json`` prints one document on standard output, whatever else a command has to say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import rollouts_pb2

if TYPE_CHECKING:
    from tests.cli.commands import Commands


def rollout(state: rollouts_pb2.RolloutState.ValueType, revision: int = 7) -> rollouts_pb2.Rollout:
    return rollouts_pb2.Rollout(id="r1", product="agent", version="1.1.0", state=state, decision_revision=revision)


RUNNING = rollout(rollouts_pb2.ROLLOUT_STATE_RUNNING)
PAUSED = rollout(rollouts_pb2.ROLLOUT_STATE_PAUSED)
COMPLETED = rollout(rollouts_pb2.ROLLOUT_STATE_COMPLETED)


@pytest.mark.parametrize(("command", "rpc"), [("resume", "ResumeRollout"), ("advance", "AdvanceRollout")])
def test_what_a_decision_is_drawn_from_is_shown_beside_the_document(commands: Commands, command: str, rpc: str) -> None:
    commands.answers["GetRollout"] = rollouts_pb2.GetRolloutResponse(rollout=PAUSED)
    commands.answers[rpc] = getattr(rollouts_pb2, f"{rpc}Response")(rollout=RUNNING)
    ended = commands.run("rollout", command, "r1", "--json")
    assert json.loads(ended.out)["rollout"]["state"] == "ROLLOUT_STATE_RUNNING"
    assert "PAUSED" in ended.err
    assert commands.requests(rpc)[0].decision_revision == 7


def test_a_start_that_is_watched_prints_its_outcome_alone(commands: Commands) -> None:
    commands.answers["StartRollout"] = rollouts_pb2.StartRolloutResponse(rollout=RUNNING)
    commands.answers["GetRollout"] = rollouts_pb2.GetRolloutResponse(rollout=COMPLETED)
    ended = commands.run("rollout", "start", "--watch", "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["rollout"]["state"] == "ROLLOUT_STATE_COMPLETED"


def test_a_start_that_is_not_watched_prints_its_plan(commands: Commands) -> None:
    commands.answers["StartRollout"] = rollouts_pb2.StartRolloutResponse(rollout=RUNNING)
    assert json.loads(commands.run("rollout", "start", "--json").out)["exclusions"] == []


def test_a_watcher_of_a_paused_rollout_is_told_that_it_waits_for_a_person_and_goes_on(commands: Commands) -> None:
    answers = [rollouts_pb2.GetRolloutResponse(rollout=found) for found in (PAUSED, PAUSED, COMPLETED)]
    commands.answers["GetRollout"] = answers
    ended = commands.run("rollout", "watch", "r1", "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["rollout"]["state"] == "ROLLOUT_STATE_COMPLETED"
    assert ended.err == "r1 is paused and waits for a person: resume or cancel it\n"
