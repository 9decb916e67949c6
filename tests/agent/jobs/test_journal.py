"""The journal: contiguous, durable before it is heard, whole after any crash."""

from __future__ import annotations

import errno
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent.jobs import journal as journals
from fleetroll_agent.jobs.journal import Journal, read_journal
from fleetroll_agent.jobs.values import KEEP_ACKED_SECONDS, Report, Said
from fleetroll_common.durable import effects
from fleetroll_common.values.ids import SystemIds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOW = 1_800_000_000.0


def report(number: int, at: float = NOW) -> Report:
    return Report(number, at, 7, Said.STAGED, message=f"report {number}")


def opened(folder: Path) -> Journal:
    return Journal(folder, SystemIds())


def numbers(journal: Journal) -> list[int]:
    return [entry.report.number for entry in journal.unacked(0, 10_000)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


class Crash(BaseException):
    """The power goes."""


@contextmanager
def crashing_at(point: int) -> Iterator[None]:
    """Let the power fail at the effect number ``point`` on the disk."""
    done = [0]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def effect(*args: Any) -> Any:
            if done[0] == point:
                raise Crash
            done[0] += 1
            return real(*args)

        return effect

    with pytest.MonkeyPatch.context() as patch:
        for name in effects.POINTS:
            patch.setattr(effects, name, counted(getattr(effects, name)))
        yield


def test_sequences_are_contiguous_over_restarts(folder: Path) -> None:
    first = opened(folder)
    first.append("agent", [report(1), report(2)])
    second = opened(folder)
    second.append("agent", [report(3)])
    assert [entry.sequence for entry in opened(folder).unacked(0, 100)] == [1, 2, 3]
    assert opened(folder).journal_id == first.journal_id


def test_a_report_is_journaled_once(folder: Path) -> None:
    journal = opened(folder)
    journal.append("agent", [report(1), report(2)])
    journal.append("agent", [report(1), report(2), report(3)])
    opened(folder).append("agent", [report(3)])
    assert numbers(opened(folder)) == [1, 2, 3]


def test_products_have_their_own_numbers(folder: Path) -> None:
    journal = opened(folder)
    journal.append("agent", [report(1)])
    journal.append("other", [report(1)])
    assert [(entry.sequence, entry.product) for entry in journal.unacked(0, 9)] == [(1, "agent"), (2, "other")]


def test_what_was_acknowledged_is_not_sent_again(folder: Path) -> None:
    journal = opened(folder)
    journal.append("agent", [report(1), report(2), report(3)])
    assert journal.ack(journal.journal_id, 2) == {"agent": 2}
    assert numbers(journal) == [3]
    assert journal.ack(journal.journal_id, 1) == {}
    assert journal.acked == 2


def test_an_ack_of_another_journal_says_nothing(folder: Path) -> None:
    journal = opened(folder)
    journal.append("agent", [report(1)])
    assert journal.ack("journal-of-somebody", 1) == {}
    assert numbers(journal) == [1]


def test_a_server_that_holds_more_than_this_disk_makes_a_new_journal_begin(folder: Path) -> None:
    journal = opened(folder)
    journal.append("agent", [report(1)])
    before = journal.journal_id
    assert journal.ack(before, 9) == {}
    assert journal.journal_id != before
    journal.append("agent", [report(1), report(2)])
    assert [(entry.sequence, entry.report.number) for entry in journal.unacked(0, 9)] == [(1, 2)]
    assert opened(folder).journal_id == journal.journal_id


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_torn_last_line_is_dropped_and_its_place_used_again(folder: Path, cut: int) -> None:
    journal = opened(folder)
    journal.append("agent", [report(1), report(2)])
    (segment,) = folder.glob("*.log")
    segment.write_bytes(segment.read_bytes()[:-cut])
    again = opened(folder)
    assert (numbers(again), again.journal_id) == ([1], journal.journal_id)
    again.append("agent", [report(2), report(3)])
    assert numbers(opened(folder)) == [1, 2, 3]


def test_damage_in_the_middle_begins_a_new_journal(folder: Path) -> None:
    journal = opened(folder)
    journal.append("agent", [report(1)])
    journal.append("agent", [report(2)])
    journals.SEGMENT_BYTES, saved = 1, journals.SEGMENT_BYTES
    try:
        journal.append("agent", [report(3)])
    finally:
        journals.SEGMENT_BYTES = saved
    first = min(folder.glob("*.log"))
    first.write_bytes(first.read_bytes().replace(b"report 1", b"report 9"))
    again = opened(folder)
    assert again.journal_id != journal.journal_id
    assert numbers(again) == []
    assert list(folder.glob("*.damaged"))


def test_a_journal_that_is_damaged_again_leaves_what_was_put_aside_before(folder: Path) -> None:
    """Each new journal counts its segments from the same number."""
    for message in (b"report 1", b"report 2"):
        opened(folder).append("agent", [report(int(message[-1:]))])
        (segment,) = folder.glob("*.log")
        (folder / "head.json").write_bytes(b"torn")
        opened(folder)
        assert not segment.exists()
    kept = sorted(folder.glob("*.damaged*"))
    assert [message in path.read_bytes() for message, path in zip((b"report 1", b"report 2"), kept, strict=True)]


def test_a_missing_segment_begins_a_new_journal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 1)
    journal = opened(folder)
    for number in (1, 2, 3):
        journal.append("agent", [report(number)])
    sorted(folder.glob("*.log"))[1].unlink()
    assert opened(folder).journal_id != journal.journal_id


def test_a_damaged_head_begins_a_new_journal(folder: Path) -> None:
    journal = opened(folder)
    journal.append("agent", [report(1)])
    (folder / "head.json").write_bytes(b"{}")
    assert opened(folder).journal_id != journal.journal_id


