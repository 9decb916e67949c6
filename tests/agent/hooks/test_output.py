"""Logs of attempts: bounded, live, private, and never in the way."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.hooks import output
from fleetroll_agent.hooks.output import FILE_BYTES, HEAD_BYTES, MAX_FILES, AttemptLog
from fleetroll_common.values.clock import FakeClock
from tests.faults.hooks import run_script

if TYPE_CHECKING:
    from pathlib import Path


def begin(state: Path, attempt: str = "7", product: str = "shop") -> AttemptLog:
    return AttemptLog(state, product, attempt, FakeClock())


def test_lines_are_in_the_file_as_soon_as_they_are_said(tmp_path: Path) -> None:
    """With time and step, readable by the agent's user alone."""
    log = begin(tmp_path)
    log.add("backup", "begun")
    assert log.path == tmp_path / "log/shop/7.log"
    assert log.path.read_text() == "2026-01-01T00:00:00Z backup: begun\n"
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (log.path.parent, tmp_path / "log")] == [0o700, 0o700]


def test_a_log_goes_on_after_a_restart(tmp_path: Path) -> None:
    """What was there stays."""
    begin(tmp_path).add("backup", "one")
    begin(tmp_path).add("pull", "two")
    assert [line.split(" ", 1)[1] for line in (tmp_path / "log/shop/7.log").read_text().splitlines()] == [
        "backup: one",
        "pull: two",
    ]


def test_a_long_log_keeps_its_head_and_its_newest_lines(tmp_path: Path) -> None:
    """At no moment is it larger than its bound, and the gap is told."""
    log = begin(tmp_path)
    for number in range(20_000):
        log.add("pull", f"line {number}")
        assert number % 100 or log.path.stat().st_size <= FILE_BYTES
    text = log.path.read_text()
    assert log.path.stat().st_size <= FILE_BYTES
    assert text.startswith("2026-01-01T00:00:00Z pull: line 0\n")
    assert text.endswith("pull: line 19999\n")
    head, gap, newest = text.partition("\n[lines left out]\n")
    assert (len(head), bool(gap)) == (HEAD_BYTES, True)
    numbers = [int(line.rpartition(" ")[2]) for line in newest.splitlines()]
    assert numbers == list(range(numbers[0], 20_000))
    assert log.lost_bytes == 0


def test_the_oldest_logs_of_a_product_go(tmp_path: Path) -> None:
    """Other products' logs and other files stay."""
    begin(tmp_path, product="other").add("pull", "x")
    for number in range(30):
        log = begin(tmp_path, str(number))
        log.add("pull", "x")
        os.utime(log.path, (number, number))
    names = {path.name for path in (tmp_path / "log/shop").iterdir()}
    assert names == {f"{number}.log" for number in range(30 - MAX_FILES, 30)}
    assert (tmp_path / "log/other/7.log").exists()


@pytest.mark.parametrize(
    ("product", "attempt", "want"),
    [
        ("../../etc", "agent-x/shop/7", "_.._etc/agent-x_shop_7.log"),
        (".", "..", "_/_.log"),
        ("", "a" * 300, "_/" + "a" * 100 + "_.log"),
    ],
)
def test_names_stay_below_the_folder_of_logs(tmp_path: Path, product: str, attempt: str, want: str) -> None:
    """Whatever products and attempts are called."""
    log = begin(tmp_path, attempt, product)
    log.add("pull", "x")
    assert log.path.relative_to(tmp_path / "log").as_posix() == want
    assert log.path.exists()


def test_a_link_in_place_of_a_log_is_not_written_through(tmp_path: Path) -> None:
    """The lines are lost and counted."""
    victim = tmp_path / "victim"
    victim.write_text("")
    (tmp_path / "log/shop").mkdir(parents=True)
    (tmp_path / "log/shop/7.log").symlink_to(victim)
    log = begin(tmp_path)
    log.add("pull", "x")
    assert (victim.read_text(), log.lost_bytes > 0) == ("", True)


async def test_a_full_disk_loses_lines_and_stops_no_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When there is room again, it goes on."""
    real, full = output._write, True

    def write(handle: int, data: bytes) -> int:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data)

    monkeypatch.setattr(output, "_write", write)
    log = begin(tmp_path)
    result = await run_script("echo one; echo two", on_line=lambda line: log.add("pull", line))
    assert (result.ok, log.path.read_text()) == (True, "")
    lost = log.lost_bytes
    assert lost == 2 * len("2026-01-01T00:00:00Z pull: one\n")
    full = False
    log.add("pull", "three")
    assert (log.path.read_text(), log.lost_bytes) == ("2026-01-01T00:00:00Z pull: three\n", lost)


def test_a_disk_that_becomes_full_within_a_line_is_counted_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write may take less than it was given."""
    monkeypatch.setattr(output, "_write", lambda handle, data: os.write(handle, data[:5]))
    log = begin(tmp_path)
    log.add("pull", "x")
    assert (log.path.read_text(), log.lost_bytes) == ("2026-", len("2026-01-01T00:00:00Z pull: x\n") - 5)


def test_a_state_folder_that_takes_nothing_stops_nobody(tmp_path: Path) -> None:
    """Neither to begin nor to add: here a file stands where the folder should be."""
    (tmp_path / "log").write_text("in the way")
    log = begin(tmp_path)
    log.add("pull", "x")
    assert log.lost_bytes == len("2026-01-01T00:00:00Z pull: x\n")
