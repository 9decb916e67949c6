"""Stops of the lost time: none is undone by what is older than it, none is believed to be known that is not."""

from __future__ import annotations

import copy
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fleetroll_common.values.platform import Platform
from fleetroll_server.catalogue.first import Wanted, name_first
from fleetroll_server.datafolder import DataFolder
from fleetroll_server.recovery import restopping
from fleetroll_server.recovery.stops import append, read_every, read_stops
from fleetroll_server.store.tables import ArtifactRow, ReleaseRow
from tests.faults.lost_time import (
    backed_up,
    comes_back,
    copied,
    copied_back,
    end,
    join,
    join_string,
    recovery_of,
    restored,
)
from tests.faults.ruling import Ruler, yank
from tests.faults.stocks import NEW
from tests.faults.virtual_agent import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.worlds import World


def log_of(world: World) -> Path:
    return DataFolder(world.stock.data).stops


async def back_with_the_log(world: World, folder: Path) -> None:
    """Go back to a copy whose log lies elsewhere, and has not gone back."""
    shutil.copyfile(log_of(world), DataFolder(folder).stops)
    await copied_back(world, folder)


async def test_a_host_that_was_shut_out_in_the_lost_time_does_not_come_back_by_being_first(
    world: World, tmp_path: Path
) -> None:
    await world.online("host-1", "host-2")
    folder = await copied(world, tmp_path / "copy")
    await world.online("host-1", "host-2")
    wrong = copy.deepcopy(world.agent("host-1").disk)
    right = await world.readmit("host-1", b"\x77" * 32)
    await world.another(right, "right").connect()
    await back_with_the_log(world, folder)
    await comes_back(world.agent("host-2"))
    await comes_back(world.another(wrong, "wrong"))
    assert (await world.identity("host-1"))["quarantined"]
    await comes_back(world.another(right, "right"))
    assert (await world.identity("host-1"))["public_key"] == world.agent("right").key
    with pytest.raises(RefusedError) as caught:
        await world.agent("wrong").connect()
    assert caught.value.code == "IDENTITY_FORKED"


async def test_an_older_lift_undoes_no_press_that_stands(world: World, tmp_path: Path) -> None:
    await world.online("host-1")
    folder = await copied(world, tmp_path / "copy")
    await world.online("host-1")
    await world.press()
    await world.lift()
    await back_with_the_log(world, folder)
    await world.online("host-2", "host-3")
    await world.press()
    await comes_back(world.agent("host-1"))
    assert (await recovery_of(world)).active
    assert await world.pressed() == {"fleet/default"}


async def test_a_restore_lifts_what_was_lifted_and_presses_what_was_pressed_last(world: World, tmp_path: Path) -> None:
    await world.press()
    source = await backed_up(world, tmp_path / "backup")
    world.clock.advance(60)
    await world.lift()
    await restored(world, source, tmp_path / "new", log_of(world))
    assert await world.pressed() == set()


async def test_a_folder_without_later_stops_has_its_join_tokens_suspended(world: World, tmp_path: Path) -> None:
    await world.online("host-1")
    string = await join_string(world, 1)
    folder = await copied(world, tmp_path / "copy")
    await world.online("host-1")
    await join(world, string, "host-90")
    await copied_back(world, folder)
    await comes_back(world.agent("host-1"))
    shown = await recovery_of(world)
    assert (shown.suspended_tokens, shown.stops_read, shown.HasField("blind_from")) == (1, False, True)
    assert shown.blind_from.seconds <= shown.since.seconds
    with pytest.raises(Exception, match="revoked"):
        await join(world, string, "host-91")


async def test_a_younger_host_is_younger_also_the_second_time(world: World, tmp_path: Path) -> None:
    await world.online("host-1")
    string = await join_string(world, 1)
    first = await copied(world, tmp_path / "first")
    await world.online("host-1")
    await (await join(world, string, "host-90")).connect()
    await copied_back(world, first)
    for name in ("host-1", "host-90"):
        await comes_back(world.agent(name))
    second = await copied(world, tmp_path / "second")
    await world.online("host-1", "host-90")
    await copied_back(world, second)
    for name in ("host-1", "host-90"):
        await comes_back(world.agent(name))
    assert [host.name for host in (await recovery_of(world)).younger] == ["host-90"]
    assert await world.events("alert.identity_cloned") == []


