"""The log of stops beside the database: written before the answer, torn lines passed over, carried out again."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.values.errors import RequestError
from fleetroll_server.datafolder import DataFolder
from fleetroll_server.recovery import stops as log
from fleetroll_server.recovery.stops import append, read_stops
from tests.faults.lost_time import backed_up, comes_back, join, join_string, restored
from tests.faults.virtual_agent import RefusedError

if TYPE_CHECKING:
    from tests.faults.worlds import World


def stops_of(world: World) -> Path:
    return DataFolder(world.stock.data).stops


def kinds(world: World) -> list[str]:
    stops, damaged = read_stops(stops_of(world))
    assert damaged == 0
    return [f"{stop.kind} {stop.message}".strip() for stop in stops]


async def test_every_stop_is_in_the_log_when_it_is_answered(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", waves=[1, 0])
    stops_of(world).unlink(missing_ok=True)
    await world.pause(rollout)
    assert kinds(world)[-1] == "rollout.state paused"
    await world.cancel(rollout)
    assert kinds(world)[-1] == "rollout.state cancelled"
    await world.press()
    assert kinds(world)[-1] == "kill_switch.pressed fleet/default"
    await world.lift()
    assert kinds(world)[-1] == "kill_switch.lifted fleet/default"
    await world.revoke("host-2")
    assert kinds(world)[-1] == "agent.revoked"
    await join(world, await join_string(world, 1), "host-9")
    assert kinds(world)[-1] == "agent.enrolled"


async def test_it_is_synced_before_the_answer_leaves(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def noted(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        real(handle)

    monkeypatch.setattr(os, "fsync", noted)
    await world.press()
    assert synced == [str(stops_of(world))]


async def test_a_stop_goes_through_where_the_log_cannot_be_written(world: World) -> None:
    stops_of(world).unlink(missing_ok=True)
    stops_of(world).mkdir()
    await world.press()
    assert await world.pressed() == {"fleet/default"}
    await world.lift()


async def test_a_torn_line_ends_nothing(world: World) -> None:
    await world.press()
    with stops_of(world).open("ab") as file:
        file.write(b'{"crc32":"1234')
    await world.lift()
    stops, damaged = read_stops(stops_of(world))
    assert [stop.kind for stop in stops][-2:] == ["kill_switch.pressed", "kill_switch.lifted"]
    assert damaged == 1


async def test_a_changed_line_is_not_believed(world: World) -> None:
    await world.press()
    stops_of(world).write_bytes(stops_of(world).read_bytes().replace(b"pressed", b"lifted!"))
    _stops, damaged = read_stops(stops_of(world))
    assert damaged == 1


async def test_stops_of_the_lost_time_are_carried_out_once_more(world: World, tmp_path: Path) -> None:
    await world.online("host-1", "host-2", "host-3")
    string = await join_string(world, 2)
    cancelled = await world.roll("host-1")
    source = await backed_up(world, tmp_path / "backup")
    await join(world, string, "host-9")
    await world.agent("host-9").connect()
    await world.cancel(cancelled)
    await world.revoke("host-2")
    await world.revoke("host-9")
    await world.press()
    made = await restored(world, source, tmp_path / "new", stops_of(world))
    assert made.stops == 5
    assert await world.state(cancelled) == "CANCELLED"
    assert await world.pressed() == {"fleet/default"}
    for name in ("host-2", "host-9"):
        with pytest.raises(RefusedError) as caught:
            await world.agent(name).connect()
        assert caught.value.code == "IDENTITY_REVOKED"
    await join(world, string, "host-10")
    with pytest.raises(Exception, match="uses are spent"):
        await join(world, string, "host-11")
    await comes_back(world.agent("host-1"))
    await world.restart()
    assert kinds(world).count("kill_switch.pressed fleet/default") == 2, "as it was read, and as it was carried out"


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="stops"):
        read_stops(tmp_path / "nothing")


def test_lines_of_newer_versions_are_read(tmp_path: Path) -> None:
    class Newer(log.Stop):
        def to_json(self) -> dict[str, Any]:
            return {**super().to_json(), "more": 1}

    stop = Newer(1, "inc.1", datetime(2026, 1, 1, tzinfo=UTC), "agent.revoked", agent_id="agent-1")
    append(tmp_path / "stops.log", [stop])
    ((found,), damaged) = read_stops(tmp_path / "stops.log")
    assert (found.agent_id, damaged) == ("agent-1", 0)


def test_a_line_with_an_instant_of_no_zone_is_a_damaged_one(tmp_path: Path) -> None:
    """It could be held against no backup."""
    stop = log.Stop(1, "inc.1", datetime(2026, 11, 1, tzinfo=UTC), "agent.revoked")
    append(tmp_path / "stops.log", [stop, replace(stop, at=datetime(2026, 11, 1))])  # noqa: DTZ001 (that is the fault)
    assert read_stops(tmp_path / "stops.log") == ([stop], 1)
