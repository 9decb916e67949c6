"""A rollout as text, and its outcome as an exit code."""

from __future__ import annotations

import pytest

from fleetroll.v1 import reasons_pb2, rollouts_pb2, types_pb2
from fleetroll_cli.exits import Exit, of_rollout
from fleetroll_cli.watch import BAR_CELLS, lines_of


def rollout(**counts: int) -> rollouts_pb2.Rollout:
    """Return a running rollout of one open wave with hosts in these states."""
    states = [
        rollouts_pb2.StateCount(state=types_pb2.AttemptState.Value(f"ATTEMPT_STATE_{name.upper()}"), hosts=hosts)
        for name, hosts in counts.items()
    ]
    wave = rollouts_pb2.Wave(number=1, state=rollouts_pb2.WAVE_STATE_OPEN, counts=states, gate="0 bad")
    return rollouts_pb2.Rollout(
        id="r1", product="agent", version="1.1.0", state=rollouts_pb2.ROLLOUT_STATE_RUNNING, waves=[wave]
    )


def bar(line: str) -> str:
    """Return what stands between the brackets."""
    return line[line.index("[") + 1 : line.index("]")]


def test_every_state_of_at_least_one_host_is_seen_in_the_bar() -> None:
    """One failed host of a thousand is not rounded away."""
    drawn = bar(lines_of(rollout(succeeded=997, failed=1, applying=1, pending=1))[1])
    assert set(drawn) >= {"#", "!"}
    assert len(drawn) == BAR_CELLS


def test_states_are_counted_in_words_beside_the_bar() -> None:
    """Never by the picture alone."""
    line = lines_of(rollout(succeeded=2, rolled_back=1))[1]
    assert "2 succeeded" in line
    assert "1 rolled_back" in line


def test_the_reason_of_a_halt_is_on_the_first_line() -> None:
    """Code and evidence."""
    halted = rollout(rolled_back=1)
    halted.state = rollouts_pb2.ROLLOUT_STATE_HALTED
    halted.state_decision.code = reasons_pb2.REASON_CODE_WAVE_NOT_PASSED
    halted.state_decision.reason = "wave 1: 1 bad of 1"
    assert lines_of(halted)[0] == "r1  agent 1.1.0  HALTED  WAVE_NOT_PASSED: wave 1: 1 bad of 1"


def test_what_it_waits_for_is_said() -> None:
    """A rollout that goes on has no such line."""
    waiting = rollout(pending=1)
    assert len(lines_of(waiting)) == len(waiting.waves) + 1
    waiting.waiting_for = "a person to advance it"
    assert "waits for a person to advance it" in lines_of(waiting)


def test_a_hostile_reason_can_not_steer_the_terminal() -> None:
    """It came from a person or a host."""
    hostile = rollout(pending=1)
    hostile.state_decision.reason = "\x1b[2Jgone"
    assert "\x1b" not in "".join(lines_of(hostile))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("COMPLETED", Exit.OK),
        ("HALTED", Exit.HALTED),
        ("CANCELLED", Exit.CANCELLED),
        ("SUPERSEDED", Exit.CANCELLED),
        ("ROLLED_BACK", Exit.ROLLED_BACK),
        ("RUNNING", None),
        ("PAUSED", None),
        ("DRAFT", None),
        ("AWAITING_APPROVAL", None),
        ("SCHEDULED", None),
        ("ROLLING_BACK", None),
    ],
)
def test_outcomes_have_fixed_exit_codes(name: str, code: Exit | None) -> None:
    """Scripts rely on them; a rollout that goes on has none."""
    assert of_rollout(rollouts_pb2.RolloutState.Value(f"ROLLOUT_STATE_{name}")) is code


def test_the_exit_codes_are_the_documented_numbers() -> None:
    """0 completed, 30 halted, 31 cancelled, 32 rolled back, 2 usage, 1 anything else."""
    assert [int(code) for code in Exit] == [0, 1, 2, 30, 31, 32]
