"""What comes in: messages as values, recordings, and a replay that is like what was recorded."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from fleetroll.v1 import agents_pb2, events_pb2, rollouts_pb2, types_pb2
from fleetroll_client import Changed as FollowedChange
from fleetroll_client import Connection, Endpoint, Link, Resynced, Snapshot
from fleetroll_common.values.errors import RequestError
from fleetroll_tui import convert
from fleetroll_tui.feed import live
from fleetroll_tui.feed.journal import Entry, Journal, entries, line_of, message_of
from fleetroll_tui.feed.live import LiveServer
from fleetroll_tui.feed.replay import Replay
from fleetroll_tui.model.updates import PIECE, Alive, Changed, Lost, Page, Resync, Update
from fleetroll_tui.model.values import Late, Limits, Wave
from tests.client.test_errors import PEM
from tests.tui import scenes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fleetroll_client import Update as Followed

NO_SECONDS = ("1" + "0" * 400, "NaN", '"nan"', "Infinity", "-Infinity", "1e999", "-1")
"""What the second in which a message came may not be."""
WHEN = scenes.snapshot().sent_at.ToDatetime(UTC)


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


def test_a_count_below_zero_is_none() -> None:
    count = rollouts_pb2.StateCount
    counts = [
        count(state=types_pb2.ATTEMPT_STATE_SUCCEEDED, hosts=7),
        count(state=types_pb2.ATTEMPT_STATE_LOST, hosts=-5),
    ]
    wave = rollouts_pb2.Wave(number=-1, hosts=-2, counts=counts, bad=-3, attempted=-4, forgiven_bad=-5)
    limits = rollouts_pb2.RolloutLimits(
        max_concurrent=-1, max_failed=-1, min_sample=-1, max_downloading=-1, max_out=-1, failure_limit=-0.5
    )
    late = rollouts_pb2.LateHosts(left=-1, waiting=-1, under_way=-1, bad=-1)
    read = convert.rollout(rollouts_pb2.Rollout(id="ro-1", waves=[wave], counts=counts, limits=limits, late=late))
    assert read.counts == read.waves[0].counts == {"succeeded": 7}
    assert read.waves == (Wave(0, "", 0, {"succeeded": 7}),)
    assert (read.limits, read.late) == (Limits(0, 0, 0.0, 0, 0.0, 0.0, 0, 0), Late())
    assert convert.switch(rollouts_pb2.KillSwitch(in_use=-1)).in_use == 0
    assert convert.host(agents_pb2.Agent(disk_free_bytes=-1)).disk_free_bytes == 0
    assert convert.member(rollouts_pb2.RolloutHost(wave=-1)).wave == 0


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
    again = message_of(Resynced("slow", log_replaced=True))
    assert again is not None
    assert convert.update(again) == Resync(0.0, "slow", log_replaced=True)


def told(monkeypatch: pytest.MonkeyPatch, *updates: Followed, journal: Journal | None = None) -> LiveServer:
    """A real server's feed whose follower hands over these."""

    async def follow(*_: object) -> AsyncIterator[Followed]:
        for update in updates:
            yield update

    monkeypatch.setattr(live, "follow", follow)
    return LiveServer(Endpoint("nobody:1", PEM), journal)


async def seen(server: LiveServer) -> list[Update]:
    """What the console is told, until the follower has no more."""
    async with aclosing(server.watch()) as updates:  # type: ignore[type-var]  # it is a generator
        found = [update async for update in updates]
    await server.close()
    return found


async def test_the_link_is_told_as_the_follower_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    server = told(
        monkeypatch,
        Connection(Link.CONNECTING),
        Connection(Link.LIVE, 1.0, sent_at=WHEN),
        Connection(Link.LIVE, 2.0),
        Connection(Link.RECONNECTING, 2.0, 3, "UNAVAILABLE: gone", 0.2),
    )
    assert await seen(server) == [
        Alive(scenes.NOW),
        Alive(0.0),
        Lost("UNAVAILABLE", "UNAVAILABLE: gone", tries=3),
    ]


