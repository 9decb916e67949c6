"""The writer's promises, on every database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, StoreError
from fleetroll_server.store import EventFact, Store, Tx
from fleetroll_server.store.tables import CounterRow, EventRow, MetaRow, table_of
from tests.faults.writers import held, keys

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fleetroll_common.values.clock import FakeClock

META = table_of(MetaRow)
EVENT = table_of(EventRow)


def put(key: str, value: str = "x") -> Callable[[Tx], Awaitable[str]]:
    async def job(tx: Tx) -> str:
        await tx.execute(sa.insert(META).values(key=key, value=value))
        return key

    return job


def fact(number: int = 0, fleet_id: str = "default") -> EventFact:
    return EventFact(fleet_id=fleet_id, kind="test", actor_kind="engine", actor_id="test", message=str(number))


async def test_a_command_is_durable_when_its_caller_hears_of_it(store: Store) -> None:
    assert await store.writer.command(put("a")) == "a"
    assert await keys(store) == ["a"]


async def test_commands_overtake_reports_that_wait(store: Store) -> None:
    order: list[str] = []

    def note(name: str) -> Callable[[Tx], Awaitable[None]]:
        async def job(tx: Tx) -> None:
            order.append(name)

        return job

    holder, release = await held(store)
    reports = [asyncio.create_task(store.writer.report(note(f"report {n}"))) for n in range(3)]
    await asyncio.sleep(0)
    commands = [asyncio.create_task(store.writer.command(note(f"command {n}"))) for n in range(2)]
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(holder, *reports, *commands)
    assert order == ["command 0", "command 1", "report 0", "report 1", "report 2"]


async def test_a_command_cuts_a_running_batch_of_reports_short(store: Store) -> None:
    order: list[str] = []
    commands: list[asyncio.Task[None]] = []

    async def command(tx: Tx) -> None:
        order.append("command")

    def report(number: int) -> Callable[[Tx], Awaitable[None]]:
        async def job(tx: Tx) -> None:
            order.append(f"report {number}")
            if number == 1:
                commands.append(asyncio.create_task(store.writer.command(command)))
                await asyncio.sleep(0)

        return job

    holder, release = await held(store)
    reports = [asyncio.create_task(store.writer.report(report(n))) for n in range(4)]
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(holder, *reports)
    await asyncio.gather(*commands)
    assert order == ["report 0", "report 1", "command", "report 2", "report 3"]


async def test_commands_without_end_keep_no_report_waiting(store: Store) -> None:
    """A crowd that asks for Go must not hold up the bad news that would stop it."""
    asked, stop = 0, asyncio.Event()
    crowd: set[asyncio.Task[None]] = set()

    async def ask(tx: Tx) -> None:
        """Ask, and have the next one ask before this one is answered: somebody always waits."""
        nonlocal asked
        asked += 1
        if not stop.is_set():
            crowd.add(asyncio.create_task(store.writer.command(ask)))
        await asyncio.sleep(0.001)

    crowd.add(asyncio.create_task(store.writer.command(ask)))
    try:
        async with asyncio.timeout(20):
            while asked < 50:
                await asyncio.sleep(0.005)
            for number in range(5):
                await store.writer.report(put(f"report {number}"))
        assert not stop.is_set()
    finally:
        stop.set()
        while waiting := [task for task in crowd if not task.done()]:
            await asyncio.gather(*waiting)


async def test_reports_without_end_keep_no_command_waiting(store: Store) -> None:
    stop = asyncio.Event()

    async def slow(tx: Tx) -> None:
        await asyncio.sleep(0.002)

    async def report_on() -> None:
        while not stop.is_set():
            await store.writer.report(slow)

    crowd = [asyncio.create_task(report_on()) for _ in range(200)]
    async with asyncio.timeout(10):
        for number in range(20):
            await store.writer.command(put(f"command {number}"))
    stop.set()
    await asyncio.gather(*crowd)


async def test_reports_that_wait_together_share_one_commit(store: Store) -> None:
    commits = 0

    def count_commit(_connection: object) -> None:
        nonlocal commits
        commits += 1

    sa.event.listen(store._writing.sync_engine, "commit", count_commit)
    holder, release = await held(store)
    reports = [asyncio.create_task(store.writer.report(put(f"k{n:03}"))) for n in range(200)]
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(holder, *reports)
    assert len(await keys(store)) == 200
    assert commits == 2


async def test_a_report_on_an_idle_server_waits_for_no_group(store: Store) -> None:
    async with asyncio.timeout(5):
        for number in range(20):
            await store.writer.report(put(f"k{number}"))


async def test_a_job_that_fails_goes_back_alone(store: Store) -> None:
    actions: list[str] = []

    async def bad(tx: Tx) -> None:
        tx.after_commit(lambda: actions.append("bad"))
        tx.emit(fact())
        await put("bad")(tx)
        raise RequestError("no", code=Code.CONFLICT)

    async def good(tx: Tx) -> None:
        tx.after_commit(lambda: actions.append("good"))
        tx.emit(fact())
        await put("good")(tx)

    holder, release = await held(store)
    results = asyncio.gather(*(store.writer.report(job) for job in (good, bad, put("other"))), return_exceptions=True)
    await asyncio.sleep(0)
    release.set()
    await holder
    _, failed, other = await results
    assert isinstance(failed, RequestError)
    assert failed.code is Code.CONFLICT
    assert other == "other"
    assert await keys(store) == ["good", "other"]
    assert actions == ["good"]
    assert await sequences(store) == [1]


async def test_a_broken_constraint_is_the_job_s_own_failure(store: Store) -> None:
    await store.writer.command(put("a"))
    with pytest.raises(sa.exc.IntegrityError):
        await store.writer.command(put("a"))
    assert store.writer.healthy
    assert await store.writer.report(put("b")) == "b"


async def test_a_wrong_statement_is_the_job_s_own_failure(store: Store) -> None:
    async def job(tx: Tx) -> None:
        await tx.execute(sa.text("SELECT * FROM nowhere"))

    with pytest.raises(sa.exc.DBAPIError):
        await store.writer.command(job)
    assert store.writer.healthy


async def test_actions_run_in_order_after_the_commit_and_before_callers_hear(store: Store) -> None:
    seen: list[str] = []

    def committed(_connection: object) -> None:
        seen.append("commit")

    sa.event.listen(store._writing.sync_engine, "commit", committed)

    async def job(tx: Tx) -> None:
        tx.after_commit(lambda: seen.append("first"))
        tx.after_commit(lambda: seen.append("second"))
        seen.append("job")

    await store.writer.command(job)
    seen.append("caller")
    assert seen == ["job", "commit", "first", "second", "caller"]


async def test_an_action_that_fails_stops_no_other(store: Store) -> None:
    seen: list[str] = []

    def broken() -> None:
        raise ValueError("a defect")

    async def job(tx: Tx) -> int:
        tx.after_commit(broken)
        tx.after_commit(lambda: seen.append("next"))
        return 7

    assert await store.writer.command(job) == 7
    assert seen == ["next"]


async def test_a_caller_that_left_costs_nobody_else_anything(store: Store) -> None:
    holder, release = await held(store)
    leaver = asyncio.create_task(store.writer.report(put("left")))
    stayer = asyncio.create_task(store.writer.report(put("stayed")))
    await asyncio.sleep(0)
    leaver.cancel()
    release.set()
    await asyncio.gather(holder, stayer)
    assert await keys(store) == ["stayed"]


async def test_a_job_sees_the_clock_of_its_start(store: Store, clock: FakeClock) -> None:
    async def job(tx: Tx) -> object:
        return tx.now

    before = await store.writer.command(job)
    clock.advance(60)
    assert before != await store.writer.command(job) == clock.now()


async def test_a_job_that_was_cancelled_inside_fails_alone(store: Store) -> None:
    async def job(tx: Tx) -> None:
        await put("half")(tx)
        raise asyncio.CancelledError

    with pytest.raises(StoreError):
        await store.writer.command(job)
    assert await store.writer.command(put("next")) == "next"
    assert await keys(store) == ["next"]


async def test_a_listener_that_fails_does_not_end_the_writer(store: Store) -> None:
    def broken(_healthy: bool) -> None:
        raise ValueError("a defect")

    store.writer.on_health_change(broken)
    failing = True

    def refuse(_connection: object) -> None:
        if failing:
            raise OSError(5, "Input/output error")

    sa.event.listen(store._writing.sync_engine, "commit", refuse)
    with pytest.raises(StoreError):
        await store.writer.command(put("a"))
    failing = False
    await until_healthy(store)
    assert await store.writer.command(put("b")) == "b"


async def test_a_writer_that_was_cancelled_refuses_instead_of_keeping_callers_waiting(store: Store) -> None:
    holder, release = await held(store)
    waiting = asyncio.create_task(store.writer.report(put("waiting")))
    await asyncio.sleep(0)
    task = store.writer._task
    assert task is not None
    task.cancel()
    for caller in (waiting, holder):
        with pytest.raises(StoreError):
            async with asyncio.timeout(5):
                await caller
    with pytest.raises(StoreError):
        await store.writer.command(put("late"))
    release.set()
    store.writer._task = None


async def test_after_stop_jobs_are_refused_and_the_ones_before_are_done(store: Store) -> None:
    holder, release = await held(store)
    waiting = asyncio.create_task(store.writer.report(put("last")))
    await asyncio.sleep(0)
    stopping = asyncio.create_task(store.writer.stop())
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(holder, waiting, stopping)
    assert await keys(store) == ["last"]
    with pytest.raises(StoreError) as caught:
        await store.writer.command(put("late"))
    assert caught.value.code is Code.UNAVAILABLE


async def test_a_commit_that_fails_tells_nobody_of_success(store: Store) -> None:
    actions: list[str] = []
    health: list[bool] = []
    store.writer.on_health_change(health.append)

    def refuse(_connection: object) -> None:
        sa.event.remove(store._writing.sync_engine, "commit", refuse)
        raise OSError(5, "Input/output error")

    async def job(tx: Tx) -> None:
        tx.emit(fact())
        tx.after_commit(lambda: actions.append("ran"))
        await put(f"k{len(actions)}")(tx)

    async def other(tx: Tx) -> None:
        tx.after_commit(lambda: actions.append("ran"))
        await put("other")(tx)

    holder, release = await held(store)
    reports = asyncio.gather(store.writer.report(job), store.writer.report(other), return_exceptions=True)
    await asyncio.sleep(0)
    release.set()
    await holder
    sa.event.listen(store._writing.sync_engine, "commit", refuse)
    for result in await reports:
        assert isinstance(result, StoreError)
        assert result.code is Code.STORE_FAILED
    await until_healthy(store)
    assert health == [False, True]
    assert actions == []
    assert await keys(store) == []
    assert await sequences(store) == []


async def test_while_storage_fails_jobs_are_refused_at_once(store: Store) -> None:
    failing = True

    def refuse(_connection: object) -> None:
        if failing:
            raise OSError(28, "No space left on device")

    sa.event.listen(store._writing.sync_engine, "commit", refuse)
    with pytest.raises(StoreError):
        await store.writer.command(put("a"))
    assert not store.writer.healthy
    with pytest.raises(StoreError) as caught:
        await store.writer.report(put("b"))
    assert caught.value.code is Code.STORE_FAILED
    failing = False
    await until_healthy(store)
    assert await store.writer.command(put("c")) == "c"
    assert await keys(store) == ["c"]


async def test_sequences_are_one_gapless_row_over_groups_and_failures(store: Store) -> None:
    async def job(tx: Tx) -> None:
        tx.emit(fact())
        tx.emit(fact())

    async def bad(tx: Tx) -> None:
        tx.emit(fact())
        raise RequestError("no", code=Code.CONFLICT)

    jobs = [store.writer.report(job if n % 3 else bad) for n in range(60)]
    jobs += [store.writer.command(job) for _ in range(5)]
    await asyncio.gather(*jobs, return_exceptions=True)
    assert await sequences(store) == list(range(1, 91))


async def sequences(store: Store) -> list[int]:
    async with store.read() as connection:
        counter = await connection.scalar(sa.select(table_of(CounterRow).c.value))
        found = list((await connection.scalars(sa.select(EVENT.c.sequence).order_by(EVENT.c.sequence))).all())
    assert counter == len(found)
    return found


async def until_healthy(store: Store) -> None:
    async with asyncio.timeout(10):
        while not store.writer.healthy:
            await asyncio.sleep(0.01)