async def test_a_completed_rollout_stays_what_it_is_and_says_nothing_against_its_release(
    world: World, tmp_path: Path
) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    await world.update("host-1")
    assert await world.state(rollout) == "COMPLETED"
    row = (await world.rows(ArtifactRow))[0]
    wanted = Wanted("agent", "stable", Platform(row["os"], row["arch"], row["abi"]))
    folder = await copied(world, tmp_path / "copy")
    await world.online("host-1")
    await copied_back(world, folder)
    await comes_back(world.agent("host-1"))
    assert await world.events("rollout.late_stopped") == []
    await end(world, (await recovery_of(world)).hosts_not_seen)
    async with world.services.store.read() as connection:
        assert str((await name_first(connection, "default", wanted)).version) == NEW


async def test_a_release_that_was_yanked_is_shown_as_yanked(world: World, tmp_path: Path) -> None:
    source = await backed_up(world, tmp_path / "backup")
    await Ruler(world.call, world.channel).change(yank(NEW))
    await restored(world, source, tmp_path / "new", log_of(world))
    (row,) = await world.rows(ReleaseRow, version=NEW)
    assert (row["listed"], row["state"]) == (False, "yanked")


async def test_what_a_crash_kept_out_of_the_log_is_in_it_after_the_next_start(world: World) -> None:
    await world.press()
    lines = log_of(world).read_bytes().splitlines(keepends=True)
    log_of(world).write_bytes(b"".join(lines[:-1]))
    await world.restart()
    stops, _damaged = read_stops(log_of(world))
    assert [stop.kind for stop in stops][-1] == "kill_switch.pressed"
    await world.restart()
    assert len(read_stops(log_of(world))[0]) == len(stops), "each once"


async def test_stops_of_the_same_kind_at_the_same_place_are_told_apart(world: World, tmp_path: Path) -> None:
    """Both use up a token; which one is in the facts."""
    first, second = await join_string(world, 1), await join_string(world, 1)
    await world.online("host-1")
    folder = await copied(world, tmp_path / "copy")
    await world.online("host-1")
    await join(world, first, "host-9")
    await back_with_the_log(world, folder)
    stops = read_stops(log_of(world))[0]
    event = (await world.events("agent.enrolled"))[-1]
    forged = replace(stops[-1], sequence=event["sequence"], agent_id=event["agent_id"], at=event["occurred_at"])
    log_of(world).unlink()
    append(log_of(world), [replace(forged, reason=event["reason"], actor_id=event["actor_id"])])
    await comes_back(world.agent("host-1"))
    with pytest.raises(Exception, match="spent"):
        await join(world, first, "host-10")
    await join(world, second, "host-11")


async def test_stops_are_carried_out_in_batches_and_gone_on_with_after_a_crash(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    string = await join_string(world, 9)
    source = await backed_up(world, tmp_path / "backup")
    for number in range(5):
        await join(world, string, f"host-9{number}")
    monkeypatch.setattr(restopping, "BATCH", 2)
    real, done = restopping.carry_out, list[str]()

    async def breaks(*args: object) -> None:
        if len(done) == 3:
            done.append("broken")
            message = "the machine is gone"
            raise RuntimeError(message)
        done.append("carried out")
        await real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(restopping, "carry_out", breaks)
    with pytest.raises(RuntimeError):
        await restored(world, source, tmp_path / "new", log_of(world))
    assert done == ["carried out"] * 3 + ["broken"]
    await world.start()
    assert len(done) == 7, "the second batch once more, and the third"
    for number in range(4):
        await join(world, string, f"host-8{number}")
    with pytest.raises(Exception, match="spent"):
        await join(world, string, "host-89")


def test_several_files_are_read_as_one(tmp_path: Path, world: World) -> None:
    stops, _damaged = read_stops(log_of(world)) if log_of(world).exists() else ([], 0)
    assert stops
    append(tmp_path / "one", stops[:-1])
    append(tmp_path / "two", stops[1:])
    assert read_every([tmp_path / "two", tmp_path / "one"]) == (stops, 0)
