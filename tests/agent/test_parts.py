"""Putting an agent together on a host that is not well."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from fleetroll_agent import host
from fleetroll_agent.jobs import journal as journals
from fleetroll_agent.jobs.journal import Journal, read_journal
from fleetroll_agent.jobs.values import Report, Said
from fleetroll_agent.parts import assemble
from fleetroll_agent.slots import Slot
from fleetroll_common.durable import effects
from fleetroll_common.values.ids import SystemIds
from fleetroll_common.values.version import Version
from tests.faults.identity_disk import enrolled
from tests.faults.jobs import OLD, boot_record

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

LONG_AGO = 1_000_000_000.0


def running_slot(folder: Path) -> Slot:
    return Slot(folder / "slots" / "agent" / "1.0.0", Version(1, 0, 0), OLD, "1" * 64, "2" * 64, "entry.py", "cp311")


def test_a_journal_that_can_not_be_pruned_on_a_full_disk_stops_no_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrolled(tmp_path)
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 1)
    journal = Journal(tmp_path / "journal", SystemIds())
    for number in (1, 2):
        journal.append("agent", [Report(number, LONG_AGO, 7, Said.STAGED)])
    journal.ack(journal.journal_id, 2)
    journal._write_head()

    def refuse(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    slot = running_slot(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(effects, "write", refuse)
        assert assemble(tmp_path, slot).journal.last_sequence == 2
    assert len(read_journal(tmp_path / "journal")) == 2
    assemble(tmp_path, slot)
    assert [entry.sequence for entry in read_journal(tmp_path / "journal")] == [2], "it is pruned by a later start"


async def test_the_agents_windows_and_those_of_its_products_go_by_the_hosts_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One zone for all of them, and for what the server is told."""
    enrolled(tmp_path)
    monkeypatch.setattr(host, "time_zone", lambda: "Asia/Tokyo")
    parts = assemble(tmp_path, running_slot(tmp_path))
    assert parts.time_zone == parts.shared.time_zone == "Asia/Tokyo"
    await parts.keeper.begin(boot_record())
    assert parts.keeper.state.policy.time_zone == "Asia/Tokyo"