def test_old_acknowledged_segments_leave_and_the_rest_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 1)
    journal = opened(folder)
    for number in (1, 2, 3, 4):
        journal.append("agent", [report(number)])
    journal.ack(journal.journal_id, 3)
    journal.prune(NOW + KEEP_ACKED_SECONDS - 1)
    assert len(list(folder.glob("*.log"))) == 4
    journal.prune(NOW + KEEP_ACKED_SECONDS + 1)
    assert [entry.sequence for entry in read_journal(folder)] == [4]
    again = opened(folder)
    assert (again.last_sequence, again.journal_id, again.acked) == (4, journal.journal_id, 3)
    again.append("agent", [report(4), report(5)])
    assert numbers(again) == [4, 5]


def test_what_was_not_acknowledged_never_leaves(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 1)
    journal = opened(folder)
    for number in (1, 2):
        journal.append("agent", [report(number)])
    journal.prune(NOW + 10 * KEEP_ACKED_SECONDS)
    assert len(read_journal(folder)) == 2


@pytest.mark.parametrize("point", ["write", "fsync_file", "fsync_dir"])
@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_refuses_leaves_the_journal_as_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch, point: str, fault: int
) -> None:
    journal = opened(folder)

    def refuse(*_args: object) -> None:
        raise OSError(fault, "refused")

    with monkeypatch.context() as patch:
        patch.setattr(effects, point, refuse)
        with pytest.raises(OSError, match="refused"):
            journal.append("agent", [report(1)])
    assert numbers(journal) == []
    journal.append("agent", [report(1)])
    assert numbers(opened(folder)) == [1]


def test_half_a_line_of_a_full_disk_is_taken_away_before_the_next_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(folder)
    journal.append("agent", [report(1)])
    real = effects.write

    def half(handle: int, data: bytes) -> None:
        real(handle, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(effects, "write", half)
        with pytest.raises(OSError, match="full"):
            journal.append("agent", [report(2)])
    journal.append("agent", [report(2)])
    assert numbers(opened(folder)) == [1, 2]


def test_a_crash_at_any_effect_loses_nothing_that_was_said_and_doubles_nothing(tmp_path: Path) -> None:
    points = 0
    for point in range(100):
        folder = tmp_path / str(point)
        told = 0
        with suppress(Crash), crashing_at(point):
            journal = opened(folder)
            for number in (1, 2, 3):
                journal.append("agent", [report(number)])
                told = number
        again = opened(folder)
        assert numbers(again)[:told] == list(range(1, told + 1))
        again.append("agent", [report(number) for number in (1, 2, 3)])
        assert numbers(opened(folder)) == [1, 2, 3]
        if told == 3:
            break
        points += 1
    print(f"journal: {points} crash points")
    assert points >= 10


def test_what_a_restored_server_has_lost_waits_again(folder: Path) -> None:
    journal = opened(folder)
    journal.append("agent", [report(number) for number in range(1, 8)])
    journal.ack(journal.journal_id, 6)
    journal.rewind(2)
    assert numbers(journal) == [3, 4, 5, 6, 7]
    assert journal.acked == 2
    journal.append("agent", [report(8)])
    assert numbers(journal) == [3, 4, 5, 6, 7, 8]
    journal.ack(journal.journal_id, 8)
    assert numbers(journal) == []


def test_a_number_below_none_means_none(folder: Path) -> None:
    journal = opened(folder)
    journal.append("agent", [report(number) for number in range(1, 4)])
    journal.ack(journal.journal_id, 3)
    journal.rewind(-5)
    assert (numbers(journal), journal.acked) == ([1, 2, 3], 0)
    journal.ack(journal.journal_id, 2)
    journal.prune(NOW)
    assert numbers(opened(folder)) == [1, 2, 3]


def test_what_is_added_removed_and_acknowledged_while_it_goes_back_breaks_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 600)
    journal = opened(folder)
    for number in range(1, 30):
        journal.append("agent", [report(number)])
    journal.ack(journal.journal_id, 28)
    reading, read = threading.Event(), threading.Event()
    real = journals._read_segment

    def slow(path: Path) -> Any:
        found = real(path)
        reading.set()
        assert read.wait(10)
        return found

    monkeypatch.setattr(journals, "_read_segment", slow)
    going_back = threading.Thread(target=journal.rewind, args=(20,))
    adding = threading.Thread(target=journal.append, args=("agent", [report(30)]))
    leaving = threading.Thread(target=journal.prune, args=(NOW + KEEP_ACKED_SECONDS + 1,))
    going_back.start()
    assert reading.wait(10)
    leaving.start()
    leaving.join(0.2)
    adding.start()
    journal.ack(journal.journal_id, 29)  # of an older session, and waits for nobody
    read.set()
    for thread in (going_back, leaving, adding):
        thread.join(10)
        assert not thread.is_alive()
    assert (numbers(journal), journal.acked) == (list(range(21, 31)), 20)


def test_a_server_that_holds_as_much_or_more_brings_nothing_back(folder: Path) -> None:
    journal = opened(folder)
    journal.append("agent", [report(number) for number in range(1, 4)])
    journal.ack(journal.journal_id, 2)
    for held in (2, 3):
        journal.rewind(held)
        assert numbers(journal) == [3]


def test_it_says_how_far_it_reaches_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 600)
    journal = opened(folder)
    assert journal.first_sequence == 0
    for number in range(1, 30):
        journal.append("agent", [report(number)])
    assert journal.first_sequence == 1
    journal.ack(journal.journal_id, 29)
    journal.prune(NOW + KEEP_ACKED_SECONDS + 1)
    first = journal.first_sequence
    assert first > 1
    journal.rewind(0)
    assert numbers(journal)[0] == first
