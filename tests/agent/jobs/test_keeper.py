"""Nothing is done before it is durable, and what is durable happened, whatever the disk and the power do."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent.jobs import keeper as keepers
from fleetroll_agent.jobs.effects import Effects, FindTarget, RunSelfTest
from fleetroll_agent.jobs.events import Assigned, GoGiven, SessionOpened, SlotReady, TargetFound
from fleetroll_agent.jobs.journal import Journal, read_journal
from fleetroll_agent.jobs.keeper import Keeper, Part, ProductFile
from fleetroll_agent.jobs.state import Rules, Running
from fleetroll_agent.jobs.values import ProductRecord, Stage
from fleetroll_common.durable import effects as disk
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.ids import SequentialIds
from tests.faults.jobs import NEW, OLD, boot_record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RUNNING = Running("1.0.0", OLD)
SCRIPT = (
    SessionOpened(1),
    Assigned(7, "1.1.0"),
    TargetFound(1, NEW),
    SlotReady(1),
    GoGiven(1, 7, 1),
)


class Crash(BaseException):
    """The power goes."""


def opened(folder: Path, clock: FakeClock | None = None) -> Keeper:
    return Keeper(
        ProductFile(folder),
        Journal(folder / "journal", SequentialIds("j")),
        clock or FakeClock(),
        Part(Rules(), RUNNING),
    )


async def begun(folder: Path, clock: FakeClock | None = None) -> Keeper:
    keeper = opened(folder, clock)
    await keeper.begin(boot_record())
    return keeper


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepers, "RETRY_SECONDS", 0.0)


async def test_an_event_is_in_record_and_journal_before_its_effects_are_given(tmp_path: Path) -> None:
    keeper = await begun(tmp_path)
    await keeper.step(SCRIPT[0])
    effects = await keeper.step(SCRIPT[1])
    assert isinstance(effects[-1], FindTarget)
    assert ProductFile(tmp_path).read().attempt.generation == 7
    assert [entry.report.said.value for entry in read_journal(tmp_path / "journal")] == ["OFFERED"]


async def test_an_event_without_consequences_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = await begun(tmp_path)
    monkeypatch.setattr(ProductFile, "write", lambda *_args: pytest.fail("written"))
    await keeper.step(Assigned(0, "1.1.0"))


async def test_a_disk_that_refuses_holds_the_event_back_until_it_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = await begun(tmp_path)
    await keeper.step(SessionOpened(1))
    real, refusals, healthy = disk.fsync_file, [3], []

    def sometimes(handle: int) -> None:
        healthy.append(keeper.writable)
        if refusals[0]:
            refusals[0] -= 1
            raise OSError(errno.ENOSPC, "full")
        real(handle)

    monkeypatch.setattr(disk, "fsync_file", sometimes)
    await keeper.step(Assigned(7, "1.1.0"))
    assert (healthy[1], keeper.writable) == (False, True)
    assert ProductFile(tmp_path).read().highest == 7


async def test_a_go_that_grew_old_while_the_disk_refused_is_void(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    keeper = await begun(tmp_path, clock)
    for event in SCRIPT[:-1]:
        await keeper.step(event)
    real, tries = ProductFile.write, [0]

    def refuse_once(self: ProductFile, record: ProductRecord) -> None:
        tries[0] += 1
        if tries[0] == 1:
            real(self, record)
            clock.advance(61)
            raise OSError(errno.EIO, "the last sync failed")
        real(self, record)

    monkeypatch.setattr(ProductFile, "write", refuse_once)
    effects = await keeper.step(SCRIPT[-1])
    assert not any(isinstance(effect, RunSelfTest) for effect in effects)
    assert keeper.state.record.attempt.stage is Stage.STAGED
    assert ProductFile(tmp_path).read().attempt.stage is Stage.STAGED, "what the failed write left is written over"
    assert "APPLYING" not in [entry.report.said.value for entry in read_journal(tmp_path / "journal")]


async def test_a_lost_record_never_uses_a_reports_number_again(tmp_path: Path) -> None:
    keeper = await begun(tmp_path)
    for event in SCRIPT[:2]:
        await keeper.step(event)
    (tmp_path / "products" / "agent.json").unlink()
    again = await begun(tmp_path)
    for event in SCRIPT[:2]:
        await again.step(event)
    assert [entry.report.number for entry in read_journal(tmp_path / "journal")] == [1, 2]


async def test_a_crash_at_any_effect_neither_loses_nor_doubles_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Go through the script with a crash at each effect; start again; record and journal say the same."""
    points = 0
    for point in range(200):
        folder = tmp_path / str(point)
        folder.mkdir()
        given: list[Effects] = []
        crashed = await _crashing_run(folder, point, given, monkeypatch)
        keeper = opened(folder)
        await keeper.begin(boot_record())
        _agree(folder, given)
        if not crashed:
            break
        points += 1
    print(f"keeper: {points} crash points")
    assert points > 30


async def _crashing_run(folder: Path, point: int, given: list[Effects], monkeypatch: pytest.MonkeyPatch) -> bool:
    done = [0]

    def counting(real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            if done[0] == point:
                raise Crash
            done[0] += 1
            return real(*args)

        return counted

    with monkeypatch.context() as patch:
        for name in disk.POINTS:
            patch.setattr(disk, name, counting(getattr(disk, name)))
        try:
            keeper = opened(folder)
            given.append(await keeper.begin(boot_record()))
            for event in SCRIPT:
                given += [await keeper.step(event)]
        except Crash:
            return True
    return False


def _agree(folder: Path, given: list[Effects]) -> None:
    """Compare the disk with what was done: nothing was done that it does not know, and it knows nothing twice."""
    entries = read_journal(folder / "journal")
    assert [entry.report.number for entry in entries] == list(range(1, len(entries) + 1))
    record = ProductFile(folder).read()
    assert record.reports == len(entries)
    said = [f"{entry.report.said.value} {entry.report.step}".strip() for entry in entries]
    assert len(set(said)) == len(said)
    ran = any(isinstance(effect, RunSelfTest) for effects in given for effect in effects)
    assert not ran or "APPLYING self_test" in said
    if "APPLYING self_test" in said:
        assert said[-1] == "FAILED", "an attempt past Go that was never armed ends with nothing changed"