async def test_from_a_resync_until_its_snapshot_what_is_shown_is_told_to_be_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    why = "a snapshot is awaited: too slow"
    server = told(
        monkeypatch,
        Resynced("too slow", log_replaced=True),
        Connection(Link.STALE, 2.0, 0, why),
        Connection(Link.STALE, 3.0, 0, why),
        Snapshot(b"7", WHEN, agents=(scenes.agent(1),)),
        Connection(Link.LIVE, 4.0, sent_at=WHEN),
    )
    old = Lost("RESYNC", why)
    page = Page(scenes.NOW, convert.stand(scenes.snapshot().snapshot), last=True)
    resync, first, second, whole, alive = await seen(server)
    assert (resync, first, second, alive) == (Resync(0.0, "too slow", log_replaced=True), old, old, Alive(scenes.NOW))
    assert isinstance(whole, Page)
    assert whole.last
    assert whole.stand.hosts[0] == next(host for host in page.stand.hosts if host.id == "ag-00001")


async def test_things_that_are_handed_over_say_the_same_as_the_message_they_came_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = scenes.snapshot().snapshot
    whole = Snapshot(b"7", WHEN, tuple(said.rollouts), tuple(said.kill_switches), tuple(said.agents), token=said.token)
    hosts = tuple(entry.message.snapshot.rollout_hosts[0] for entry in scenes.recording() if entry.stream)[:1]
    change = FollowedChange(
        b"8", WHEN, tuple(scenes.events()), whole.rollouts, whole.kill_switches, whole.agents, hosts
    )
    messages = [message_of(whole), message_of(change)]
    expected = [convert.update(message) for message in messages if message is not None]
    assert [len(each.stand.hosts) for each in expected if isinstance(each, Page | Changed)] == [48, 48]
    assert await seen(told(monkeypatch, whole, change)) == expected


async def test_keys_are_taken_in_while_a_large_fleet_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    agents = tuple(agents_pb2.Agent(id=f"ag-{number}") for number in range(PIECE * 30))
    server = told(monkeypatch, Snapshot(b"7", WHEN, agents=agents))
    turns, reading = 0, asyncio.ensure_future(seen(server))
    while not reading.done():
        await asyncio.sleep(0)
        turns += 1
    (page,) = await reading
    assert isinstance(page, Page)
    assert [host.id for host in page.stand.hosts] == [agent.id for agent in agents]
    assert turns >= 30


async def test_what_is_seen_is_recorded_in_its_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "seen.jsonl"
    updates: list[Followed] = [Snapshot(b"1", WHEN)]
    updates += [FollowedChange(f"{number}".encode(), WHEN) for number in range(2, 30)]
    updates.append(Resynced("slow"))
    await seen(told(monkeypatch, *updates, journal=Journal(path)))
    recorded = [entry.message for entry in entries(path)]
    assert [message.cursor for message in recorded[:-1]] == [f"{number}".encode() for number in range(1, 30)]
    assert recorded[-1].resync.reason == "slow"


async def test_a_log_that_was_replaced_is_recorded_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ids of events come again after it: whoever plays it back without knowing takes the new ones for known."""
    path = tmp_path / "seen.jsonl"
    updates: list[Followed] = [Snapshot(b"1", WHEN), Resynced("restored", log_replaced=True), Snapshot(b"2", WHEN)]
    watched = await seen(told(monkeypatch, *updates, journal=Journal(path)))
    watch = Replay(path, 0).watch()
    assert [await anext(watch) for _ in updates] == watched
    assert watched[1] == Resync(0.0, "restored", log_replaced=True)


async def test_a_large_fleet_is_recorded_in_pages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One line of all hosts would hold the program up."""
    path, said = tmp_path / "seen.jsonl", scenes.snapshot().snapshot
    agents = tuple(agents_pb2.Agent(id=f"ag-{number}") for number in range(2 * PIECE + 1))
    whole = Snapshot(b"1", WHEN, tuple(said.rollouts), tuple(said.kill_switches), agents, token=said.token)
    await seen(told(monkeypatch, whole, journal=Journal(path)))
    pages = [entry.message for entry in entries(path)]
    assert [(len(page.snapshot.agents), page.snapshot.last, page.cursor) for page in pages] == [
        (PIECE, False, b""), (PIECE, False, b""), (1, True, b"1"),
    ]  # fmt: skip
    assert [agent.id for page in pages for agent in page.snapshot.agents] == [agent.id for agent in agents]
    assert [len(page.snapshot.rollouts) for page in pages] == [len(said.rollouts), 0, 0]
    assert [page.snapshot.HasField("token") for page in pages] == [True, False, False]


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
        if seconds:  # not a mere turn of the loop
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
    ["junk", "{}", '{"after":"x","stream":"","message":{}}', '{"after":1,"stream":"","message":{"snapshot":7}}', "[]"]
    + [f'{{"after":{after},"stream":"","message":{{}}}}' for after in NO_SECONDS],
)
def test_a_line_that_is_no_entry_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "fleet.jsonl"
    path.write_text(line_of(Entry(0.0, "", scenes.message())) + "\n" + line + "\n")
    with pytest.raises(RequestError, match="line 2 of"):
        entries(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="can't be read"):
        Replay(tmp_path / "none")


