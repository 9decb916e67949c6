"""What comes in: messages as values, recordings, and a replay that is like what was recorded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import agents_pb2, events_pb2, rollouts_pb2, types_pb2
from fleetroll_client import Changed as FollowedChange
from fleetroll_client import Resynced, Snapshot
from fleetroll_common.values.errors import RequestError
from fleetroll_tui import convert
from fleetroll_tui.feed.journal import Entry, Journal, entries, line_of, message_of
from fleetroll_tui.feed.replay import Replay
from fleetroll_tui.model.updates import Alive, Changed, Page, Resync
from tests.tui import scenes

if TYPE_CHECKING:
    from pathlib import Path


def test_the_recording_of_the_tests_is_what_the_scenes_make() -> None:
    assert scenes.FILE.read_text("utf-8") == scenes.text(), "run python -m tests.tui.scenes"


def test_a_snapshot_becomes_a_page_of_values() -> None:
    update = convert.update(scenes.snapshot())
    assert isinstance(update, Page)
    assert update.last
    assert update.sent_at == scenes.NOW
    host = next(each for each in update.stand.hosts if each.id == "ag-00024")
    assert (host.name, host.os, host.arch, host.online) == ("edge-00024.ams", "linux", "aarch64", True)
    assert host.labels == {"site": "ams", "tier": "edge"}
    assert host.product.last_attempt.code == "HEALTH_TIMEOUT"
    assert host.state == "rolled_back"
    rollout = next(each for each in update.stand.rollouts if each.id == scenes.ROLLOUT)
    assert (rollout.state, rollout.revision, rollout.hosts, rollout.bad) == ("running", 9, 48, 2)
    assert [wave.state for wave in rollout.waves] == ["passed", "passed", "open", "pending"]
    assert (rollout.limits.max_failed, rollout.limits.soak_seconds, rollout.limits.bake_seconds) == (3, 60.0, 300.0)


def test_every_kind_of_message_is_an_update() -> None:
    assert isinstance(convert.update(scenes.message(changes=events_pb2.Changes(events=scenes.events()))), Changed)
    assert convert.update(scenes.message(resync=events_pb2.Resync(reason="slow"))) == Resync(scenes.NOW, "slow")
    assert convert.update(scenes.message(alive=events_pb2.Alive())) == Alive(scenes.NOW)
    assert convert.update(scenes.message()) == Alive(scenes.NOW), "one of a newer server is a sign of life"


def test_every_state_and_code_of_the_contract_has_a_name() -> None:
    states = {convert.attempt_state(value) for value in types_pb2.AttemptState.values()}
    assert {"", "succeeded", "rolled_back", "lost"} <= states
    assert convert.rollout_state(rollouts_pb2.ROLLOUT_STATE_HALTED) == "halted"
    assert convert.wave_state(rollouts_pb2.WAVE_STATE_AWAITING_APPROVAL) == "awaiting_approval"
    assert convert.attempt_state(99) == "state 99"


def test_what_is_absent_stays_absent() -> None:
    host = convert.host(agents_pb2.Agent(id="ag-1", name="x"))
    assert (host.last_seen_at, host.products, host.state) == (0.0, (), "")
    assert convert.member(rollouts_pb2.RolloutHost(agent_id="ag-1")).attempt.state == ""
    assert convert.rollout(rollouts_pb2.Rollout(id="ro-1")).late is None


def test_what_a_follower_hands_over_is_recorded_as_messages() -> None:
    when = scenes.snapshot().sent_at.ToDatetime()
    whole = message_of(Snapshot(b"7", when, agents=(scenes.agent(1),)))
    assert whole is not None
    assert whole.snapshot.last
    assert whole.snapshot.agents[0].id == "ag-00001"
    change = message_of(FollowedChange(b"8", when, events=tuple(scenes.events()), rollouts=(scenes.rollout(),)))
    assert change is not None
    assert (len(change.changes.events), change.changes.rollouts[0].id) == (len(scenes.events()), scenes.ROLLOUT)
    assert message_of(Resynced("slow")) is None


async def test_a_recording_is_replayed_as_it_came(tmp_path: Path) -> None:
    path = tmp_path / "fleet.jsonl"
    journal = Journal(path)
    for entry in scenes.recording():
        journal.write(entry.stream, entry.message)
    journal.close()
    journal.write("", scenes.snapshot())
    assert [(entry.stream, entry.message) for entry in entries(path)] == [
        (entry.stream, entry.message) for entry in scenes.recording()
    ]
    replay = Replay(path, 0)
    watch = replay.watch()
    assert [await anext(watch), await anext(watch)] == [convert.update(each.message) for each in scenes.recording()[:2]]
    crew = replay.watch(scenes.ROLLOUT)
    assert len((await anext(crew)).stand.members) == 48
    for decision in (
        replay.pause("ro", ""),
        replay.resume("ro", 1, ""),
        replay.advance("ro", 1, ""),
        replay.cancel("ro", ""),
        replay.press("", ""),
    ):
        with pytest.raises(RequestError, match="recording"):
            await decision


def test_a_recording_is_read_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "fleet.jsonl"
    Journal(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_replay_has_one_clock_for_all_of_its_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "fleet.jsonl"
    said = ((0.0, ""), (2.0, "ro-1"), (3.0, "ro-1"))
    path.write_text("".join(line_of(Entry(after, stream, scenes.message())) + "\n" for after, stream in said))
    loop, now, slept = asyncio.get_running_loop(), [100.0], []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    replay = Replay(path)
    with monkeypatch.context() as at:
        at.setattr(loop, "time", lambda: now[0])
        at.setattr("fleetroll_tui.feed.replay.asyncio.sleep", sleep)
        await anext(replay.watch())
        now[0] += 2.5
        crew = replay.watch("ro-1")
        await anext(crew)
        assert slept == [], "what was recorded before comes at once"
        await anext(crew)
        assert slept == [0.5]


def test_a_recording_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "fleet.jsonl"
    path.write_text("mine")
    with pytest.raises(RequestError, match="can't be written"):
        Journal(path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    "line",
    ["junk", "{}", '{"after":"x","stream":"","message":{}}', '{"after":1,"stream":"","message":{"snapshot":7}}', "[]"],
)
def test_a_line_that_is_no_entry_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "fleet.jsonl"
    path.write_text(line_of(Entry(0.0, "", scenes.message())) + "\n" + line + "\n")
    with pytest.raises(RequestError, match="line 2 of"):
        entries(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="can't be read"):
        Replay(tmp_path / "none")
