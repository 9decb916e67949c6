"""A rollout as text, and its outcome as an exit code."""

from __future__ import annotations

import pytest

from fleetroll.v1 import reasons_pb2, rollouts_pb2, types_pb2
from fleetroll_cli.exits import Exit, of_rollout
from fleetroll_cli.watch import BAR_CELLS, head_of, lines_of, next_for, why_of


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


def test_late_hosts_are_counted_and_what_stopped_them_is_said() -> None:
    """One line while they are offered, another one afterwards, and none where there were none."""
    done = rollout(succeeded=1, pending=3)
    done.state = rollouts_pb2.ROLLOUT_STATE_COMPLETED
    assert not [line for line in lines_of(done) if line.startswith("late")]
    done.late.CopyFrom(rollouts_pb2.LateHosts(left=3, waiting=2, under_way=1))
    assert lines_of(done)[1] == "late hosts  3 left, one by one: 2 away or held, 1 under way"
    done.late.stopped.code = reasons_pb2.REASON_CODE_WAVE_NOT_PASSED
    done.late.stopped.reason = "late hosts: 1 bad\x1b[2J of 2"
    stopped = lines_of(done)[1]
    assert stopped.startswith("late hosts  3 left, not offered any more  WAVE_NOT_PASSED: late hosts: 1 bad")
    assert "\x1b" not in stopped


def completed(left: int, code: str = "", reason: str = "") -> rollouts_pb2.Rollout:
    """Return a completed rollout whose late hosts were stopped with this code, if any."""
    done = rollout(succeeded=1, pending=left)
    done.state = rollouts_pb2.ROLLOUT_STATE_COMPLETED
    done.waves[0].state = rollouts_pb2.WAVE_STATE_PASSED
    done.late.CopyFrom(rollouts_pb2.LateHosts(left=left, waiting=left))
    if code:
        done.late.stopped.code = reasons_pb2.ReasonCode.Value(f"REASON_CODE_{code}")
        done.late.stopped.reason = reason
    return done


@pytest.mark.parametrize(
    ("code", "word", "following"),
    [
        ("PAUSED", "paused", "next: fleetroll rollout resume r1, or cancel it"),
        ("INTERNAL", "paused", "next: fleetroll rollout resume r1, or cancel it"),
        ("SUSPENDED", "paused", "next: lift the kill switch, then fleetroll rollout resume r1, or cancel it"),
        ("WAVE_NOT_PASSED", "not offered any more", "next: start a new rollout, of a mended release"),
        ("YANKED", "not offered any more", "next: start a new rollout, of a mended release"),
    ],
)
def test_a_late_stop_says_what_comes_next(code: str, word: str, following: str) -> None:
    """For a person to end, or for good."""
    head = head_of(completed(2, code, "why"))
    assert head[1] == f"late hosts  2 left, {word}  {code}: why"
    assert head[2].startswith(following)
    assert lines_of(completed(2, code, "why"))[:3] == head


def test_nothing_comes_next_where_a_person_ended_them_or_none_is_left() -> None:
    """Nor while they are offered."""
    for done in (completed(2), completed(0, "CANCELLED_BY"), completed(0, "PAUSED")):
        assert not [line for line in head_of(done) if line.startswith("next")]
    assert head_of(completed(0, "WAVE_NOT_PASSED"))[2].startswith("next: start a new rollout")


def test_a_list_says_why_late_hosts_are_stopped() -> None:
    """A completed rollout stays completed; the stop stands beside it."""
    assert why_of(completed(2, "PAUSED", "lunch")) == "late hosts paused: PAUSED: lunch"
    assert why_of(completed(0, "WAVE_NOT_PASSED", "1 bad")) == "late hosts stopped: WAVE_NOT_PASSED: 1 bad"
    assert not why_of(completed(2))
    halted = rollout(failed=1)
    halted.state_decision.reason = "1 bad"
    assert why_of(halted) == "1 bad"


def test_hosts_that_ended_without_it_are_not_on_their_way() -> None:
    """Cancelled, skipped and expired hosts move no more."""
    assert set(bar(lines_of(rollout(succeeded=1, cancelled=1, skipped=1, expired=1))[1])) == {"#", "-"}
    assert set(bar(lines_of(rollout(cancelled=1, applying=1, pending=1))[1])) == {"-", ">", "."}


def test_every_state_has_its_mark() -> None:
    """One that was forgotten would be drawn as on its way."""
    moving = {"offered", "downloading", "staged", "granted", "applying", "trial", "promoted", "soaking"}
    for name, number in types_pb2.AttemptState.items():
        if number:
            word = name.removeprefix("ATTEMPT_STATE_").lower()
            assert (">" in bar(lines_of(rollout(**{word: 1}))[1])) == (word in moving), word


@pytest.mark.parametrize(("state", "words"), [("PASSED", "passed with 0 bad"), ("FAILED", "failed with 0 bad")])
def test_the_gate_of_an_ended_wave_is_told_as_of_then(state: str, words: str) -> None:
    """Its counts beside it move on with late hosts."""
    done = rollout(succeeded=1)
    assert lines_of(done)[1].endswith("  0 bad")
    done.waves[0].state = rollouts_pb2.WaveState.Value(f"WAVE_STATE_{state}")
    assert lines_of(done)[1].endswith(f"  {words}")


def test_a_bad_digest_says_what_comes_next() -> None:
    """Of hosts that refuse this very artefact."""
    bad = rollouts_pb2.RolloutHost(attempt=types_pb2.Attempt(code=reasons_pb2.REASON_CODE_BAD_DIGEST))
    good = rollouts_pb2.RolloutHost(attempt=types_pb2.Attempt(code=reasons_pb2.REASON_CODE_EXITED))
    assert not next_for([good])
    assert next_for([good, bad]).startswith("next: BAD_DIGEST: 1 host went back from this artefact before")
    assert "2 hosts" in next_for([bad, bad])
    assert "--retry-bad" in next_for([bad])


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