def test_a_disk_that_is_full_ends_the_recording_and_says_so(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "recording.jsonl")
    journal._file.close()
    journal._file = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 (the journal closes it)
    assert journal.fault == ""
    journal.write("", scenes.snapshot())
    journal.write("", scenes.snapshot())
    journal.close()
    assert journal.fault == "the recording ended: No space left on device"


NEVER = 10**15
"""Seconds of no time that can be written."""


@pytest.mark.parametrize(
    "spoilt",
    [
        agents_pb2.Agent(id="ag-1", last_seen_at=Timestamp(seconds=NEVER)),
        agents_pb2.Agent(id="ag-1", last_seen_at=Timestamp(nanos=-5)),
        rollouts_pb2.Rollout(id="ro-1", limits=rollouts_pb2.RolloutLimits(soak=Duration(seconds=NEVER))),
        events_pb2.Event(id="ev-1", occurred_at=Timestamp(seconds=-NEVER)),
    ],
)
async def test_what_cannot_be_written_is_left_out_of_the_recording_and_the_rest_is_in_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, spoilt: agents_pb2.Agent | rollouts_pb2.Rollout | events_pb2.Event
) -> None:
    agents, rollouts, events = (scenes.agent(1),), (scenes.rollout(),), tuple(scenes.events())
    if isinstance(spoilt, agents_pb2.Agent):
        change = FollowedChange(b"2", WHEN, events, rollouts, (), (spoilt, *agents))
    elif isinstance(spoilt, rollouts_pb2.Rollout):
        change = FollowedChange(b"2", WHEN, events, (*rollouts, spoilt), (), agents)
    else:
        change = FollowedChange(b"2", WHEN, (spoilt, *events), rollouts, (), agents)
    path = tmp_path / "seen.jsonl"
    server = told(monkeypatch, Snapshot(b"1", WHEN), change, FollowedChange(b"3", WHEN), journal=Journal(path))
    assert len(await seen(server)) == 3
    recorded = [entry.message for entry in entries(path)]
    assert [message.cursor for message in recorded] == [b"1", b"2", b"3"]
    said = recorded[1].changes
    assert (tuple(said.agents), tuple(said.rollouts), tuple(said.events)) == (agents, rollouts, events)
    assert server.fault.startswith("the recording leaves out what can't be written: Failed to serialize ")


def test_a_message_of_which_nothing_can_be_written_is_left_out_and_recording_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "seen.jsonl"
    journal = Journal(path)
    journal.write("", events_pb2.WatchEventsResponse(sent_at=Timestamp(seconds=NEVER)))
    assert journal.fault.startswith("the recording leaves out what can't be written: ")
    journal.write("", scenes.snapshot())
    journal.close()
    assert [entry.message for entry in entries(path)] == [scenes.snapshot()]


def test_a_line_that_is_nested_without_end_is_no_entry(tmp_path: Path) -> None:
    path = tmp_path / "recording.jsonl"
    path.write_text("[" * 100_000, "utf-8")
    with pytest.raises(RequestError, match="line 1 of"):
        entries(path)
