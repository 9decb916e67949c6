"""Few snapshots wait for their watchers at the same time, and none for ever."""

from __future__ import annotations

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.events import held


@pytest.fixture(autouse=True)
def one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single place, and no patience."""
    monkeypatch.setattr(held, "HELD_AT_ONCE", 1)
    monkeypatch.setattr(held, "WAIT_SECONDS", 0.01)


async def read(snapshots: held.Snapshots, *pages: bytes) -> held.Held:
    async with snapshots.room() as room:
        for page in pages:
            room.add(page)
    return room


async def test_pages_come_in_order_and_then_no_more() -> None:
    room = await read(held.Snapshots(), b"1", b"2", b"3")
    assert [room.next() for _ in range(5)] == [b"1", b"2", b"3", None, None]


async def test_a_place_that_is_taken_is_refused_in_words_and_free_with_the_last_page() -> None:
    snapshots = held.Snapshots()
    first = await read(snapshots, b"1", b"2")
    assert first.next() == b"1"
    with pytest.raises(RequestError, match="other watchers") as caught:
        await read(snapshots, b"3")
    assert caught.value.code is Code.UNAVAILABLE
    assert first.next() == b"2", "it is not sent yet, but nothing is held any more"
    assert (await read(snapshots, b"3")).next() == b"3"


async def test_who_takes_too_long_loses_its_pages_and_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "HOLD_SECONDS", 0.01)
    snapshots = held.Snapshots()
    first = await read(snapshots, b"1", b"2", b"3")
    assert first.next() == b"1"
    monkeypatch.setattr(held, "WAIT_SECONDS", 10.0)
    await read(snapshots, b"4", b"5")
    with pytest.raises(RequestError, match="not taken") as caught:
        first.next()
    assert caught.value.code is Code.UNAVAILABLE


async def test_a_read_that_fails_makes_room() -> None:
    snapshots = held.Snapshots()
    for _ in range(2):
        with pytest.raises(OSError, match="the disk"):
            async with snapshots.room():
                raise OSError("the disk is gone")


async def test_a_place_is_given_back_once() -> None:
    snapshots = held.Snapshots()
    first = await read(snapshots, b"1", b"2")
    first.drop()
    first.drop()
    assert first.next() is None
    await read(snapshots, b"3", b"4")
    with pytest.raises(RequestError, match="other watchers"):
        await read(snapshots, b"5")
